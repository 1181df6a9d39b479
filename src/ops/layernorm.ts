import { expectShape, size } from '../autograd/shape.ts';
import { recall, recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { dispatch, tracing, type Launch } from '../gpu/program.ts';
import { tuned, upTo } from '../gpu/tuning.ts';
import { sumColumns } from './column_sums.ts';
import { partialSums, sumLater } from './gathered_sums.ts';
import { guarded, kernelForm } from './kernel_form.ts';

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it.
 *
 * @param x [..., C]
 * @param w [C]
 * @param b [C]
 * @returns y [..., C]; keeps the mean and 1/std of each row for backward
 */
export function layernorm(x: Tensor, w: Tensor, b: Tensor, { eps = EPS } = {}): Tensor {
  expectNorm('layernorm', x, w, b);
  const channels = x.shape.at(-1)!;
  const rows = size(x.shape) / channels;
  const name = `layernorm [${rows}, ${channels}]`;
  const normalise = (from: Tensor, stats: Tensor): Tensor => {
    const y = empty(x.shape, 'layernorm', x.dtype);
    guarded(name, () => normForward(eps, { x: from, w, b, y, stats }));
    return y;
  };
  const stats = empty([rows, 2], 'layernorm stats');
  const output = record('layernorm', [x, w, b], normalise(x, stats), (dy) => {
    const kept = recall(x);
    const affine = w.requiresGrad || b.requiresGrad;
    const dx = empty(x.shape, 'dx', x.dtype);
    const [dw, db] = affine ? [empty(w.shape, 'dw'), empty(b.shape, 'db')] : [null, null];
    // the statistics are those of x
    const before = (): void => {
      normForward(eps, { x: kept, w, b, y: empty(x.shape, 'unused', x.dtype), stats });
    };
    const buffers = { x: kept, w, stats, dy, dx, dw, db };
    const parts = dw && laterParts(kept);
    guarded(`${name}, backward`, () => normBackward(eps, buffers, parts), { before });
    if (parts) sumParts(parts, dw, db!);
    return [x.requiresGrad ? dx : null, dw, db];
  });
  return recomputable(output, () => normalise(recall(x), empty(stats.shape, 'layernorm stats again')));
}

/** Of the variance, as PyTorch adds it. */
export const EPS = 1e-5;

/** @throws Error where weight and bias do not fit the last axis */
export function expectNorm(op: string, x: Tensor, w: Tensor, b: Tensor): void {
  expectShape(op, 'w', w.shape, x.shape.slice(-1));
  expectShape(op, 'b', b.shape, x.shape.slice(-1));
}

type Buffers<Name extends string> = Readonly<Record<Name, Tensor>>;

/** Launches the forward pass, outside of the tape. */
export function normForward(eps: number, buffers: Buffers<'x' | 'w' | 'b' | 'y' | 'stats'>): void {
  const { file, tuning, workgroups, params } = choose(buffers.x, eps);
  dispatch(`${file}/forward`, buffers, { params, tuning, workgroups });
}

type Gradients = Buffers<'x' | 'w' | 'stats' | 'dy' | 'dx'> & Readonly<Record<'dw' | 'db', Tensor | null>>;

/** Sums of a run of rows, [runs, C]. */
export type Parts = Buffers<'part_w' | 'part_b'>;

/** Where the panel form leaves sums of runs, to be added up with those of others; null in other forms. */
export function laterParts(x: Tensor): Parts | null {
  const panel = panelLaunch(x);
  if (!panel) return null;
  const { runs, channels } = panel.params;
  return { part_w: partialSums([runs, channels]), part_b: partialSums([runs, channels]) };
}

export function sumParts({ part_w, part_b }: Parts, dw: Tensor, db: Tensor): void {
  sumLater(part_w, dw);
  sumLater(part_b, db);
}

/** Launches the backward pass: of x alone where `dw` is null; into `later` without adding up its runs. */
export function normBackward(
  eps: number, { x, w, stats, dy, dx, dw, db }: Gradients, later: Parts | null = null,
): void {
  const { file, tuning, workgroups, params } = choose(x, eps);
  const { runs, channels } = params;
  const parts = later
    ?? { part_w: empty([runs, channels], 'dw parts'), part_b: empty([runs, channels], 'db parts') };
  const known = { x, stats, dy };
  if (file !== 'layernorm') {
    dispatch(`${file}/backward`, { ...known, w, dx, ...parts }, { params, tuning, workgroups });
  } else {
    const launch = { params, tuning };
    dispatch('layernorm/backward_x', { ...known, w, dx }, { ...launch, workgroups });
    const threads = runs * params.items;
    if (dw) dispatch('layernorm/partial_affine', { ...known, ...parts }, { ...launch, threads });
  }
  if (!dw || !db || later) return;                                       // frozen: costs nothing
  if (file === 'layernorm_tile') {
    sumColumns(parts.part_w, 1, runs, channels, dw);
    sumColumns(parts.part_b, 1, runs, channels, db);
  } else {
    const launch = { params, tuning: itemOf(channels), threads: params.items };
    dispatch('layernorm/backward_affine', { ...parts, dw, db }, launch);
  }
}

// the gradients of w and b are sums over runs of rows: enough of them to fill a device, few to add up
const MAX_RUNS = { software: 32, gpu: 256 };
const MIN_RUN = 32;

// drivers unroll the items that a lane holds: past this, compiling takes seconds and saves little
const MAX_HELD = 3;

// of the tile form: workgroups of 128 threads at least, with some steps of a walk each
const TILE = { THREADS: 128, MOST_THREADS: 256, HELD: 4, RUNS: 2048, STEPS: 8 };

type Choice = {
  readonly file: 'layernorm' | 'layernorm_panel' | 'layernorm_tile';
  readonly params: { rows: number; channels: number; items: number; eps: number; run: number; runs: number };
  readonly tuning: NonNullable<Launch['tuning']>;
  readonly workgroups: number;
};

function choose(x: Tensor, eps: number): Choice {
  const { gpu } = tracing('layernorm');
  const channels = x.shape.at(-1)!;
  const rows = size(x.shape) / channels;
  const tile = kernelForm(gpu) === 'tile' ? chooseTile(gpu, rows, channels, eps) : null;
  if (tile) return tile;
  const { most } = tuned(gpu, 'layernorm', `${upTo(rows)} of ${channels}`,
    { most: MAX_RUNS[gpu.deviceClass] }, () => [4, 8, 16, 32, 64].map((runs) => ({ most: runs })));
  const run = Math.max(MIN_RUN, Math.ceil(rows / most));
  const runs = Math.ceil(rows / run);
  const items = channels % 4 === 0 ? channels / 4 : channels;
  const params = { rows, channels, items, eps, run, runs };
  const panel = panelTuning(gpu, channels);
  if (panel) return { file: 'layernorm_panel', params, workgroups: runs, tuning: panel };
  const WG = gpu.deviceClass === 'software' ? 8 : 32;
  return { file: 'layernorm', params, workgroups: rows, tuning: { WG, ...itemOf(channels) } };
}

/** The launch of the panel form for x, where the device and the width suit it; else null. */
export function panelLaunch(x: Tensor): Omit<Choice, 'file'> | null {
  const { file, ...launch } = choose(x, EPS);
  return file === 'layernorm_panel' ? launch : null;
}

function panelTuning(gpu: Gpu, channels: number): Choice['tuning'] | null {
  const held = channels / 4 / gpu.subgroupSize;
  if (kernelForm(gpu) !== 'panel' || !Number.isInteger(held)) return null;
  return { LANES: gpu.subgroupSize, ...held > MAX_HELD ? { HELD: 1, WIDE: 1 } : { HELD: held } };
}

// as few threads a row as can hold it
function chooseTile(gpu: Gpu, rows: number, channels: number, eps: number): Choice | null {
  const items = channels / 4;
  const LANES = 2 ** Math.ceil(Math.log2(items / TILE.HELD));
  if (!Number.isInteger(items) || LANES > TILE.MOST_THREADS) return null;
  const lanes = Math.max(1, LANES);
  const WG = Math.max(TILE.THREADS, lanes);
  const abreast = WG / lanes;
  const run = abreast * Math.max(TILE.STEPS, Math.ceil(rows / abreast / TILE.RUNS));
  const runs = Math.ceil(rows / run);
  return {
    file: 'layernorm_tile', params: { rows, channels, items, eps, run, runs }, workgroups: runs,
    tuning: {
      WG, LANES: lanes, HELD: Math.ceil(items / lanes), UNROLL: Number(gpu.deviceClass === 'gpu'),
    },
  };
}

const itemOf = (channels: number) => ({ Item: channels % 4 === 0 ? 'vec4f' : 'f32' });
