import { attentionPanel, attentionPanelKey } from '../../kernels/window_attention_panel.ts';
import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../gpu/program.ts';
import { partialSums, sumLater, type Reducer } from './gathered_sums.ts';
import { guarded, kernelForm } from './kernel_form.ts';
import { chooseTile, tileBackward, tileForward } from './window_attention_tile.ts';

export type WindowAttention = {
  readonly heads: number;
  /** Side of a window in tokens; H and W must be multiples of it. */
  readonly windowSize: number;
  /** Cyclic shift before windowing, below the window size; 0 for none. */
  readonly shift?: number;
};

/**
 * Window attention with relative position bias: softmax(q·k / √headDim + bias + mask)·v in every window and
 * head. The shift, the windows and the mask are index arithmetic.
 *
 * @param qkv [..., H, W, 3C], the last axis (q|k|v, head, head dim)
 * @param biasTable [(2 windowSize − 1)², heads]
 * @returns y [..., H, W, C], every token in its place on the map
 */
export function windowAttention(qkv: Tensor, biasTable: Tensor, options: WindowAttention): Tensor {
  const job = check(qkv, biasTable, options);
  const { windows, heads, area } = job;
  const y = empty(job.shape, 'attention', qkv.dtype);
  const lse = empty([windows, heads, area], 'attention lse');
  const known = { qkv, table: biasTable, y, lse };
  const name = `windowAttention [${qkv.shape.join(', ')}] of ${heads} heads`;
  guarded(name, () => forward(job, known));
  return record('windowAttention', [qkv, biasTable], y, (dy) => {
    const dqkv = empty(qkv.shape, 'dqkv', qkv.dtype);
    const dtable = biasTable.requiresGrad ? empty(biasTable.shape, 'dtable') : null;
    // y and lse belong to qkv
    const before = (): void => forward(job, known);
    const by = tableReducer(job);
    const part = dtable && choosePanel(job) ? partialSums([job.runs, heads, area, area], by) : null;
    guarded(`${name}, backward`, () => backward(job, { ...known, dy, dqkv }, dtable, part), { before });
    if (part) sumLater(part, dtable!, by);
    return [dqkv, dtable];
  });
}

export type Buffers<Name extends string> = Readonly<Record<Name, Tensor>>;

function forward(job: Job, buffers: Buffers<'qkv' | 'table' | 'y' | 'lse'>): void {
  const [panel, tile] = [choosePanel(job), chooseTile(job)];
  const threads = job.windows * job.heads * job.area;
  const flops = flopsOf(job);
  if (panel) dispatch('window_attention_panel/forward', buffers, { ...panel, flops });
  else if (tile) tileForward(job, tile, buffers, flops);
  else dispatch('window_attention/forward', buffers, { ...job.plain, threads, flops });
}

type Gradients = Buffers<'qkv' | 'table' | 'y' | 'lse' | 'dy' | 'dqkv'>;

// the table's gradient with those of other blocks
const tableReducer = ({ side, heads }: Job): Reducer =>
  ({ path: 'window_attention_tables/forward', tuning: { SIDE: side }, extra: heads });

// into `later`, where there is such, without adding up its runs and pairs
function backward(job: Job, buffers: Gradients, dtable: Tensor | null, later: Tensor | null): void {
  const [panel, tile] = [choosePanel(job), chooseTile(job)];
  if (tile) {
    tileBackward(job, tile, buffers, dtable, flopsOf(job));
    return;
  }
  const { heads, area, runs, plain } = job;
  const { qkv, table, lse, dy, dqkv } = buffers;
  const part = later ?? empty([runs, heads, area, area], 'dtable parts');
  if (panel) {
    const launch = { ...panel, flops: 2.5 * flopsOf(job) };
    dispatch('window_attention_panel/backward', { qkv, table, lse, dy, dqkv, part }, launch);
  } else {
    plainBackward(job, buffers, dtable && part);
  }
  if (!dtable || later) return;
  dispatch('window_attention_table/backward', { part, dtable }, { ...plain, threads: size(dtable.shape) });
}

function plainBackward(job: Job, { y, dqkv, ...known }: Gradients, part: Tensor | null): void {
  const { windows, heads, area, plain } = job;
  const flops = flopsOf(job);
  const delta = empty(known.lse.shape, 'attention delta');
  const launch = { ...plain, threads: windows * heads * area, flops: 1.25 * flops };
  dispatch('window_attention/backward_q', { ...known, y, delta, dqkv }, launch);
  dispatch('window_attention/backward_kv', { ...known, delta, dqkv }, launch);
  if (!part) return;
  const perPair = { ...plain, threads: size(part.shape), flops };
  dispatch('window_attention_table/partial', { ...known, delta, part }, perPair);
}

// of q·kᵀ and p·v together
const flopsOf = ({ windows, heads, area, headDim }: Job): number => 4 * windows * heads * area ** 2 * headDim;

// the table's gradient is a sum over runs of windows
const MAX_RUNS = 16;
const MAX_PANEL_SIDE = 12;

export type Job = {
  readonly shape: readonly number[];
  readonly windows: number; readonly heads: number; readonly headDim: number;
  readonly side: number; readonly area: number; readonly runs: number;
  readonly params: Record<string, number>;
  /** Parameters and tuning of the plain kernels. */
  readonly plain: Pick<Launch, 'params' | 'tuning'>;
};

function check(qkv: Tensor, biasTable: Tensor, { heads, windowSize: side, shift = 0 }: WindowAttention): Job {
  const [height, width, wide] = qkv.shape.slice(-3) as [number, number, number];
  const headDim = wide / 3 / heads;
  if (!Number.isInteger(headDim)) {
    throw new Error(`windowAttention: qkv's last axis must be a multiple of 3 · ${heads} heads, got ${wide}`);
  }
  for (const [axis, length] of [['H', height], ['W', width]] as const) {
    if (length % side === 0) continue;
    throw new Error(`windowAttention: ${axis} = ${length} must be a multiple of windowSize = ${side}`);
  }
  if (!(shift >= 0 && shift < side)) {
    throw new Error(`windowAttention: shift must be from 0 to ${side - 1}, got ${shift}`);
  }
  expectShape('windowAttention', 'biasTable', biasTable.shape, [(2 * side - 1) ** 2, heads]);

  const area = side ** 2;
  const windows = size(qkv.shape.slice(0, -1)) / area;
  const run = Math.ceil(windows / MAX_RUNS);
  const runs = Math.ceil(windows / run);
  const params = { windows, heads, height, width, shift, scale: headDim ** -0.5, run, runs };
  const items = headDim % 4 === 0
    ? { Item: 'vec4f', WIDTH: 4, ITEMS: headDim / 4 }
    : { Item: 'f32', WIDTH: 1, ITEMS: headDim };
  return {
    shape: [...qkv.shape.slice(0, -1), wide / 3], windows, heads, headDim, side, area, runs,
    params, plain: { params, tuning: { SIDE: side, ...items } },
  };
}

/** The launch of the panel form, where it suits the device and the sizes fit; else null. */
function choosePanel({ heads, headDim, side, runs, params }: Job): Launch | null {
  const { gpu } = tracing('windowAttention');
  const lanes = gpu.subgroupSize;
  if (kernelForm(gpu) !== 'panel' || headDim % (4 * lanes) !== 0 || side > MAX_PANEL_SIDE) return null;
  const shape = { lanes, headDim, side };
  const generated = { key: attentionPanelKey(shape), code: () => attentionPanel(shape) };
  return { params, generated, workgroups: runs * heads };
}
