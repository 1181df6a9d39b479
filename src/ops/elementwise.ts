import { expectShape, size, type Shape } from '../autograd/shape.ts';
import { empty, viewAs, type Dtype, type Tensor } from '../autograd/tensor.ts';
import {
  handOver, isAwaited, isRecomputable, recall, recomputable, recomputableAs,
} from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { dispatch } from '../gpu/program.ts';

type Inputs = { readonly a: Tensor } & Readonly<Partial<Record<'b' | 'again', Tensor>>>;

function each(entry: string, inputs: Inputs, value = 0): Tensor {
  const y = empty(inputs.a.shape, entry, inputs.a.dtype);
  const count = size(y.shape);
  const launch = { items: Math.ceil(count / 4), params: { count, value } };
  dispatch(`elementwise/${entry}`, { ...inputs, y }, launch);
  return y;
}

/** y = a + b, of equal shapes. */
export function add(a: Tensor, b: Tensor): Tensor {
  expectShape('add', 'b', b.shape, a.shape);
  return record('add', [a, b], each('add', { a, b }), (dy) => [dy, dy]);
}

/** y = a · b, of equal shapes. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  expectShape('multiply', 'b', b.shape, a.shape);
  return record('multiply', [a, b], each('multiply', { a, b }), (dy) => [
    a.requiresGrad ? each('multiply', { a: dy, b }) : null,
    b.requiresGrad ? each('multiply', { a: dy, b: a }) : null,
  ]);
}

/** y = factor · x. */
export function scale(x: Tensor, factor: number): Tensor {
  return record('scale', [x], each('scale', { a: x }, factor), (dy) => [each('scale', { a: dy }, factor)]);
}

/** The exact GELU, x · Φ(x), of any shape. */
export function gelu(x: Tensor): Tensor {
  const y: Tensor = record('gelu', [x], each('gelu', { a: x }), (dy) => {
    const inputs = { a: recall(x), b: dy };
    if (!isAwaited(y)) return [each('gelu_backward', inputs)];
    const again = empty(x.shape, 'gelu again', x.dtype);
    handOver(y, again);
    return [each('gelu_both', { ...inputs, again })];
  });
  // with an input that is made again too, all four tensors would live at once
  return recomputable(y, () => each('gelu', { a: recall(x) }), { handsOver: !isRecomputable(x) });
}

/** max(x, 0), of any shape; its derivative at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return record('relu', [x], each('relu', { a: x }), (dy) => [each('relu_backward', { a: x, b: dy })]);
}

/** The same elements under another shape; copies nothing. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const y = record('reshape', [x], viewAs(x, shape), (dy) => [viewAs(dy, x.shape)]);
  return recomputableAs(y, x, (same) => viewAs(same, shape));
}

/** The same values in other storage; x itself where it is so stored. */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  if (x.dtype === dtype) return x;
  const copy = (from: Tensor, type: Dtype): Tensor => {
    const to = empty(x.shape, 'cast', type);
    copyInto(from, to);
    return to;
  };
  return record('cast', [x], copy(x, dtype), (dy) => [copy(dy, x.dtype)]);
}

/** y = a + b, outside of the tape. */
export function addInto(a: Tensor, b: Tensor, y: Tensor): void {
  const count = size(y.shape);
  dispatch('elementwise/add', { a, b, y }, { items: Math.ceil(count / 4), params: { count, value: 0 } });
}

/** Zeros of a tensor's shape and type. */
export function zerosLike({ shape, dtype }: Pick<Tensor, 'shape' | 'dtype'>): Tensor {
  const y = empty(shape, 'zeros', dtype);
  const count = size(shape);
  dispatch('elementwise/fill', { y }, { items: Math.ceil(count / 4), params: { count, value: 0 } });
  return y;
}

/** Copies x over a tensor of as many elements, outside of the tape. */
export function copyInto(x: Tensor, y: Tensor): void {
  const count = size(y.shape);
  dispatch('elementwise/copy', { a: x, y }, { items: Math.ceil(count / 4), params: { count, value: 0 } });
}
