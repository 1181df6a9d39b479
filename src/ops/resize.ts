import { size } from '../autograd/shape.ts';
import { recordMany } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { isPlain, together } from './kernel_form.ts';
import { itemsFor } from './vectorise.ts';

/**
 * Bilinear interpolation with align_corners = false, up or down, without smoothing.
 *
 * @param x [..., h, w, C]
 * @returns y [..., outH, outW, C]
 */
export function resizeBilinear(x: Tensor, outH: number, outW: number): Tensor {
  return resizeEach([x], outH, outW)[0]!;
}

/** As `resizeBilinear`, for several maps, which may differ in all. */
export function resizeEach(xs: readonly Tensor[], outH: number, outW: number): Tensor[] {
  // along the short rows first: they are fewer
  const wide = resizeAxis('forward', -2, xs.map((x): AxisJob => [x, outW]));
  const ys = resizeAxis('forward', -3, wide.map((x): AxisJob => [x, outH]));
  const same = ys.every((y, i) => y === xs[i]);
  return same ? ys : recordMany('resizeBilinear', xs, ys, (dys) => {
    const given = dys.flatMap((dy, i) => dy ? [[dy, ...sidesOf(xs[i]!)] as const] : []);
    const found = resizeTransposed(given);
    return dys.map((dy) => dy && found.shift()!);
  });
}

/**
 * The transpose of `resizeBilinear`, which takes gradients back: each pixel gathers from what it gave to.
 *
 * @param jobs of each map dy [..., outH, outW, C] and the sides h, w of its dx [..., h, w, C]
 */
export function resizeTransposed(jobs: readonly (readonly [Tensor, number, number])[]): Tensor[] {
  const low = resizeAxis('backward', -3, jobs.map(([dy, h]): AxisJob => [dy, h]));
  return resizeAxis('backward', -2, low.map((each, i): AxisJob => [each, jobs[i]![2]]));
}

const sidesOf = (x: Tensor): [number, number] => x.shape.slice(-3, -1) as [number, number];

/** A map and the extent that one of its axes shall have. */
type AxisJob = readonly [Tensor, number];

function resizeAxis(entry: 'forward' | 'backward', axis: -2 | -3, jobs: readonly AxisJob[]): Tensor[] {
  const at = ({ shape }: Tensor): number => shape.length + axis;
  const results = jobs.map(([from, extent]) => from.shape[at(from)] === extent
    ? from : empty(from.shape.with(at(from), extent), 'resize', from.dtype));
  const changed = jobs.flatMap(([from], i) => results[i] === from ? [] : [[from, results[i]!] as const]);
  const what = changed.map(([from, to]) => `resize [${from.shape.join(', ')}] to [${to.shape.join(', ')}]`);
  const bodies = changed.map(([from, to]) => (): void => launch(entry, from, to, at(from)));
  if (bodies.length > 0) together(`${what.join(', ')}, ${entry}`, bodies);
  return results;
}

function launch(entry: 'forward' | 'backward', from: Tensor, to: Tensor, at: number): void {
  const [old, extent] = [from.shape[at]!, to.shape[at]!];
  const columns = size(from.shape.slice(at + 1));
  const { width, tuning } = itemsFor(columns);
  const outer = size(from.shape.slice(0, at));
  const inner = columns / width;
  const forward = entry === 'forward';
  const [sizeIn, sizeOut] = forward ? [old, extent] : [extent, old];
  const buffers: Record<string, Tensor> = forward ? { x: from, y: to } : { dy: from, dx: to };
  const sizes = { outer, inner, size_in: sizeIn };
  if (sizeOut % sizeIn === 0 && !isPlain(tracing('resize').gpu)) {
    const runs = Math.ceil((sizeIn + Number(forward)) / WHOLE_RUN);
    dispatch(`resize_whole/${entry}`, buffers, {
      threads: outer * inner * runs, tuning: { ...tuning, RATIO: sizeOut / sizeIn },
      params: { ...sizes, run: WHOLE_RUN },
    });
  } else {
    dispatch(`resize/${entry}`, buffers, {
      threads: outer * inner * (forward ? Math.ceil(extent / RUN) : extent), tuning: { ...tuning, RUN },
      params: { ...sizes, size_out: sizeOut },
    });
  }
}

// outputs of a thread, or inputs where these are a whole fraction: enough to carry on what it loaded
const RUN = 16;
const WHOLE_RUN = 8;
