import type { Gpu } from './device.ts';
import type { Launch } from './program.ts';
import { tuned, upTo } from './tuning.ts';
import { walkOver } from './walk.ts';
import { listedValues } from './wgsl.ts';

/** A launch of so many workgroups, or threads, that take `walk` items each. */
export type Sized = Exclude<Launch, { readonly items: number }> & { readonly walk: number };

/** Threads of a workgroup, and of items the workgroups that walk over them; what is missing is as usual. */
export type GridChoice = { readonly WG?: number; readonly groups?: number };

/** What may be tuned of a launch's grid: how many threads or items it has; null where the op has decided. */
export function countOf(launch: Launch): number | null {
  if (launch.tuning?.WG !== undefined || launch.generated) return null;
  return 'items' in launch ? launch.items : 'threads' in launch ? launch.threads : null;
}

/** The grid that was tuned for a kernel, the usual one where none was. */
export function tunedGrid(
  gpu: Gpu, path: string, launch: Launch, count: number, code: () => string,
): GridChoice {
  return tuned<GridChoice & Record<string, number>>(gpu, path, upTo(count), {}, () => {
    const sizes = listedValues(code(), 'WG').filter((WG) => WG >= gpu.subgroupSize);
    const walks = 'items' in launch ? GROUPS : [];
    return sizes.flatMap((WG) => [{ WG }, ...walks.map((groups) => ({ WG, groups }))]);
  });
}

const GROUPS = [8, 16, 32, 64, 128];

export function sized(gpu: Gpu, launch: Launch, { WG, groups }: GridChoice): Sized {
  const own = WG === undefined ? {} : { tuning: { ...launch.tuning, WG } };
  if (!('items' in launch)) return { ...launch, ...own, walk: 1 };
  const { items, ...rest } = launch;
  if (WG === undefined) return usual(gpu, rest, items);
  if (groups === undefined) return { ...rest, ...own, threads: items, walk: 1 };
  const steps = Math.ceil(items / WG);
  const walk = Math.ceil(steps / groups);
  return { ...rest, ...own, workgroups: Math.ceil(steps / walk), walk };
}

function usual(gpu: Gpu, rest: Omit<Launch, 'items'>, items: number): Sized {
  const walk = walkOver(gpu, items);
  return walk
    ? { ...rest, workgroups: walk.workgroups, walk: walk.walk, tuning: { ...rest.tuning, WG: walk.threads } }
    : { ...rest, threads: items, walk: 1 };
}
