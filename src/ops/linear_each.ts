import { expectShape, size } from '../autograd/shape.ts';
import { recall } from '../autograd/recall.ts';
import { recordMany } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { columnSumsEach } from './column_sums.ts';
import { gemms, type Gemm, type Matrix } from './matmul.ts';

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
    return empty([...rest, n], 'linearEach', x.dtype);
  });
  gemms(ys.map((y, t): Gemm => {
    const n = ws[t]!.shape[0]!;
    const [b, out] = [{ tensor: ws[t]!, row: 1, col: k }, { tensor: y, row: n }];
    return { a: block(x, t), b, y: out, m, n, k, bias: bs[t]! };
  }));

  return recordMany('linearEach', [x, ...ws, ...bs], ys, (dys) => {
    const kept = recall(x);                           // used up before dx is made: the two never live at once
    const dws = dys.map((dy, t) => dy && ws[t]!.requiresGrad ? empty(ws[t]!.shape, 'dw') : null);
    gemms(dys.flatMap((dy, t): Gemm[] => {
      const [n, dw] = [ws[t]!.shape[0]!, dws[t]];
      if (!dy || !dw) return [];
      const left = { tensor: dy, row: 1, col: n };
      return [{ a: left, b: block(kept, t), y: { tensor: dw, row: k }, m: n, n: k, k: m }];
    }));
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    if (dx && dys.includes(null)) clear(dx);
    if (dx) {
      gemms(dys.flatMap((dy, t): Gemm[] => {
        const n = ws[t]!.shape[0]!;
        const right = { tensor: ws[t]!, row: k, col: 1 };
        return dy ? [{ a: { tensor: dy, row: n, col: 1 }, b: right, y: block(dx, t), m, n: k, k: n }] : [];
      }), { apart: [dx] });
    }
    const biased = dys.flatMap((dy, t) => dy && bs[t]!.requiresGrad ? [{ dy, shape: bs[t]!.shape }] : []);
    const sums = columnSumsEach(biased.map(({ dy }) => dy), m, biased.map(({ shape }) => shape));
    const dbs = dys.map((dy, t) => dy && bs[t]!.requiresGrad ? sums.shift()! : null);
    return [dx, ...dws, ...dbs];
  });
}

function clear(y: Tensor): void {
  const count = size(y.shape);
  dispatch('elementwise/fill', { y }, { items: Math.ceil(count / 4), params: { count, value: 0 } });
}
