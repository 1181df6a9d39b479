import { expectShape, size, type Shape } from '../autograd/shape.ts';
import { recomputableAs } from '../autograd/recall.ts';
import { record, recordMany } from '../autograd/tape.ts';
import { empty, makeTensor, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { rangeOf } from '../gpu/storage.ts';
import { zerosLike } from './elementwise.ts';
import { together } from './kernel_form.ts';
import { itemsFor } from './vectorise.ts';

/**
 * Joins tensors along an axis.
 *
 * @param xs equal shapes but for `axis`, which is the last by default and may be negative
 * @returns y, whose `axis` is the sum of theirs
 */
export function concat(xs: readonly Tensor[], axis = -1): Tensor {
  const shape = xs[0]!.shape;
  const at = axisOf('concat', shape, axis);
  xs.forEach((x, i) => expectShape('concat', `input ${i}`, x.shape, shape.with(at, x.shape[at] ?? 0)));
  const counts = xs.map((x) => x.shape[at]!);
  return record('concat', xs, join(xs, at), (dy) => {
    const firsts = startsOf(counts);
    return xs.map((x, i) => x.requiresGrad ? take(dy, at, firsts[i]!, counts[i]!) : null);
  });
}

/** `count` entries of an axis from `start` on; the axis may be negative. */
export function slice(x: Tensor, axis: number, start: number, count: number): Tensor {
  const at = axisOf('slice', x.shape, axis);
  const extent = x.shape[at]!;
  if (!(start >= 0 && count > 0 && start + count <= extent)) {
    const range = `[${start}, ${start + count})`;
    throw new Error(`slice: ${range} must lie within axis ${at} of [${x.shape.join(', ')}]`);
  }
  return record('slice', [x], take(x, at, start, count), (dy) => {
    const dx = empty(x.shape, 'dx', x.dtype);
    move('pad', dy, dx, { whole: dx, part: dy, at, start });
    return [dx];
  });
}

/** Cuts an axis into parts of the given sizes, which must fill it; their gradients are joined in one go. */
export function split(x: Tensor, axis: number, counts: readonly number[]): Tensor[] {
  const at = axisOf('split', x.shape, axis);
  const total = counts.reduce((a, b) => a + b, 0);
  if (total !== x.shape[at]) {
    throw new Error(`split: parts [${counts.join(', ')}] must fill axis ${at} of [${x.shape.join(', ')}]`);
  }
  const firsts = startsOf(counts);
  const parts = counts.map((count, i) => take(x, at, firsts[i]!, count));
  const marked = recordMany('split', [x], parts, (dys) => [
    join(dys.map((dy, i) => dy ?? zerosLike(parts[i]!)), at),
  ]);
  return marked.map((part, i) =>
    recomputableAs(part, x, (whole) => take(whole, at, firsts[i]!, counts[i]!)));
}

/** Writes `part` over entries of an axis of `whole` from `start` on, outside of the tape. */
export function writeSlice(part: Tensor, whole: Tensor, axis: number, start: number): void {
  const at = axisOf('writeSlice', whole.shape, axis);
  expectShape('writeSlice', 'part', part.shape, whole.shape.with(at, part.shape[at] ?? 0));
  move('place', part, whole, { whole, part, at, start });
}

function join(xs: readonly Tensor[], at: number): Tensor {
  const counts = xs.map((x) => x.shape[at]!);
  const firsts = startsOf(counts);
  const y = empty(xs[0]!.shape.with(at, firsts.at(-1)! + counts.at(-1)!), 'concat', xs[0]!.dtype);
  together(`concat into [${y.shape.join(', ')}]`, xs.map((x, i) => (): void => {
    move('place', x, y, { whole: y, part: x, at, start: firsts[i]! });
  }), { apart: [y] });
  return y;
}

// entries of what the program makes are read where they are, if they lie side by side and can be bound there;
// what outlives it may be written anew before they are read
function take(x: Tensor, at: number, start: number, count: number): Tensor {
  const shape = x.shape.with(at, count);
  const first = x.bytes / x.shape[at]! * start;
  const alignment = tracing('slice').gpu.limits.minStorageBufferOffsetAlignment;
  const together = size(x.shape.slice(0, at)) === 1;
  if (together && x.storage.place === null && first % alignment === 0) {
    const storage = rangeOf(x.storage, `slice [${shape.join(', ')}]`, first, x.bytes / x.shape[at]! * count);
    return makeTensor(shape, storage, false, x.dtype);
  }
  const y = empty(shape, 'slice', x.dtype);
  move('take', x, y, { whole: x, part: y, at, start });
  return y;
}

type Block = { readonly whole: Tensor; readonly part: Tensor; readonly at: number; readonly start: number };

function move(entry: 'place' | 'take' | 'pad', x: Tensor, y: Tensor, block: Block): void {
  const { whole, part, at, start } = block;
  const rows = size(whole.shape.slice(0, at));
  const inner = size(whole.shape.slice(at + 1));
  const extents = [whole.shape[at]! * inner, part.shape[at]! * inner, start * inner] as const;
  const { width, tuning } = itemsFor(...extents);
  const [all, some, first] = extents.map((extent) => extent / width) as [number, number, number];
  const items = rows * (entry === 'pad' ? all : some);
  dispatch(`concat/${entry}`, { x, y }, { items, tuning, params: { rows, whole: all, part: some, first } });
}

function startsOf(counts: readonly number[]): number[] {
  let end = 0;
  return counts.map((count) => (end += count) - count);
}

function axisOf(op: string, shape: Shape, axis: number): number {
  const at = axis < 0 ? axis + shape.length : axis;
  if (at >= 0 && at < shape.length) return at;
  throw new Error(`${op}: axis must lie within [${shape.join(', ')}], got ${axis}`);
}
