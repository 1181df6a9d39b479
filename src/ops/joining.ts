import { availableParallelism } from 'node:os';
import { joinedKernel, type JoinedBuffer } from '../../kernels/joined.ts';
import type { Gpu } from '../gpu/device.ts';
import { tracing, type Dispatch, type Use } from '../gpu/program.ts';
import { rootOf, type Storage } from '../gpu/storage.ts';
import { parseKernel, type KernelSource } from '../gpu/wgsl.ts';

const CORES = availableParallelism();
const MAX_GRID = 65535;
// characters of kernels: drivers take four times as long to compile twice as much
const MOST_TEXT = 78_000;
// counted for each pair of launches that share them, as every load is written for each of these
const MOST_SHARED = 410_000;
const known = new Map<string, KernelSource>();

/** A launch and the body that traced it. */
type Member = { readonly launch: Dispatch; readonly body: number };

export type JoiningOptions = {
  /** What several bodies write, each elements of its own. */
  readonly apart?: ReadonlySet<Storage>;
  /** Whether only launches of one kernel are joined. */
  readonly alike?: boolean;
};

/**
 * Traces `bodies`, and has one launch do what several of their launches do that need not wait for each other.
 */
export function joining(bodies: readonly (() => void)[], options: JoiningOptions = {}): void {
  const { dispatches, gpu } = tracing('joining');
  const from = dispatches.length;
  const members = bodies.flatMap((trace, body): Member[] => {
    trace();
    return dispatches.splice(from).map((launch) => ({ launch, body }));
  });
  dispatches.push(...groupsOf(gpu, members, options).map(joined));
}

// each launch in the earliest group that it fits into, past none that it waits for
function groupsOf(
  gpu: Gpu, members: readonly Member[], { apart = new Set(), alike = false }: JoiningOptions,
): Dispatch[][] {
  const groups: Member[][] = [];
  for (const member of members) {
    const last = groups.findLastIndex((group) => group.some((other) => isOrdered(other, member, apart)));
    const group = groups.slice(last + 1).find((each) => canJoin(gpu, launchesOf([...each, member]), alike));
    if (group) group.push(member);
    else groups.push([member]);
  }
  return groups.map(launchesOf);
}

const launchesOf = (members: readonly Member[]): Dispatch[] => members.map(({ launch }) => launch);

/** Whether one of two launches reads or writes what the other writes. */
function isOrdered(a: Member, b: Member, apart: ReadonlySet<Storage>): boolean {
  return a.launch.uses.some((one) => b.launch.uses.some((other) => {
    if (one.access === 'read' && other.access === 'read') return false;
    const exempt = a.body !== b.body && one.access === other.access
      && apart.has(one.storage) && apart.has(other.storage);
    return rootOf(one.storage) === rootOf(other.storage) && !exempt;
  }));
}

function canJoin({ limits }: Gpu, launches: readonly Dispatch[], onlyAlike: boolean): boolean {
  const threads = new Set(launches.map(threadsOf));
  const uniforms = launches.flatMap(({ source }) =>
    [...source.bindings.values()].filter(({ access, name }) => access === 'uniform' && name !== 'params'));
  const bound = new Map<Storage, string>();
  const sameTypes = launches.every(({ source, uses }) => uses.every(({ storage, type }) => {
    const here = typeOf(source, type);
    const there = bound.get(storage) ?? here;
    bound.set(storage, here);
    return here === there;
  }));
  const texts = alikeOf(launches).map((each) => ({ length: each[0].source.code.length, times: each.length }));
  const text = texts.reduce((sum, { length }) => sum + length, 0);
  const shared = texts.reduce((sum, { length, times }) => sum + times ** 2 * length, 0);
  return sameTypes && threads.size === 1 && uniforms.length === 0 && !(onlyAlike && texts.length > 1)
    && text <= MOST_TEXT && shared <= MOST_SHARED
    && bound.size <= limits.maxStorageBuffersPerShaderStage && CORES * shareOf(launches) <= MAX_GRID;
}

/** Launches of one text together: of the same variant, or of one that does the others' work too. */
function alikeOf(launches: readonly Dispatch[]): [Dispatch, ...Dispatch[]][] {
  const groups: [Dispatch, ...Dispatch[]][] = [];
  // those with most buffers first, which stand for the others
  for (const launch of launches.toSorted((a, b) => b.uses.length - a.uses.length)) {
    const { variant, like, entry, uses } = launch;
    const group = groups.find(([other]) => other.entry === entry
      && (other.variant === variant || (other.like === like && other.uses.length > uses.length)));
    if (group) group.push(launch);
    else groups.push([launch]);
  }
  return groups;
}

const threadsOf = ({ source, entry }: Dispatch): number => source.entries.get(entry)!.workgroupThreads;
const eachOf = ({ grid }: Dispatch): number => Math.ceil(grid[0] * grid[1] / CORES);
const shareOf = (launches: readonly Dispatch[]): number =>
  launches.reduce((sum, launch) => sum + eachOf(launch), 0);

const types = new WeakMap<KernelSource, Map<string, string>>();

/** A binding's type without aliases. */
function typeOf(source: KernelSource, type: string): string {
  let found = types.get(source);
  if (!found) types.set(source, found = new Map());
  const before = found.get(type);
  if (before !== undefined) return before;
  const meant = type.replace(/\w+/g, (word) =>
    new RegExp(String.raw`alias\s+${word}\s*=\s*([^;]+);`).exec(source.code)?.[1]?.trim() ?? word);
  found.set(type, meant);
  return meant;
}

function joined(launches: Dispatch[]): Dispatch {
  const [first] = launches as [Dispatch];
  if (launches.length === 1) return first;
  const uses = new Map<Storage, Use>();
  for (const { source, uses: own } of launches) {
    for (const { storage, access, type } of own) {
      const before = uses.get(storage);
      const name = before?.name ?? `tensor${uses.size}`;
      const index = before?.index ?? uses.size + 1;
      const wide = before?.access === 'read_write' ? before.access : access;
      uses.set(storage, { name, index, storage, access: wide, type: typeOf(source, type) });
    }
  }
  const kernels = alikeOf(launches);
  const numbers = ({ uses: own }: Dispatch): string =>
    own.map(({ name, storage }) => `${name}=${uses.get(storage)!.index}`).join(' ');
  const variant = kernels.map((each) => [
    `${each[0].variant}/${each[0].entry}`, ...each.map((launch) => `(${numbers(launch)})`),
  ].join('')).join(' + ');
  const total = (of: 'flops' | 'bytes'): number => launches.reduce((sum, launch) => sum + launch[of], 0);
  const paths = [...new Set(launches.map(({ path }) => path))].join('+');
  return {
    label: `${first.label.slice(0, first.label.length - first.path.length)}${paths}`, path: paths,
    variant, like: variant, source: sourceOf(variant, kernels, uses), entry: 'joined',
    uses: [...uses.values()], params: paramsOf(kernels.flat()), grid: [CORES * shareOf(launches), 1],
    flops: total('flops'), bytes: total('bytes'),
  };
}

function sourceOf(
  variant: string, kernels: readonly [Dispatch, ...Dispatch[]][], uses: ReadonlyMap<Storage, Use>,
): KernelSource {
  const made = known.get(variant);
  if (made) return made;
  const code = joinedKernel(kernels.map((launches) => {
    const [{ source: { code: text, params }, entry }] = launches;
    const named = launches.map(({ uses: own }) =>
      new Map(own.map(({ name, storage }) => [name, uses.get(storage)!.name])));
    return { code: text, entry, params, launches: named };
  }), [...uses.values()] as JoinedBuffer[], threadsOf(kernels[0]![0]));
  const source = parseKernel(`kernels/joined(${variant})`, code);
  known.set(variant, source);
  return source;
}

function paramsOf(launches: readonly Dispatch[]): Uint32Array<ArrayBuffer> {
  const words = [shareOf(launches), ...launches.flatMap((launch) =>
    [eachOf(launch), ...launch.params?.subarray(0, launch.source.params.length) ?? []])];
  return Uint32Array.from({ length: Math.ceil(words.length / 4) * 4 }, (_, i) => words[i] ?? 0);
}
