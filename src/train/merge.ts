// A model with fewer branches that computes the same: its configuration, its weights, and the proof.
import { evaluate } from '../autograd/run.ts';
import { lasting, release } from '../autograd/tensor.ts';
import type { HostTensor } from '../data/host_tensor.ts';
import { keyOf, philox, uniform } from '../data/philox.ts';
import type { Gpu } from '../gpu/device.ts';
import { countMacs, totalMacs } from '../mtlora/macs.ts';
import { additiveSite, hasBranches } from '../mtlora/merge.ts';
import { forward } from '../mtlora/model.ts';
import { parameterTable, sizeOf } from '../mtlora/names.ts';
import type { ModelSpec, Task } from '../mtlora/spec.ts';
import { ParameterStore } from '../mtlora/store.ts';
import type { Config } from './config.ts';
import { modelSpec } from './config.ts';

/** A model on the host: what it is, and its parameters and buffers. */
export type HostModel = { readonly spec: ModelSpec; readonly values: ReadonlyMap<string, HostTensor> };

/** Images of the proof: in eval mode each is computed alone, and one fits where two may not. */
const BATCH = 1;

/**
 * The configuration of a model without the branches that can be folded, plain Swin where none is left.
 *
 * @param task keeps this one's stream and decoder alone
 */
export function mergedConfig(config: Config, task: Task | null): Config {
  const { MODEL, TASKS } = config;
  if (task && !TASKS.includes(task)) {
    throw new Error(`merge: --task must be one of ${TASKS.join(', ')}, got "${task}"`);
  }
  const additive = additiveSite(modelSpec(config));
  if (task && TASKS.length > 1 && additive) {
    throw new Error(`merge: "${task}" must not depend on other tasks, but in mode addition the shared stream `
      + `adds up the outputs of every task, as in "${additive}"; leave out --task`);
  }
  const of = (MTLORA: Config['MODEL']['MTLORA']): Config => ({
    ...config, TASKS: task ? [task] : TASKS, MODEL: { ...MODEL, MTLORA, RESUME: '', RESUME_BACKBONE: '' },
  });
  const merged = of({ ...MODEL.MTLORA, MERGED: true });
  return hasBranches(modelSpec(merged)) ? merged : of({ ...MODEL.MTLORA, ENABLED: false });
}

/**
 * How far the outputs of two models are apart on a random batch: ‖after − before‖ / ‖before‖ for each task of
 * `after`.
 */
export async function outputDifference(
  gpu: Gpu, before: HostModel, after: HostModel, seed = 0,
): Promise<Map<Task, number>> {
  const want = await outputsOf(gpu, before, seed);
  const got = await outputsOf(gpu, after, seed);
  return new Map([...got].map(([task, values]) => [task, relativeDifference(values, want.get(task)!)]));
}

/** Each task's output in eval mode for images drawn from `seed`. */
async function outputsOf(
  gpu: Gpu, { spec, values }: HostModel, seed: number,
): Promise<Map<Task, Float32Array>> {
  const { imgSize, inChannels, tasks } = spec;
  const shape = [BATCH, inChannels, imgSize, imgSize];
  const pixels = randomPixels(shape.reduce((a, b) => a * b, 1), seed);
  const image = lasting(gpu, 'images', shape, pixels);
  const store = new ParameterStore(gpu, spec);
  try {
    store.load(values);
    const outputs = await evaluate(gpu, () => {
      const { logits } = forward(store, image, { training: false });
      return tasks.map(({ name }) => logits.get(name)!);
    });
    gpu.check();
    return new Map(tasks.map(({ name }, t) => [name, outputs[t]!]));
  } finally {
    store.destroy();
    release(gpu, image);
  }
}

/** Uniform in ±2, about the range of normalised pixels. */
function randomPixels(count: number, seed: number): Float32Array {
  const pixels = new Float32Array(count);
  for (let at = 0; at < count; at += 4) {
    const four = philox([at / 4, 0, 0, 0], keyOf(seed)).map((word) => 4 * uniform(word) - 2);
    pixels.set(four.slice(0, count - at), at);
  }
  return pixels;
}

function relativeDifference(got: Float32Array, want: Float32Array): number {
  let [apart, length] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    apart += (got[i]! - want[i]!) ** 2;
    length += want[i]! ** 2;
  }
  return apart === 0 ? 0 : Math.sqrt(apart / length);
}

/** What a model takes: its parameters, and the multiply-accumulates of an image. */
export type Cost = { readonly parameters: number; readonly macs: number };

export function costOf(spec: ModelSpec): Cost {
  const parameters = parameterTable(spec).filter(({ kind }) => kind === 'param');
  return {
    parameters: parameters.reduce((sum, entry) => sum + sizeOf(entry), 0),
    macs: totalMacs(countMacs(spec)),
  };
}
