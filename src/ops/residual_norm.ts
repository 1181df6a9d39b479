import { size } from '../autograd/shape.ts';
import { handOver, isAwaited, recall, recomputable, recomputableAs } from '../autograd/recall.ts';
import { recordMany } from '../autograd/tape.ts';
import { empty, viewAs, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { addInto, zerosLike } from './elementwise.ts';
import { guarded } from './kernel_form.ts';
import {
  EPS, expectNorm, laterParts, layernorm, normBackward, normForward, panelLaunch, sumParts, type Parts,
} from './layernorm.ts';
import { addResidual, residualGradient, residualOf, scaleSamples } from './residual.ts';
import type { ResidualOptions, Terms } from './residual.ts';

/** A tensor and its layernorm, [..., C] both. */
export type Normed = { readonly x: Tensor; readonly normed: Tensor };

/** Weight and bias of a norm, [C]. */
export type Norm = { readonly w: Tensor; readonly b: Tensor };

/** What belongs to the norm of `sum`; `terms` are what that is the sum of, null where it was there before. */
type Job = Norm & { readonly terms: Terms | null; readonly sum: Tensor; readonly stats: Tensor };

/**
 * A residual and the layernorm of the sum, in one pass each way where the device's form has one.
 *
 * @param x [1 or G, B, ..., C]
 * @param branch [G, B, ..., C]
 * @returns x + dropPath(branch) as `residual` gives it, [G, B, ..., C], and its norm
 */
export function residualNorm(x: Tensor, branch: Tensor, norm: Norm, options: ResidualOptions): Normed {
  const terms = residualOf('residualNorm', x, branch, options);
  const sum = empty(branch.shape, 'residual', branch.dtype);
  const job = jobOf('residualNorm', sum, norm, terms);
  const y = empty(sum.shape, 'layernorm', sum.dtype);
  guarded(nameOf(job), () => forward(job, y));
  const inputs = [x, branch, norm.w, norm.b];
  const [summed, normed] = recordMany('residualNorm', inputs, [sum, y], ([skip, dy]): (Tensor | null)[] => {
    const { dx, dw, db, dbranch } = gradients(job, normed!, dy ?? zerosLike(y), skip ?? zerosLike(sum));
    return [residualGradient(terms, dx), dbranch ?? dx, dw, db];
  });
  return { x: summed!, normed: recomputableNorm(normed!, summed!, norm) };
}

/** x and its layernorm, for what is used both ways: the gradients of both come back in one pass. */
export function withNorm(x: Tensor, norm: Norm): Normed {
  if (!x.requiresGrad) return { x, normed: layernorm(x, norm.w, norm.b) };
  const job = jobOf('withNorm', x, norm, null);
  const y = empty(x.shape, 'layernorm', x.dtype);
  guarded(nameOf(job), () => forward(job, y));
  const outputs = [viewAs(x, x.shape), y];
  const [same, normed] = recordMany('withNorm', [x, norm.w, norm.b], outputs, ([skip, dy]) => {
    const known = { ...job, sum: recall(x) };
    const { dx, dw, db } = gradients(known, normed!, dy ?? zerosLike(y), skip ?? zerosLike(x));
    return [dx, dw, db];
  });
  return { x: recomputableAs(same!, x, (made) => made), normed: recomputableNorm(normed!, x, norm) };
}

const recomputableNorm = (normed: Tensor, x: Tensor, { w, b }: Norm): Tensor =>
  recomputable(normed, () => layernorm(recall(x), w, b), { handsOver: true });

function jobOf(op: string, sum: Tensor, norm: Norm, terms: Terms | null): Job {
  expectNorm(op, sum, norm.w, norm.b);
  return { ...norm, terms, sum, stats: empty([size(sum.shape) / sum.shape.at(-1)!, 2], 'layernorm stats') };
}

const nameOf = ({ sum: { shape }, terms }: Job): string =>
  `${terms ? 'residualNorm' : 'withNorm'} [${size(shape) / shape.at(-1)!}, ${shape.at(-1)!}]`;

function forward({ terms, sum, stats, w, b }: Job, y: Tensor): void {
  const panel = terms && panelLaunch(sum);
  if (!panel) {
    if (terms) addResidual(terms, sum);
    normForward(EPS, { x: sum, w, b, y, stats });
    return;
  }
  const { x, branch, mask } = terms;
  const params = { ...panel.params, ...rowsOf(terms) };
  const buffers = { x, branch, mask: mask ?? w, w, b, sum, y, stats };
  dispatch('residual_norm/forward', buffers, { ...panel, params });
}

type Upstream = { readonly dy: Tensor; readonly skip: Tensor };

/** `dw` and `db` are null where both are frozen, `dbranch` where it is `dx`; `again` is the norm. */
type Grads = Readonly<Record<'dx' | 'again', Tensor>>
  & Readonly<Record<'dw' | 'db' | 'dbranch', Tensor | null>>;

function gradients(job: Job, normed: Tensor, dy: Tensor, skip: Tensor): Grads {
  const { terms, sum, stats, w, b } = job;
  const affine = w.requiresGrad || b.requiresGrad;
  const like = (label: string): Tensor => empty(sum.shape, label, sum.dtype);
  const grads = {
    dx: like('dx'), again: like('layernorm again'),
    dw: affine ? empty(w.shape, 'dw') : null, db: affine ? empty(b.shape, 'db') : null,
    dbranch: terms?.mask && terms.branch.requiresGrad ? like('dropPath') : null,
  };
  // the statistics are those of the sum
  const before = (): void => normForward(EPS, { x: sum, w, b, y: like('unused'), stats });
  const parts = affine ? laterParts(sum) : null;
  guarded(`${nameOf(job)}, backward`, () => backward(job, { dy, skip }, grads, parts), { before });
  if (parts) sumParts(parts, grads.dw!, grads.db!);
  if (isAwaited(normed)) handOver(normed, grads.again);
  return grads;
}

function backward(
  { terms, sum, stats, w, b }: Job, { dy, skip }: Upstream, grads: Grads, later: Parts | null,
): void {
  const { dx, dw, db, dbranch, again } = grads;
  const known = { x: sum, w, stats, dy };
  const panel = panelLaunch(sum);
  if (!panel) {
    const through = empty(sum.shape, 'dx', sum.dtype);
    normBackward(EPS, { ...known, dx: through, dw, db }, later);
    addInto(through, skip, dx);
    if (dbranch) scaleSamples(dx, terms!.mask!, dbranch);
    normForward(EPS, { x: sum, w, b, y: again, stats: empty(stats.shape, 'layernorm stats again') });
    return;
  }
  const { runs, channels } = panel.params;
  const parts = later
    ?? { part_w: empty([runs, channels], 'unused'), part_b: empty([runs, channels], 'unused') };
  const [mask, rows] = dbranch ? [terms!.mask!, rowsOf(terms!)] : [w, NO_ROWS];
  // a kernel without a branch binds something there
  const branch = dbranch ?? empty([4], 'unused');
  const tuning = { ...panel.tuning, BRANCH: Number(dbranch !== null) };
  dispatch('residual_norm/backward', { ...known, b, skip, dx, again, ...parts, mask, dbranch: branch }, {
    ...panel, params: { ...panel.params, ...rows }, tuning,
  });
}

const NO_ROWS = { x_rows: 0, residual_rows: 0, sample_rows: 0, masked: 0 };

/** What the kernel counts in rows: those of x, those that get x added, those of a sample. */
function rowsOf({ x, branch: { shape }, mask, residualStreams }: Terms): typeof NO_ROWS {
  const channels = shape.at(-1)!;
  return {
    x_rows: size(x.shape) / channels, residual_rows: size(shape.slice(1, -1)) * residualStreams,
    sample_rows: size(shape.slice(2, -1)), masked: Number(mask !== null),
  };
}
