// A model that is only asked: one image in, the raw outputs of some of its tasks out.
import { lasting, release, write, type Tensor } from '../autograd/tensor.ts';
import { makeField, type Field } from '../data/sample.ts';
import type { Gpu } from '../gpu/device.ts';
import { compile, type Executable } from '../gpu/executable.ts';
import { keep } from '../gpu/program.ts';
import { forward } from '../mtlora/model.ts';
import type { Task } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';

export class Predictor {
  readonly #gpu: Gpu;
  readonly #executable: Executable;
  readonly #image: Tensor;
  readonly #logits: ReadonlyMap<Task, Tensor>;

  private constructor(gpu: Gpu, executable: Executable, image: Tensor, logits: ReadonlyMap<Task, Tensor>) {
    this.#gpu = gpu;
    this.#executable = executable;
    this.#image = image;
    this.#logits = logits;
  }

  /** Compiles the part of the model that `tasks` need. */
  static async open(gpu: Gpu, store: ParameterStore, tasks: readonly Task[]): Promise<Predictor> {
    const { inChannels, imgSize } = store.spec;
    const image = lasting(gpu, 'image', [1, inChannels, imgSize, imgSize]);
    const { executable, result } = await compile(gpu, 'prediction', () => {
      const all = forward(store, image, { training: false }).logits;
      const wanted = new Map(tasks.map((task) => [task, all.get(task)!] as const));
      keep(...wanted.values());
      return wanted;
    });
    return new Predictor(gpu, executable, image, result);
  }

  /**
   * @param image [3, S, S], normalised as loaders do
   * @returns raw outputs [S, S, n] of each task
   */
  async predict(image: Float32Array): Promise<Map<Task, Field>> {
    write(this.#gpu, this.#image, image);
    this.#executable.run();
    const outputs = await this.#executable.read([...this.#logits.values()]);
    return new Map([...this.#logits].map(([task, { shape }], i) =>
      [task, makeField(shape[1]!, shape[2]!, new Float32Array(outputs[i]!))]));
  }

  destroy(): void {
    this.#executable.destroy();
    release(this.#gpu, this.#image);
  }
}
