import { size, type Shape } from '../autograd/shape.ts';
import { constantTable, makeTensor, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Program } from '../gpu/program.ts';
import { createStorage, expectBindable, rangeOf, type Storage } from '../gpu/storage.ts';

/** A sum over runs: [runs, columns] from byte `from` of the pool on, into [columns]. */
type Sum = { readonly from: number; readonly runs: number; readonly into: Tensor };

/** What partial sums lie in until one launch adds up all of them; it grows while the program is traced. */
type Pool = {
  readonly whole: { -readonly [Key in keyof Storage]: Storage[Key] };
  readonly sums: Sum[];
};

// bytes that a part starts at a multiple of, as any device can bind; columns of a workgroup of the kernel
const ALIGNMENT = 256;
const CHUNK = 64;
const open = new WeakMap<Program, Pool>();
const pools = new WeakMap<Storage, Pool>();

/** Partial sums for `sumLater`. @returns [runs, ..., columns], without content */
export function partialSums(shape: Shape): Tensor {
  const { gpu } = tracing('partialSums');
  const length = 4 * size(shape);
  const bytes = Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  expectBindable('partial sums', bytes, gpu.limits);
  const { whole } = poolFor(bytes);
  const at = whole.bytes;
  whole.length = whole.bytes = at + bytes;
  return makeTensor(shape, rangeOf(whole, `partial sums [${shape.join(', ')}]`, at, length));
}

/**
 * Sums partial sums over their runs, in their order, into `into`: in one launch with those of other ops,
 * before anything reads one of them.
 *
 * @param part [runs, ..., columns], of `partialSums`
 * @param into [..., columns]
 */
export function sumLater(part: Tensor, into: Tensor): void {
  const program = tracing('sumLater');
  const { storage, at } = part.storage.within!;
  const pool = pools.get(storage)!;
  pool.sums.push({ from: at, runs: part.shape[0]!, into });
  program.pending.set(into.storage, () => addUp(program, pool));
}

function poolFor(more: number): Pool {
  const program = tracing('partialSums');
  const known = open.get(program);
  if (known && known.whole.bytes + more <= program.gpu.limits.maxStorageBufferBindingSize) return known;
  const pool: Pool = { whole: createStorage('partial sums', 0, null), sums: [] };
  pool.whole.bytes = 0;
  open.set(program, pool);
  pools.set(pool.whole, pool);
  return pool;
}

// those into one buffer at once; what has no place yet by itself
function addUp(program: Program, pool: Pool): void {
  if (open.get(program) === pool) open.delete(program);
  const groups = new Map<GPUBuffer | Storage, Sum[]>();
  for (const sum of pool.sums.splice(0)) {
    const { storage } = sum.into;
    program.pending.delete(storage);
    const key = storage.place?.buffer ?? storage;
    groups.set(key, [...groups.get(key) ?? [], sum]);
  }
  const most = program.gpu.limits.maxStorageBufferBindingSize;
  for (const group of groups.values()) {
    for (const some of withinReach(group, most)) launch(program, pool.whole, some);
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
    const columns = size(sum.into.shape);
    const row = [chunks, sum.from / 4, (offsetOf(sum) - offsetOf(first)) / 4, columns, sum.runs, 0, 0, 0];
    chunks += Math.ceil(columns / CHUNK);
    return row;
  });
  const WG = program.gpu.deviceClass === 'software' ? 8 : 64;
  const buffers = { sums: constantTable(program.gpu, table), parts: { storage: parts }, y: { storage: y } };
  dispatch('gathered_sums/forward', buffers, {
    workgroups: chunks, tuning: { WG }, params: { count: sums.length, chunks },
  });
}
