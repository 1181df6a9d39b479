import { expectShape } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';

/** Parameters start at multiples of this many elements in an arena, and so many share a flag. */
export const BLOCK = 64;

/** What becomes of a block of the arena in an optimizer step. */
export const FLAGS = { frozen: 0, update: 1, decay: 2 } as const;

/** Elements of a range as vec4: what the kernels count in. */
export function vectorsOf(op: string, range: Readonly<Record<string, Tensor>>): number {
  const { flags, ...arrays } = range;
  for (const [name, { shape }] of Object.entries(arrays)) {
    expectShape(op, name, shape, [flags!.shape[0]! * BLOCK]);
  }
  if (flags!.dtype !== 'u32') throw new Error(`${op}: flags must be u32, got ${flags!.dtype}`);
  return flags!.shape[0]! * BLOCK / 4;
}
