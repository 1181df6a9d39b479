import { size } from '../autograd/shape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../gpu/program.ts';
import { columnSums } from './column_sums.ts';
import { kernelForm } from './kernel_form.ts';
import type { Buffers, Job } from './window_attention.ts';

type Tuning = NonNullable<Launch['tuning']>;

// a thread's rows must fit its registers, a window's tokens a workgroup
const MAX_HEAD_DIM = 64;
const MAX_AREA = 144;
// what every device grants a workgroup: more would leave room for fewer workgroups at once
const WORKGROUP_BYTES = 16384;
// runs of windows for the table's gradient: workgroups to fill a large device, in so many bytes at most
const BUSY = 2048;
const MAX_PART_BYTES = 2 ** 26;

/** The tuning of the tile form, where it suits the device and the sizes fit; else null. */
export function chooseTile({ headDim, side, area, plain }: Job): Tuning | null {
  const { gpu } = tracing('windowAttention');
  if (kernelForm(gpu) !== 'tile' || headDim > MAX_HEAD_DIM || area > MAX_AREA) return null;
  const width = headDim % 4 === 0 ? 4 : 1;
  const rowBytes = 2 * side * 4 * (headDim + width);              // a row of the window, of two sets, padded
  const otherBytes = 4 * (2 * side - 1) ** 2 + 16 * area;
  const most = Math.floor((WORKGROUP_BYTES - otherBytes) / rowBytes);
  const ROWS = Math.ceil(side / Math.ceil(side / most));
  return { ...plain.tuning, WG: 32 * Math.ceil(area / 32), ROWS, UNROLL: Number(gpu.deviceClass === 'gpu') };
}

/** Writes y [..., H, W, C] and lse [windows, heads, AREA]. */
export function tileForward(
  { windows, heads, params }: Job, tuning: Tuning, buffers: Buffers<'qkv' | 'table' | 'y' | 'lse'>,
  flops: number,
): void {
  const unread = { dy: buffers.qkv };
  const launch = { params, tuning, flops, workgroups: windows * heads };
  dispatch('window_attention_tile/forward', { ...buffers, ...unread }, launch);
}

/** Writes dqkv and the table's gradient [(2 windowSize − 1)², heads], where it has one. */
export function tileBackward(
  job: Job, tuning: Tuning, buffers: Buffers<'qkv' | 'table' | 'y' | 'lse' | 'dy' | 'dqkv'>,
  dtable: Tensor | null, flops: number,
): void {
  const { windows, heads, area, plain } = job;
  const { table, dqkv, ...known } = buffers;
  const biased = dtable !== null;
  const fitting = Math.max(1, Math.floor(MAX_PART_BYTES / (4 * heads * area ** 2)));
  const run = Math.ceil(windows / Math.min(windows, Math.ceil(BUSY / heads), fitting));
  const runs = Math.ceil(windows / run);
  const params = { ...job.params, run, runs };
  const delta = empty(known.lse.shape, 'attention delta');
  const part = empty(biased ? [runs, heads, area, area] : [1], 'dtable parts');
  dispatch('window_attention_tile/backward_q', { ...known, table, delta, dqkv, part }, {
    params, flops: 1.5 * flops, workgroups: runs * heads, tuning: { ...tuning, BIASED: Number(biased) },
  });
  dispatch('window_attention_tile/backward_kv', { ...known, table, delta, dqkv }, {
    params, tuning, flops: 2 * flops, workgroups: windows * heads,
  });
  if (!dtable) return;
  const total = columnSums(part, 1, runs, heads * area ** 2, [1, heads, area, area]);
  dispatch('window_attention_table/backward', { part: total, dtable }, {
    params: { ...params, runs: 1 }, tuning: { ...plain.tuning, BY_KEY: 1 }, threads: size(dtable.shape),
  });
}
