// A model's weights in files: any state dict into the store, and the store as the release's state dict.
import { toFloat32, type HostTensor } from '../data/host_tensor.ts';
import { loadStateDict } from '../data/state_dict.ts';
import { isHeld, parameterTable, type Parameter } from '../mtlora/names.ts';
import type { ModelSpec } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import { describeMapping, mapCheckpoint, type MapOptions } from '../swin/checkpoint.ts';
import { positionIndex, shiftMask } from '../swin/window_buffers.ts';

export type { MapOptions } from '../swin/checkpoint.ts';

type Tensors = ReadonlyMap<string, HostTensor>;

export type Weights = {
  /** By the model's names, whole and sound: nothing in them can fail to load. */
  readonly values: ReadonlyMap<string, HostTensor>;
  /** Parameters and statistics of the model that the file does not hold. */
  readonly missing: readonly string[];
  /** What was loaded, what is missing, unexpected or resized: lines to print. */
  readonly lines: readonly string[];
  /** Training steps that BatchNorm counted; null where the file does not say. */
  readonly batchesTracked: number | null;
};

const COUNTER = '.num_batches_tracked';
/** Beside the model's tensors in a training checkpoint. */
const OPTIMIZER = 'optimizer.';

/** Loads a checkpoint's weights; on any error, one sentence, the store is as it was. */
export async function loadWeights(
  store: ParameterStore, file: string, options: MapOptions = {},
): Promise<Weights> {
  const weights = await readWeights(store.spec, file, options);
  store.load(weights.values);
  return weights;
}

/** Reads what a .pth or .safetensors file holds of a model; needs no GPU. */
export async function readWeights(spec: ModelSpec, file: string, options: MapOptions = {}): Promise<Weights> {
  return fitWeights(spec, await loadStateDict(file), file, options);
}

/** The same for tensors that were read from `file` already. */
export function fitWeights(
  spec: ModelSpec, tensors: Tensors, file: string, options: MapOptions = {},
): Weights {
  try {
    const table = parameterTable(spec);
    const source = [...tensors].filter(([name]) => !name.startsWith(OPTIMIZER)).map(inF32);
    const mapping = mapCheckpoint(new Map(source), table, options);
    const unfolded = spec.lora?.merged && mapping.unexpected.find((name) => name.includes('.linear.'));
    if (unfolded) {
      throw new Error('it must be of a merged model (MODEL.MTLORA.MERGED), '
        + `got "${unfolded}" with its branches apart`);
    }
    for (const entry of table) {
      const tensor = mapping.values.get(entry.name);
      if (tensor) checkValues(entry, tensor);
    }
    const held = new Set(table.filter(isHeld).map(({ name }) => name));
    const counts = [...mapping.values].filter(([name]) => name.endsWith(COUNTER))
      .map(([, tensor]) => Number(tensor.data[0]));
    return {
      values: mapping.values,
      missing: mapping.missing.filter((name) => held.has(name)),
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
 * @param prefix of the names that are wanted
 */
export function fullStateDict(
  spec: ModelSpec, values: Tensors, batchesTracked = 0, prefix = '',
): Map<string, HostTensor> {
  const entries = parameterTable(spec).filter(({ name }) => name.startsWith(prefix));
  return new Map(entries.map((entry) => [entry.name, entryTensor(entry, values, batchesTracked)]));
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
