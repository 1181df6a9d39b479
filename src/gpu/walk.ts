import type { Gpu } from './device.ts';

/** How many workgroups of how many threads take how many items each, see `kernels/lib/walk.wgsl`. */
export type Walk = { readonly workgroups: number; readonly threads: number; readonly walk: number };

// of a software driver: enough workgroups for its cores, and steps enough to pay for one
const GROUPS = 32;
const STEPS = 32;

/** In software few workgroups of one subgroup, with long walks; null: a thread an item, as the file says. */
export function walkOver({ deviceClass, subgroupSize }: Gpu, items: number): Walk | null {
  if (deviceClass === 'gpu') return null;
  const threads = Math.max(1, subgroupSize);
  const steps = Math.ceil(items / threads);
  const walk = Math.max(Math.min(steps, STEPS), Math.ceil(steps / GROUPS));
  return { workgroups: Math.ceil(steps / walk), threads, walk };
}
