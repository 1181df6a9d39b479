// A model that is only asked: one image in, the raw outputs of some of its tasks out.
import type { Tensor } from '../autograd/tensor.ts';
import { makeField, type Field } from '../data/sample.ts';
import type { Gpu } from '../gpu/device.ts';
import { compile, type Executable } from '../gpu/executable.ts';
import { keep } from '../gpu/program.ts';
import { forward } from '../mtlora/model.ts';
import type { Task } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import { Inputs } from './inputs.ts';

export class Predictor {
  readonly #executable: Executable;
  readonly #inputs: Inputs;
  readonly #logits: ReadonlyMap<Task, Tensor>;

  private constructor(executable: Executable, inputs: Inputs, logits: ReadonlyMap<Task, Tensor>) {
    this.#executable = executable;
    this.#inputs = inputs;
    this.#logits = logits;
  }

  /** Compiles the part of the model that `tasks` need. */
  static async open(gpu: Gpu, store: ParameterStore, tasks: readonly Task[]): Promise<Predictor> {
    const inputs = await new Inputs(gpu, { ...store.spec, tasks: [] }, 1).compile();
    const { executable, result } = await compile(gpu, 'prediction', () => {
      const all = forward(store, inputs.image, { training: false }).logits;
      const wanted = new Map(tasks.map((task) => [task, all.get(task)!] as const));
      keep(...wanted.values());
      return wanted;
    });
    return new Predictor(executable, inputs, result);
  }

  /**
   * @param image [3, S, S] of grey levels, as loaders make them
   * @returns raw outputs [S, S, n] of each task
   */
  async predict(image: Uint8Array): Promise<Map<Task, Field>> {
    this.#inputs.write({ image, labels: {} });
    this.#executable.run();
    const outputs = await this.#executable.read([...this.#logits.values()]);
    return new Map([...this.#logits].map(([task, { shape }], i) =>
      [task, makeField(shape[1]!, shape[2]!, new Float32Array(outputs[i]!))]));
  }

  destroy(): void {
    this.#executable.destroy();
    this.#inputs.destroy();
  }
}
