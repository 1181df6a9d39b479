import { expectShape, size } from '../autograd/shape.ts';
import { recall } from '../autograd/recall.ts';
import { recordMany } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { columnSums } from './column_sums.ts';
import { gemm, type Matrix } from './matmul.ts';

/**
 * A linear map of its own for each entry of the first axis, of any width: y_t = x_t w_tᵀ + b_t.
 *
 * @param x [T, ..., K]
 * @param ws T of [n_t, K]
 * @param bs T of [n_t]
 * @returns T of [..., n_t]
 */
export function linearEach(x: Tensor, ws: readonly Tensor[], bs: readonly Tensor[]): Tensor[] {
  const [count, ...rest] = x.shape as [number, ...number[]];
  const k = rest.pop()!;
  const m = size(rest);
  if (ws.length !== count || bs.length !== count) {
    throw new Error(`linearEach: must get ${count} weights and biases, got ${ws.length} and ${bs.length}`);
  }
  const block = (tensor: Tensor, t: number): Matrix => ({ tensor, at: t * m * k, row: k, col: 1 });
  const ys = ws.map((w, t) => {
    const [n] = w.shape as [number];
    expectShape('linearEach', `weight ${t}`, w.shape, [n, k]);
    expectShape('linearEach', `bias ${t}`, bs[t]!.shape, [n]);
    const y = empty([...rest, n], 'linearEach', x.dtype);
    const [b, out] = [{ tensor: w, row: 1, col: k }, { tensor: y, row: n }];
    gemm({ a: block(x, t), b, y: out, m, n, k, bias: bs[t]! });
    return y;
  });

  return recordMany('linearEach', [x, ...ws, ...bs], ys, (dys) => {
    const kept = recall(x);                           // used up before dx is made: the two never live at once
    const gradients = dys.map((dy, t) => {
      const [w, b, n] = [ws[t]!, bs[t]!, ws[t]!.shape[0]!];
      const dw = dy && w.requiresGrad ? empty(w.shape, 'dw') : null;
      const left = { tensor: dy!, row: 1, col: n };
      if (dw) gemm({ a: left, b: block(kept, t), y: { tensor: dw, row: k }, m: n, n: k, k: m });
      return { dw, db: dy && b.requiresGrad ? columnSums(dy, 1, m, n, b.shape) : null };
    });
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    if (dx && dys.includes(null)) clear(dx);
    dys.forEach((dy, t) => {
      const n = ws[t]!.shape[0]!;
      const right = { tensor: ws[t]!, row: k, col: 1 };
      if (dx && dy) gemm({ a: { tensor: dy, row: n, col: 1 }, b: right, y: block(dx, t), m, n: k, k: n });
    });
    return [dx, ...gradients.map(({ dw }) => dw), ...gradients.map(({ db }) => db)];
  });
}

function clear(y: Tensor): void {
  const count = size(y.shape);
  dispatch('elementwise/fill', { y }, { items: Math.ceil(count / 4), params: { count, value: 0 } });
}
