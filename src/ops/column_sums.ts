import { size, type Shape } from '../autograd/shape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { partialSums, sumLater } from './gathered_sums.ts';
import { guarded, kernelForm, together } from './kernel_form.ts';
import { itemsFor } from './vectorise.ts';

/**
 * Σ over the middle axis of x [groups, rows, columns], in a fixed order: over runs of rows, then over those.
 *
 * @returns [groups, columns] as `shape`
 */
export function columnSums(x: Tensor, groups: number, rows: number, columns: number, shape: Shape): Tensor {
  if (groups === 1) return columnSumsEach([x], rows, [shape])[0]!;
  const sum = empty(shape, 'column sums');
  guarded(`columnSums [${groups}, ${rows}, ${columns}]`, () => sumColumns(x, groups, rows, columns, sum));
  return sum;
}

/** Σ over the rows of each x [rows, columns], as `shapes`. */
export function columnSumsEach(xs: readonly Tensor[], rows: number, shapes: readonly Shape[]): Tensor[] {
  const sums = shapes.map((shape) => empty(shape, 'column sums'));
  const counts = sums.map(({ shape }) => size(shape));
  const name = `columnSums [${rows}, ${counts.join(' or ')}]`;
  const runs = plainRuns(rows);
  if (kernelForm(tracing('columnSums').gpu) === 'tile' || runs === 1) {
    together(name, xs.map((x, i) => (): void => sumColumns(x, 1, rows, counts[i]!, sums[i]!)));
    return sums;
  }
  const parts = counts.map((columns) => partialSums([runs, columns]));
  together(name, xs.map((x, i) => (): void => {
    reduce(x, parts[i]!, { groups: 1, rows, columns: counts[i]!, runs });
  }), { apart: parts });
  sums.forEach((sum, i) => sumLater(parts[i]!, sum));
  return sums;
}

/** The same into a tensor that is there, as a part of what is checked as a whole. */
export function sumColumns(x: Tensor, groups: number, rows: number, columns: number, sum: Tensor): void {
  const tile = kernelForm(tracing('columnSums').gpu) === 'tile';
  const runs = tile ? tileRuns(groups, rows, columns) : plainRuns(rows);
  if (runs === 1) {
    reduce(x, sum, { groups, rows, columns, runs: 1 });
    return;
  }
  const partial = empty([groups, runs, columns], 'column sums, partial');
  reduce(x, partial, { groups, rows, columns, runs });
  reduce(partial, sum, { groups, rows: runs, columns, runs: 1 });
}

type Sizes = Readonly<Record<'groups' | 'rows' | 'columns' | 'runs', number>>;

function reduce(x: Tensor, y: Tensor, sizes: Sizes): void {
  const { groups, rows, columns, runs } = sizes;
  const flops = groups * rows * columns;
  const { width, tuning } = itemsFor(columns);
  const params = { ...sizes, columns: columns / width };
  if (kernelForm(tracing('columnSums').gpu) === 'tile') {
    dispatch('column_sums_tile/forward', { x, y }, {
      workgroups: groups * runs * linesOf(columns), flops, params,
      tuning: { ...tuning, LINE: Math.min(LINE_FLOATS, 2 ** Math.ceil(Math.log2(columns))) / width },
    });
  } else {
    dispatch('column_sums/forward', { x, y }, {
      threads: groups * runs * params.columns, flops, params, tuning,
    });
  }
}

const plainRuns = (rows: number): number => Math.max(1, Math.min(64, Math.ceil(rows / 64)));

// what a workgroup of the tile form has abreast, and rows that it walks soon enough
const LINE_FLOATS = 32;
const ONE_PASS = 2048;
const SHORTEST_RUN = 256;
const BUSY = 1024;

const linesOf = (columns: number): number => Math.ceil(columns / LINE_FLOATS);

// enough workgroups to fill a large device
function tileRuns(groups: number, rows: number, columns: number): number {
  if (rows <= ONE_PASS) return 1;
  const others = groups * linesOf(columns);
  return Math.max(1, Math.min(Math.ceil(rows / SHORTEST_RUN), Math.ceil(BUSY / others)));
}
