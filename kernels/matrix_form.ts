// matrix_form: matmul_tile and mtlora_tile on the hardware's matrix units, where lib/matrix_product takes the
// place of lib/tile_product. Experimental in Dawn, hence not files that compile anywhere.
import { readFileSync } from 'node:fs';

const NEEDED = [
  'diagnostic(off, chromium.subgroup_matrix_uniformity);   // lanes of a subgroup agree, workgroups may not',
  'enable f16;', 'enable subgroups;', 'enable chromium_experimental_subgroup_matrix;',
];
const USES = /^\/\/ uses\s+(.+)$/m;

/** The WGSL of a tile form, with its entry points and tuning and lib/matrix_product's. */
export function matrixForm(file: 'matmul_tile' | 'mtlora_tile'): string {
  const tile = textOf(file);
  const [, uses] = USES.exec(tile)!;
  const libraries = uses!.replace('lib/tile_product', 'lib/matrix_product').trim().split(/\s+/);
  return [...NEEDED, tile, ...libraries.map(textOf)].join('\n');
}

const textOf = (file: string): string => readFileSync(new URL(`${file}.wgsl`, import.meta.url), 'utf8');
