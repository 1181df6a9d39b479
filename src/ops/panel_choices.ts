import type { Gpu } from '../gpu/device.ts';
import { tuned, upTo } from '../gpu/tuning.ts';

/** Columns of a lane and k-values of a panel. */
export type PanelSize = { readonly columns: number; readonly depth: number };

const COLUMNS = [4, 8, 12];
const DEPTHS = [32, 64, 96, 128, 192];
// a panel beyond this is no longer held close to a core
const MOST_BYTES = 24 * 1024;

/**
 * The panel that was tuned for a product of `rows` that are streamed, by k, by `width` columns.
 *
 * @param layout how the factors lie, in words
 */
export function tunedPanel(
  gpu: Gpu, { rows, width, k }: Readonly<Record<'rows' | 'width' | 'k', number>>, layout: string,
  usual: PanelSize,
): PanelSize {
  const shape = `${upTo(rows)} by ${k <= LONG ? k : upTo(k)} by ${width}, ${layout}`;
  return tuned<PanelSize & Record<string, number>>(gpu, 'matmul_panel', shape, usual, () =>
    COLUMNS.flatMap((columns) => (k <= 8 ? [8] : DEPTHS).map((depth) => ({ columns, depth })))
      .filter(({ columns, depth }) => 4 * gpu.subgroupSize * columns * depth <= MOST_BYTES));
}

// sums over tokens, of which there are as many as images
const LONG = 4096;
