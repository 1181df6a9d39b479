import { size, type Shape } from '../autograd/shape.ts';
import { constantTable, makeTensor, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Program } from '../gpu/program.ts';
import type { Tuning } from '../gpu/wgsl.ts';
import { createStorage, expectBindable, rangeOf, type Storage } from '../gpu/storage.ts';

/** A kernel on `lib/gathered` that makes gradients of partial sums, and what it wants to know of one. */
export type Reducer = { readonly path: string; readonly tuning: Tuning; readonly extra: number };

/** Partial sums of so many runs from byte `from` of the pool on, and what they become. */
type Sum = { readonly from: number; readonly runs: number; readonly into: Tensor; readonly by: Reducer };

/** What partial sums lie in until one launch adds up all of them; it grows while the program is traced. */
type Pool = {
  readonly whole: { -readonly [Key in keyof Storage]: Storage[Key] };
  readonly sums: Sum[];
};

const OVER_RUNS: Reducer = { path: 'gathered_sums/forward', tuning: {}, extra: 0 };

// bytes that a part starts at a multiple of, as any device can bind; outputs of a workgroup of the kernel
const ALIGNMENT = 256;
const CHUNK = 64;
const open = new WeakMap<Program, Map<string, Pool>>();
const pools = new WeakMap<Storage, Pool>();

/** Partial sums for `sumLater` by the same kernel. @returns [runs, ...], without content */
export function partialSums(shape: Shape, { path } = OVER_RUNS): Tensor {
  const { gpu } = tracing('partialSums');
  const length = 4 * size(shape);
  const bytes = Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  expectBindable('partial sums', bytes, gpu.limits);
  const { whole } = poolFor(path, bytes);
  const at = whole.bytes;
  whole.length = whole.bytes = at + bytes;
  return makeTensor(shape, rangeOf(whole, `partial sums [${shape.join(', ')}]`, at, length));
}

/**
 * Sums partial sums over their runs, in their order, into `into`: in one launch with those of other ops,
 * before anything reads one of them.
 *
 * @param part [runs, ...], of `partialSums`
 * @param into [...], or what another kernel than the sum over runs makes of it
 */
export function sumLater(part: Tensor, into: Tensor, by = OVER_RUNS): void {
  const program = tracing('sumLater');
  const { storage, at } = part.storage.within!;
  const pool = pools.get(storage)!;
  pool.sums.push({ from: at, runs: part.shape[0]!, into, by });
  program.pending.set(into.storage, () => addUp(program, pool));
}

// a kernel's own, as its parts may come later than those of another
function poolFor(path: string, more: number): Pool {
  const program = tracing('partialSums');
  const own = open.get(program) ?? new Map<string, Pool>();
  open.set(program, own);
  const known = own.get(path);
  if (known && known.whole.bytes + more <= program.gpu.limits.maxStorageBufferBindingSize) return known;
  const pool: Pool = { whole: createStorage('partial sums', 0, null), sums: [] };
  pool.whole.bytes = 0;
  own.set(path, pool);
  pools.set(pool.whole, pool);
  return pool;
}

// those into one buffer at once; what has no place yet by itself
function addUp(program: Program, pool: Pool): void {
  const sums = pool.sums.splice(0);
  const { path } = sums[0]!.by;
  if (open.get(program)?.get(path) === pool) open.get(program)!.delete(path);
  for (const { into } of sums) program.pending.delete(into.storage);
  const most = program.gpu.limits.maxStorageBufferBindingSize;
  for (const alike of Map.groupBy(sums, ({ by }) => JSON.stringify(by.tuning)).values()) {
    const groups = Map.groupBy(alike, ({ into: { storage } }) => storage.place?.buffer ?? storage);
    for (const group of groups.values()) {
      for (const some of withinReach(group, most)) launch(program, pool.whole, some);
    }
  }
}

/** Sums in the order of their places, in groups that lie within so many bytes. */
function withinReach(sums: readonly Sum[], most: number): Sum[][] {
  const groups: Sum[][] = [];
  for (const sum of [...sums].sort((a, b) => offsetOf(a) - offsetOf(b))) {
    const last = groups.at(-1);
    if (last && offsetOf(sum) + sum.into.storage.bytes - offsetOf(last[0]!) <= most) last.push(sum);
    else groups.push([sum]);
  }
  return groups;
}

const offsetOf = ({ into }: Sum): number => into.storage.place?.offset ?? 0;

function launch(program: Program, parts: Storage, sums: readonly Sum[]): void {
  const [first, last] = [sums[0]!, sums.at(-1)!];
  const { place } = first.into.storage;
  const bytes = offsetOf(last) + last.into.storage.bytes - offsetOf(first);
  const y = place ? createStorage('sums', bytes, place) : first.into.storage;
  let chunks = 0;
  const table = sums.flatMap((sum) => {
    const outputs = size(sum.into.shape);
    const to = (offsetOf(sum) - offsetOf(first)) / 4;
    const row = [chunks, sum.from / 4, to, outputs, sum.runs, sum.by.extra, 0, 0];
    chunks += Math.ceil(outputs / CHUNK);
    return row;
  });
  const WG = program.gpu.deviceClass === 'software' ? 8 : 64;
  const buffers = { sums: constantTable(program.gpu, table), parts: { storage: parts }, y: { storage: y } };
  dispatch(first.by.path, buffers, {
    workgroups: chunks, tuning: { WG, ...first.by.tuning }, params: { count: sums.length, chunks },
  });
}
