import { expectShape, size } from '../autograd/shape.ts';
import { withoutGrad } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { biasGradient, gemm, gemms, type Gemm, type Matrix } from './matmul.ts';
import { resizeTransposed } from './resize.ts';
import { resizeSum } from './resize_sum.ts';

/**
 * A 1×1 convolution of maps of several sizes, resized bilinearly to the size of one and concatenated:
 * y = W · concat(resize x_0, resize x_1, …) + b = Σ resize(W_i x_i) + b, as such a convolution and a resize
 * commute. Each x_i meets its columns W_i at its own size, equal sizes are summed: no resized or
 * concatenated map is ever stored.
 *
 * @param xs maps [..., h_i, w_i, c_i], or [T, ..., h_i, w_i, c_i] where `w` is a batch
 * @param w [N, Σ c_i] or [T, N, Σ c_i]
 * @param b [N] or [T, N], or null
 * @param options.base which of `xs` gives the size H × W; there are four other sizes at most
 * @returns y [..., H, W, N]
 */
export function pyramidLinear(xs: readonly Tensor[], w: Tensor, b: Tensor | null, { base = 0 } = {}): Tensor {
  const levels = levelsOf(xs, w, b);
  const { m: rows, n, side } = levels[base]!;
  const maps = new Map<string, Tensor>();
  gemms(levels.map((level, i) => forward(maps, level, w, i === base ? b : null)), { alike: true });
  const { [side]: whole, ...others } = Object.fromEntries(maps);
  const resized = Object.values(others);
  const y = resized.length > 0 ? withoutGrad(() => resizeSum(whole!, resized)) : whole!;

  return record('pyramidLinear', [...xs, w, ...(b ? [b] : [])], y, (dy) => {
    const dw = w.requiresGrad ? empty(w.shape, 'dw') : null;
    const dmaps = mapGradients(dw ? levels : levels.filter(({ x }) => x.requiresGrad), dy);
    const dxs = levels.map(({ x }) => x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null);
    const found = levels.flatMap((level) => {
      const dmap = dmaps.get(level.side);
      return dmap ? [{ level, dmap }] : [];
    });
    gemms(found.flatMap(({ level, dmap }) => {
      const dx = dxs[levels.indexOf(level)];
      return dx ? [inputGradient(level, dmap, w, dx)] : [];
    }), { alike: true });
    // one by one, as their kernels have so many loads that joined ones compile for seconds
    if (dw) for (const { level, dmap } of found) gemm(weightGradient(level, dmap, dw));
    return [...dxs, dw, ...(b ? [b.requiresGrad ? biasGradient(dy, b, rows, n) : null] : [])];
  });
}

/** A map seen as [batch, m, k], the first of its columns in w [batch, n, total], and its size in words. */
type Level = Readonly<Record<'batch' | 'm' | 'n' | 'k' | 'first' | 'total', number>> & {
  readonly x: Tensor; readonly side: string;
};

function levelsOf(xs: readonly Tensor[], w: Tensor, b: Tensor | null): Level[] {
  const [n, total] = w.shape.slice(-2) as [number, number];
  const lead = w.shape.slice(0, -2);
  const given = xs.reduce((sum, x) => sum + x.shape.at(-1)!, 0);
  expectShape('pyramidLinear', 'w', w.shape, [...lead, n, given]);
  if (b) expectShape('pyramidLinear', 'b', b.shape, [...lead, n]);
  let end = 0;
  return xs.map((x, i) => {
    expectShape('pyramidLinear', `the first axis of map ${i}`, x.shape.slice(0, lead.length), lead);
    const k = x.shape.at(-1)!;
    end += k;
    const side = x.shape.slice(-3, -1).join(' × ');
    return { x, batch: size(lead), m: size(x.shape) / k / size(lead), n, k, first: end - k, total, side };
  });
}

/** A level's product, which adds to the map of its size. */
function forward(maps: Map<string, Tensor>, level: Level, w: Tensor, bias: Tensor | null): Gemm {
  const { x, batch, m, n, k, first, total, side } = level;
  const known = maps.get(side);
  const map = known ?? empty([...x.shape.slice(0, -1), n], 'pyramidLinear map', x.dtype);
  maps.set(side, map);
  return {
    a: rowMajor(x, m, k), b: { tensor: w, at: first, row: 1, col: total, batch: n * total },
    y: rowMajor(map, m, n), m, n, k, batch, bias, biasBatch: n, accumulate: known !== undefined,
  };
}

/** The gradient of each size's map, by that size in words. */
function mapGradients(levels: readonly Level[], dy: Tensor): Map<string, Tensor> {
  const sizes = new Map(levels.map(({ side, x }) => [side, x.shape.slice(-3, -1) as [number, number]]));
  const found = resizeTransposed([...sizes.values()].map(([height, width]) => [dy, height, width]));
  return new Map([...sizes.keys()].map((side, i) => [side, found[i]!]));
}

/** The product that makes a level's columns of `dw`. */
function weightGradient({ x, batch, m, n, k, first, total }: Level, dmap: Tensor, dw: Tensor): Gemm {
  return {
    a: { tensor: dmap, row: 1, col: n, batch: m * n }, b: rowMajor(x, m, k),
    y: { tensor: dw, at: first, row: total, batch: n * total }, m: n, n: k, k: m, batch,
  };
}

function inputGradient({ batch, m, n, k, first, total }: Level, dmap: Tensor, w: Tensor, dx: Tensor): Gemm {
  return {
    a: rowMajor(dmap, m, n), b: { tensor: w, at: first, row: total, col: 1, batch: n * total },
    y: rowMajor(dx, m, k), m, n: k, k: n, batch,
  };
}

function rowMajor(tensor: Tensor, rows: number, columns: number): Matrix {
  return { tensor, row: columns, col: 1, batch: rows * columns };
}
