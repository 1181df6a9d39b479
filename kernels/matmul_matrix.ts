// matmul_matrix: matmul_tile on the hardware's matrix units, where lib/matrix_product takes the place of
// lib/tile_product. Experimental in Dawn, hence not a file that compiles anywhere.
import { readFileSync } from 'node:fs';

const NEEDED = [
  'diagnostic(off, chromium.subgroup_matrix_uniformity);   // lanes of a subgroup agree, workgroups may not',
  'enable f16;', 'enable subgroups;', 'enable chromium_experimental_subgroup_matrix;',
];
const USES = /^\/\/ uses\s+(.+)$/m;

/** The WGSL of the kernel, with matmul_tile's entry points and tuning and lib/matrix_product's. */
export function matmulMatrix(): string {
  const tile = textOf('matmul_tile');
  const [, uses] = USES.exec(tile)!;
  const libraries = uses!.replace('lib/tile_product', 'lib/matrix_product').trim().split(/\s+/);
  return [...NEEDED, tile, ...libraries.map(textOf)].join('\n');
}

const textOf = (file: string): string => readFileSync(new URL(`${file}.wgsl`, import.meta.url), 'utf8');
