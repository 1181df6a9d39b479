// Finds the fastest of a family's candidates for the shapes that a program launches it at.
import type { Gpu } from '../../src/gpu/device.ts';
import { assemble, runOnce, type Executable } from '../../src/gpu/executable.ts';
import type { Dispatch } from '../../src/gpu/program.ts';
import { exploring, type Explored } from '../../src/gpu/region.ts';
import { differencesIn, standAlone, toleranceOf, trialKey } from '../../src/gpu/trial.ts';
import type { Choice } from '../../src/gpu/tuning.ts';
import { commandsVariant, measure, type Timing } from './measure.ts';

/** A family at a class of shapes, as a program asked for it. */
export type Site = {
  readonly family: string;
  readonly shape: string;
  /** How many launches of the program ask so. */
  count: number;
  /** What the first of them moves. */
  readonly bytes: number;
  readonly region: Explored;
};

/** What was found for a site; `choice` is null where the usual constants stay. */
export type Finding = {
  readonly family: string;
  readonly shape: string;
  readonly count: number;
  readonly tried: number;
  readonly choice: Choice | null;
  readonly usualMs: number;
  readonly bestMs: number;
  /** Candidates that computed something else than the plain form, or that the driver refused. */
  readonly wrong: readonly string[];
};

/** A candidate must save this much, twice: once among all, once against the usual constants alone. */
const WORTH = 0.04;
/** And this much of a whole program on a CPU, where each new variant is compiled for a second. */
const LEAST_MS = 0.3;

/** What `body` traces, by family and class of shapes; what moves most comes first. */
export async function sitesOf(body: () => Promise<unknown>): Promise<Site[]> {
  const sites = new Map<string, Site>();
  await exploring((region) => {
    const bytes = region.usual.reduce((sum, launch) => sum + launch.bytes, 0);
    for (const { family, shape } of region.asks) {
      const known = sites.get(`${family} ${shape}`);
      if (known) known.count += 1;
      else sites.set(`${family} ${shape}`, { family, shape, count: 1, bytes, region });
    }
  }, body);
  return [...sites.values()].sort((a, b) => b.bytes * b.count - a.bytes * a.count);
}

/** Checks a site's candidates against the plain form and times those that agree, in turns. */
export async function tuneSite(gpu: Gpu, { family, shape, count, region }: Site): Promise<Finding> {
  const ask = region.asks.find((each) => each.family === family && each.shape === shape)!;
  const wrong: string[] = [];
  const built: Built[] = [];
  const add = async (choice: Choice | null, launches: readonly Dispatch[]): Promise<void> => {
    const fault = await faultOf(gpu, region, launches);
    if (fault !== null) {
      wrong.push(`${JSON.stringify(choice)} ${fault}`);
      return;
    }
    const executable = await assemble(gpu, standAlone(gpu, region, launches));
    executable.run();
    built.push({ choice, executable, launches: launches.length });
  };
  try {
    await add(null, region.usual);
    if (built.length === 0) throw new Error(`${family}, ${shape}: the usual constants: ${wrong[0]}`);
    const seen = new Set([keyOf(region.usual)]);
    for (const { choice, launches } of ask.candidates) {
      if (seen.has(keyOf(launches))) continue;
      seen.add(keyOf(launches));
      await add(choice, launches);
    }
    const { choice, usualMs, bestMs } = await fastest(gpu, built);
    const worth = gpu.deviceClass === 'gpu' || count * (usualMs - bestMs) >= LEAST_MS;
    return {
      family, shape, count, tried: built.length, wrong, usualMs,
      ...worth ? { choice, bestMs } : { choice: null, bestMs: usualMs },
    };
  } finally {
    for (const { executable } of built) executable.destroy();
  }
}

const keyOf = (launches: readonly Dispatch[]): string =>
  trialKey({ before: [], fast: launches, plain: [], below: new Map() });

async function faultOf(gpu: Gpu, region: Explored, fast: readonly Dispatch[]): Promise<string | null> {
  const trial = { ...region, fast };
  try {
    const [error] = await differencesIn(gpu, [trial], (program, kept) => runOnce(gpu, program, kept));
    return error! <= toleranceOf(trial) ? null : `differs by ${error!.toExponential(1)}`;
  } catch (error) {
    gpu.check();
    return (error as Error).message;
  }
}

type Built = { readonly choice: Choice | null; readonly executable: Executable; readonly launches: number };

type Fastest = Pick<Finding, 'choice' | 'usualMs' | 'bestMs'>;

async function fastest(gpu: Gpu, built: readonly Built[]): Promise<Fastest> {
  const first = await timesOf(gpu, built, 3);
  const at = first.indexOf(Math.min(...first));
  if (first[at]! > (1 - WORTH) * first[0]!) return { choice: null, usualMs: first[0]!, bestMs: first[0]! };
  const [usualMs, bestMs] = await timesOf(gpu, [built[0]!, built[at]!], 9) as [number, number];
  if (bestMs > (1 - WORTH) * usualMs) return { choice: null, usualMs, bestMs: usualMs };
  return { choice: built[at]!.choice, usualMs, bestMs };
}

/** On-CPU time in software, which tells more than the clock of a busy machine; the device's own on a GPU. */
async function timesOf(gpu: Gpu, built: readonly Built[], rounds: number): Promise<number[]> {
  const variants = built.map(({ choice, executable, launches }) =>
    commandsVariant(gpu, JSON.stringify(choice), executable.commands.slice(-launches)));
  const timings = await measure(variants, { rounds, sampleMs: 20, limitMs: 60_000 });
  return timings.map(({ cpu, wall }: Timing) => cpu?.min ?? wall.min);
}
