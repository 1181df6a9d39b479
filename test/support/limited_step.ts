import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, write } from '../../src/autograd/tensor.ts';
import { toFloat32, type HostTensor } from '../../src/data/host_tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { withLimits } from '../../src/gpu/dry.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { forward } from '../../src/mtlora/model.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { modelSpec } from '../../src/train/config.ts';
import { labelTensors, multiTaskLoss } from '../../src/train/loss.ts';
import { seeded } from './seeded.ts';
import { randomState, tinyConfig } from './tiny_model.ts';

export type LimitedStep = {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, HostTensor>;
  /** Parameters and running statistics behind the step, which moves the latter alone. */
  readonly state: ReadonlyMap<string, HostTensor>;
  readonly launches: readonly string[];
  /** Bytes of the largest tensor. */
  readonly largest: number;
};

const BATCH = 3;

/**
 * One forward and backward pass of the tiny model, without anything random, on a device that binds so many
 * bytes at most; null for its own limit.
 */
export async function limitedStep(
  gpu: Gpu, limit: number | null, tasks: readonly ('sal' | 'normals' | 'edge')[],
  lora: Readonly<Record<string, unknown>> = {},
): Promise<LimitedStep> {
  const device = limit === null ? gpu : withLimits(gpu, { maxStorageBufferBindingSize: limit });
  const spec = modelSpec(tinyConfig({ DROPOUT: [0, 0, 0, 0], ...lora }, [...tasks]));
  const dropPath = spec.dropPath.map((rates) => rates.map(() => 0));
  const store = new ParameterStore(device, { ...spec, dropPath });
  store.load(randomState(spec));
  const pick = seeded(7);
  const image = lasting(device, 'image', [BATCH, 3, 32, 32],
    Float32Array.from({ length: BATCH * 3 * 32 * 32 }, () => pick(1000) / 500 - 1));
  const labels = labelTensors(device, tasks, BATCH, 32);
  for (const tensor of labels.values()) {
    write(device, tensor, Float32Array.from({ length: tensor.bytes / 4 }, () => pick(2)));
  }
  const { executable, result } = await compile(device, 'step', () => {
    const { logits } = forward(store, image, { training: true });
    const { total } = multiTaskLoss(logits, labels);
    store.placeGradients(backward([[total, null]]));
    keep(total);
    return total;
  });
  executable.run();
  const [loss] = await executable.read([result]);
  const [gradients, state] = [await store.readGradients(), await store.read()];
  const launches = executable.commands.map(({ dispatch }) => dispatch.label);
  const largest = Math.max(...executable.commands.flatMap(({ dispatch }) =>
    dispatch.uses.map(({ storage }) => storage.bytes)));
  executable.destroy();
  for (const tensor of [image, ...labels.values()]) release(device, tensor);
  store.destroy();
  return { loss: new Float32Array(loss!)[0]!, gradients, state, launches, largest };
}

/** How far apart tensors are, by their own length or a little of the longest. @returns the worst, by name */
export function worstApart(
  got: ReadonlyMap<string, HostTensor>, want: ReadonlyMap<string, HostTensor>,
): { readonly name: string; readonly apart: number } {
  const longest = Math.max(...[...want.values()].map((tensor) => lengthOf(toFloat32(tensor))));
  return [...want].map(([name, tensor]) => {
    const [mine, theirs] = [toFloat32(got.get(name)!), toFloat32(tensor)];
    const difference = lengthOf(theirs.map((value, i) => value - mine[i]!));
    return { name, apart: difference / Math.max(lengthOf(theirs), 1e-5 * longest) };
  }).reduce((worst, each) => each.apart > worst.apart ? each : worst);
}

const lengthOf = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
