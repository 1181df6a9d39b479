import { size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { guarded, isPlain } from './kernel_form.ts';
import { itemsFor } from './vectorise.ts';

/**
 * Bilinear interpolation with align_corners = false, up or down, without smoothing.
 *
 * @param x [..., h, w, C]
 * @returns y [..., outH, outW, C]
 */
export function resizeBilinear(x: Tensor, outH: number, outW: number): Tensor {
  const [h, w] = x.shape.slice(-3, -1) as [number, number];
  if (h === outH && w === outW) return x;
  const wide = resizeAxis('forward', x, -2, outW);               // along the short rows first: they are fewer
  const y = resizeAxis('forward', wide, -3, outH);
  return record('resizeBilinear', [x], y, (dy) => [resizeTransposed(dy, h, w)]);
}

/**
 * The transpose of `resizeBilinear`, which takes a gradient back: each pixel gathers from what it gave to.
 *
 * @param dy [..., outH, outW, C]
 * @returns dx [..., h, w, C]
 */
export function resizeTransposed(dy: Tensor, h: number, w: number): Tensor {
  return resizeAxis('backward', resizeAxis('backward', dy, -3, h), -2, w);
}

function resizeAxis(entry: 'forward' | 'backward', from: Tensor, axis: -2 | -3, extent: number): Tensor {
  const at = from.shape.length + axis;
  const old = from.shape[at]!;
  if (old === extent) return from;
  const to = empty(from.shape.with(at, extent), 'resize', from.dtype);
  const what = `resize [${from.shape.join(', ')}] to [${to.shape.join(', ')}], ${entry}`;
  guarded(what, () => launch(entry, from, to, at));
  return to;
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
