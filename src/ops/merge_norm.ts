import { size } from '../autograd/shape.ts';
import { handOver, isAwaited, recall, recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { guarded } from './kernel_form.ts';
import {
  EPS, expectNorm, laterParts, normBackward, normForward, panelLaunch, sumParts, type Parts,
} from './layernorm.ts';
import { gatherPatches, mergedShape, scatterPatches } from './merge_patches.ts';
import type { Norm } from './residual_norm.ts';

type Job = Norm & { readonly x: Tensor; readonly y: Tensor; readonly stats: Tensor };
type Grads = Readonly<Record<'dx' | 'again', Tensor>> & Readonly<Record<'dw' | 'db', Tensor | null>>;

/**
 * The layernorm of merged 2×2 neighbours, see `mergePatches`: in one pass each way, where the device's form
 * has one.
 *
 * @param x [..., H, W, C] of even H and W
 * @param norm weight and bias [4C]
 * @returns [..., H/2, W/2, 4C]
 */
export function mergeNorm(x: Tensor, norm: Norm): Tensor {
  const { w, b } = norm;
  const shape = mergedShape('mergeNorm', x.shape);
  const like = (label: string): Tensor => empty(shape, label, x.dtype);
  const rows = size(shape) / shape.at(-1)!;
  const name = `mergeNorm [${rows}, ${shape.at(-1)!}]`;
  const made = (from: Tensor): Job => ({
    x: from, ...norm, y: like('merged norm'), stats: empty([rows, 2], 'layernorm stats'),
  });
  const job = made(x);
  expectNorm('mergeNorm', job.y, w, b);
  guarded(name, () => forward(job));

  const output: Tensor = record('mergeNorm', [x, w, b], job.y, (dy) => {
    const own = { ...job, x: recall(x) };
    const affine = w.requiresGrad || b.requiresGrad;
    const grads = {
      dx: empty(x.shape, 'dx', x.dtype), again: like('merged norm again'),
      dw: affine ? empty(w.shape, 'dw') : null, db: affine ? empty(b.shape, 'db') : null,
    };
    const parts = affine ? laterParts(job.y) : null;
    // the statistics are those of x
    const before = (): void => forward({ ...own, y: like('unused') });
    guarded(`${name}, backward`, () => backward(own, dy, grads, parts), { before });
    if (parts) sumParts(parts, grads.dw!, grads.db!);
    if (isAwaited(output)) handOver(output, grads.again);
    return [x.requiresGrad ? grads.dx : null, grads.dw, grads.db];
  });
  return recomputable(output, () => {
    const again = made(recall(x));
    guarded(name, () => forward(again));
    return again.y;
  }, { handsOver: true });
}

function forward({ x, w, b, y, stats }: Job): void {
  const panel = panelLaunch(y);
  if (panel) {
    const params = { ...panel.params, ...sizesOf(x) };
    dispatch('merge_norm/forward', { x, w, b, y, stats }, { ...panel, params });
    return;
  }
  normForward(EPS, { x: merged(x, y), w, b, y, stats });
}

function backward({ x, w, b, y, stats }: Job, dy: Tensor, grads: Grads, later: Parts | null): void {
  const { dx, dw, db, again } = grads;
  const panel = panelLaunch(y);
  if (panel) {
    const { runs, channels } = panel.params;
    const parts = later
      ?? { part_w: empty([runs, channels], 'unused'), part_b: empty([runs, channels], 'unused') };
    const params = { ...panel.params, ...sizesOf(x) };
    dispatch('merge_norm/backward', { x, w, b, stats, dy, dx, again, ...parts }, { ...panel, params });
    return;
  }
  const [from, through] = [merged(x, y), empty(y.shape, 'dx', y.dtype)];
  normBackward(EPS, { x: from, w, stats, dy, dx: through, dw, db }, later);
  scatterPatches(through, dx);
  normForward(EPS, { x: from, w, b, y: again, stats: empty(stats.shape, 'layernorm stats again') });
}

/** What the kernel counts in: merged tokens of a row of the map, items of a pixel. */
const sizesOf = ({ shape }: Tensor): Record<'across' | 'quarter', number> =>
  ({ across: shape.at(-2)! / 2, quarter: shape.at(-1)! / 4 });

function merged(x: Tensor, like: Tensor): Tensor {
  const y = empty(like.shape, 'merged patches', like.dtype);
  gatherPatches(x, y);
  return y;
}
