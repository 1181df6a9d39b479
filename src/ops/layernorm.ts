import { expectShape, size } from '../autograd/shape.ts';
import { recall, recomputable, record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { dispatch, tracing, type Launch } from '../gpu/program.ts';
import { columnSums } from './column_sums.ts';
import { kernelForm } from './kernel_form.ts';

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it.
 *
 * @param x [..., C]
 * @param w [C]
 * @param b [C]
 * @returns y [..., C]; keeps the mean and 1/std of each row for backward
 */
export function layernorm(x: Tensor, w: Tensor, b: Tensor, { eps = 1e-5 } = {}): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = size(x.shape) / channels;
  expectShape('layernorm', 'w', w.shape, [channels]);
  expectShape('layernorm', 'b', b.shape, [channels]);

  const { file, tuning, workgroups, params } = choose(rows, channels, eps);
  const stats = empty([rows, 2], 'layernorm stats');
  const normalise = (from: Tensor, into: Tensor): Tensor => {
    const y = empty(x.shape, 'layernorm', x.dtype);
    dispatch(`${file}/forward`, { x: from, w, b, y, stats: into }, { params, tuning, workgroups });
    return y;
  };
  const output = record('layernorm', [x, w, b], normalise(x, stats), (dy) => {
    const kept = recall(x);
    const affine = w.requiresGrad || b.requiresGrad;
    const dx = empty(x.shape, 'dx', x.dtype);
    const part_w = empty([params.runs, channels], 'dw parts');
    const part_b = empty([params.runs, channels], 'db parts');
    if (file !== 'layernorm') {
      const buffers = { x: kept, w, stats, dy, dx, part_w, part_b };
      dispatch(`${file}/backward`, buffers, { params, tuning, workgroups });
    } else {
      const launch = { params, tuning };
      const known = { x: kept, stats, dy };
      if (x.requiresGrad) dispatch('layernorm/backward_x', { ...known, w, dx }, { ...launch, workgroups });
      const threads = params.runs * params.items;
      if (affine) dispatch('layernorm/partial_affine', { ...known, part_w, part_b }, { ...launch, threads });
    }
    if (!affine) return [dx, null, null];                                // frozen: costs nothing
    if (file === 'layernorm_tile') {
      const [dw, db] = [part_w, part_b].map((part) => columnSums(part, 1, params.runs, channels, [channels]));
      return [x.requiresGrad ? dx : null, dw!, db!];
    }
    const [dw, db] = [empty(w.shape, 'dw'), empty(b.shape, 'db')];
    const launch = { params, tuning: itemOf(channels), threads: params.items };
    dispatch('layernorm/backward_affine', { part_w, part_b, dw, db }, launch);
    return [x.requiresGrad ? dx : null, dw, db];
  });
  return recomputable(output, () => normalise(recall(x), empty(stats.shape, 'layernorm stats again')));
}

// the gradients of w and b are sums over runs of rows: enough of them to fill a device, few to add up
const MAX_RUNS = { software: 32, gpu: 256 };
const MIN_RUN = 32;
// drivers unroll the items that a lane holds: past this, compiling takes seconds and saves little
const MAX_HELD = 6;

// of the tile form: workgroups of 128 threads at least, with some steps of a walk each
const TILE = { THREADS: 128, MOST_THREADS: 256, HELD: 4, RUNS: 2048, STEPS: 8 };

type Choice = {
  readonly file: 'layernorm' | 'layernorm_panel' | 'layernorm_tile';
  readonly params: { rows: number; channels: number; items: number; eps: number; run: number; runs: number };
  readonly tuning: NonNullable<Launch['tuning']>;
  readonly workgroups: number;
};

function choose(rows: number, channels: number, eps: number): Choice {
  const { gpu } = tracing('layernorm');
  const tile = kernelForm(gpu) === 'tile' ? chooseTile(gpu, rows, channels, eps) : null;
  if (tile) return tile;
  const run = Math.max(MIN_RUN, Math.ceil(rows / MAX_RUNS[gpu.deviceClass]));
  const runs = Math.ceil(rows / run);
  const items = channels % 4 === 0 ? channels / 4 : channels;
  const params = { rows, channels, items, eps, run, runs };
  const held = channels / 4 / gpu.subgroupSize;
  if (kernelForm(gpu) === 'panel' && Number.isInteger(held) && held <= MAX_HELD) {
    const tuning = { LANES: gpu.subgroupSize, HELD: held };
    return { file: 'layernorm_panel', params, workgroups: runs, tuning };
  }
  const WG = gpu.deviceClass === 'software' ? 8 : 32;
  return { file: 'layernorm', params, workgroups: rows, tuning: { WG, ...itemOf(channels) } };
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
