// A model's weights in files: any state dict into the store, and the store as the release's state dict.
import { toFloat32, type HostTensor } from '../data/host_tensor.ts';
import { loadStateDict } from '../data/state_dict.ts';
import { parameterTable, type Parameter } from '../mtlora/names.ts';
import type { ModelSpec } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import { describeMapping, mapCheckpoint, type MapOptions } from '../swin/checkpoint.ts';
import { positionIndex, shiftMask } from '../swin/window_buffers.ts';

export type { MapOptions } from '../swin/checkpoint.ts';

type Tensors = ReadonlyMap<string, HostTensor>;

export type LoadedWeights = {
  /** What was loaded, what is missing, unexpected or resized: lines to print. */
  readonly lines: string[];
  /** Training steps that BatchNorm counted; null where the file does not say. */
  readonly batchesTracked: number | null;
};

const COUNTER = '.num_batches_tracked';

/** Loads a checkpoint's weights; on any error, one sentence, the store is as it was. */
export async function loadWeights(
  store: ParameterStore, file: string, options: MapOptions = {},
): Promise<LoadedWeights> {
  return applyWeights(store, await loadStateDict(file), file, options);
}

/** The same for tensors that were read from `file` already. */
export function applyWeights(
  store: ParameterStore, tensors: Tensors, file: string, options: MapOptions = {},
): LoadedWeights {
  try {
    const table = parameterTable(store.spec);
    const mapping = mapCheckpoint(new Map([...tensors].map(inF32)), table, options);
    for (const entry of table) {
      const tensor = mapping.values.get(entry.name);
      if (tensor) checkValues(entry, tensor);
    }
    store.load(mapping.values);
    const counts = [...mapping.values].filter(([name]) => name.endsWith(COUNTER))
      .map(([, tensor]) => Number(tensor.data[0]));
    return {
      lines: describeMapping(mapping),
      batchesTracked: counts.length > 0 ? Math.max(...counts) : null,
    };
  } catch (error) {
    throw new Error(`Cannot load checkpoint "${file}": ${(error as Error).message}`, { cause: error });
  }
}

// a view where it is F32 already; whole numbers stay what they are
function inF32([name, tensor]: [string, HostTensor]): [string, HostTensor] {
  if (tensor.dtype === 'F32' || !/F/.test(tensor.dtype)) return [name, tensor];
  return [name, { dtype: 'F32', shape: tensor.shape, data: toFloat32(tensor) }];
}

function checkValues({ name, dtype, init }: Parameter, tensor: HostTensor): void {
  if ((tensor.dtype === 'F32') !== (dtype === 'F32')) {
    throw new Error(`"${name}" must be ${dtype}, got ${tensor.dtype}`);
  }
  if (init.kind === 'positionIndex') {
    const index = positionIndex(init.window);
    if (index.every((row, i) => Number(row) === Number(tensor.data[i]))) return;
    throw new Error(`"${name}" must be the index of a window of ${init.window} by ${init.window}`);
  }
  if (tensor.dtype !== 'F32') return;
  const wrong = (tensor.data as Float32Array).find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new Error(`"${name}" must hold finite numbers, got ${wrong}`);
}

/**
 * Every tensor of the release's state dict in its order, what follows from sizes alone included.
 *
 * @param values what the store read
 * @param batchesTracked the training steps that BatchNorm counted
 */
export function fullStateDict(spec: ModelSpec, values: Tensors, batchesTracked = 0): Map<string, HostTensor> {
  return new Map(parameterTable(spec).map((entry) => [entry.name, entryTensor(entry, values, batchesTracked)]));
}

function entryTensor(entry: Parameter, values: Tensors, batchesTracked: number): HostTensor {
  const { name, shape, dtype, init } = entry;
  if (init.kind === 'positionIndex') return { dtype, shape, data: positionIndex(init.window) };
  if (init.kind === 'shiftMask') return { dtype, shape, data: shiftMask(init.side, init.window, init.shift) };
  if (name.endsWith(COUNTER)) return { dtype, shape, data: BigInt64Array.of(BigInt(batchesTracked)) };
  const value = values.get(name);
  if (!value) throw new Error(`state dict: no value for "${name}"`);
  return value;
}
