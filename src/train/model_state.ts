// The whole state dict of a model under the release's names: what lies on the device, and the buffers that kernels
// compute for themselves but files have.
import type { HostTensor } from '../data/host_tensor.ts';
import { parameterTable, sizeOf } from '../mtlora/names.ts';
import type { Init, Parameter } from '../mtlora/names.ts';
import type { ParameterStore } from '../mtlora/store.ts';

const BLOCKED = -100;

/**
 * Every tensor of the model in its state dict's order.
 *
 * @param tracked how many batches the running statistics have seen
 */
export async function readModelState(store: ParameterStore, tracked: number): Promise<Map<string, HostTensor>> {
  const held = await store.read();
  return new Map(parameterTable(store.spec).map((parameter) =>
    [parameter.name, held.get(parameter.name) ?? computed(parameter, tracked)]));
}

function computed(parameter: Parameter, tracked: number): HostTensor {
  const { name, shape, init } = parameter;
  if (name.endsWith('.num_batches_tracked')) return { dtype: 'I64', shape, data: BigInt64Array.of(BigInt(tracked)) };
  if (init.kind === 'positionIndex') return { dtype: 'I64', shape, data: positionIndex(init) };
  if (init.kind === 'shiftMask') return { dtype: 'F32', shape, data: shiftMask(init, sizeOf(parameter)) };
  throw new Error(`model state: "${name}" must lie on the device`);
}

/** Of each pair of tokens in a window, the row of the bias table: (Δy + M − 1)(2M − 1) + Δx + M − 1. [M²·M²] */
function positionIndex({ window }: Extract<Init, { kind: 'positionIndex' }>): BigInt64Array {
  const area = window ** 2;
  const [y, x] = [(token: number) => Math.floor(token / window), (token: number) => token % window];
  return BigInt64Array.from({ length: area * area }, (_, at) => {
    const [query, key] = [Math.floor(at / area), at % area];
    const [dy, dx] = [y(query) - y(key), x(query) - x(key)];
    return BigInt((dy + window - 1) * (2 * window - 1) + dx + window - 1);
  });
}

/** −100 between tokens of a window that the shift brought there from different sides of the grid. [nW·M²·M²] */
function shiftMask({ side, window, shift }: Extract<Init, { kind: 'shiftMask' }>, size: number): Float32Array {
  const band = (at: number): number => at < side - window ? 0 : at < side - shift ? 1 : 2;
  const [across, area] = [side / window, window ** 2];
  const region = (win: number, token: number): number => {
    const row = Math.floor(win / across) * window + Math.floor(token / window);
    const column = (win % across) * window + token % window;
    return 3 * band(row) + band(column);
  };
  return Float32Array.from({ length: size }, (_, at) => {
    const [win, query, key] = [Math.floor(at / area / area), Math.floor(at / area) % area, at % area];
    return region(win, query) === region(win, key) ? 0 : BLOCKED;
  });
}
