import type { Gpu } from '../../src/gpu/device.ts';
import { savedByAutograd } from './activations.ts';
import { cores } from './machine.ts';
import { measure, timed, type Variant } from './measure.ts';
import { buildStep, nameOf, type Built, type Case } from './model.ts';
import { peerVariant } from './peer.ts';
import type { Peaks } from './peaks.ts';
import { groupBy, profile, siteOf, type Group, type Launched } from './profile.ts';
import { mib, percent, resultOf, short, table, type Result } from './report.ts';
import { sum } from './stats.ts';
import { startTorch } from './torch.ts';

// the host's code is slow for its first runs, and a training run has thousands
const ENCODINGS = 25;
const ENCODING_LIMIT_MS = 30_000;

/** A compiled step as something to time. */
export function stepVariant(gpu: Gpu, name: string, { run }: Built): Variant {
  return {
    name,
    async sample(times) {
      const each = [];
      for (let i = 0; i < times; i++) {
        each.push(await timed(gpu, run));
      }
      const cpu = each.map(({ cpuMs }) => cpuMs ?? NaN);
      const cpuMs = sum(cpu) / times;
      const wallMs = sum(each.map((sample) => sample.wallMs)) / times;
      return { wallMs, cpuMs: Number.isNaN(cpuMs) ? null : cpuMs };
    },
  };
}

/** Times each case, PyTorch in turns with it where wanted, and tells what it takes besides time. */
export async function timeSteps(
  gpu: Gpu, cases: readonly Case[], { rounds, pytorch }: { rounds: number; pytorch: boolean },
): Promise<Result[]> {
  const results: Result[] = [];
  for (const each of cases) {
    const before = gpu.memory.bytes;
    const built = await buildStep(gpu, each);
    const torch = pytorch && each.size === 'swin-t' ? await startTorch(each, gpu.deviceClass) : [];
    const variants = [
      stepVariant(gpu, 'mtlora', built), ...torch.map(({ name, peer }) => peerVariant(name, peer)),
    ];
    const timings = await measure(variants, { rounds, sampleMs: 0, limitMs: 240_000 });
    for (const { peer } of torch) peer.end();
    const cost = costOf(gpu, each, built, await encodeMs(gpu, built), gpu.memory.bytes - before);
    timings.forEach((timing, i) => {
      const variant = variants[i]!.name;
      const more = i === 0 ? cost : torch[i - 1]!.about;
      results.push(resultOf('step', nameOf(each), variant, timing, { more }));
    });
    built.destroy();
    print(each, results.filter(({ name }) => name === nameOf(each)), cost);
  }
  return results;
}

/** The least time in which the host encodes and submits a step, its inputs not counted. */
async function encodeMs(gpu: Gpu, { step: { programs } }: Built): Promise<number> {
  let least = Infinity;
  const end = performance.now() + ENCODING_LIMIT_MS;
  for (let i = 0; i < ENCODINGS && performance.now() < end; i++) {
    const start = performance.now();
    for (const program of programs) program.run();
    least = Math.min(least, performance.now() - start);
    await gpu.idle();
  }
  return least;
}

type Cost = Record<
  'dispatches' | 'submits' | 'encodeMs' | 'encodeUs' | 'gflop' | 'transientBytes' | 'lastingBytes'
  | 'autogradBytes', number
>;

function costOf(
  gpu: Gpu, each: Case, { spec, step }: Built, encode: number, bytes: number,
): Cost {
  const plans = step.programs.map(({ plan }) => plan);
  const dispatches = sum(plans.map((plan) => plan.dispatches));
  const transientBytes = sum(plans.map(({ peakBytes }) => peakBytes));
  return {
    dispatches, submits: step.programs.length, encodeMs: encode, encodeUs: 1e3 * encode / dispatches,
    gflop: sum(plans.map(({ flops }) => flops)) / 1e9, transientBytes, lastingBytes: bytes - transientBytes,
    autogradBytes: savedByAutograd(spec, each.batch, { maskBytes: gpu.deviceClass === 'software' ? 4 : 1 }),
  };
}

function print(each: Case, results: readonly Result[], cost: Cost): void {
  const [own] = results;
  console.log(`\n${nameOf(each)}`);
  const header = ['step', 'ms', 'median', '±', 'CPU ms', 'if idle', 'images/s', 'time'];
  console.log(table(header, results.map((r) => [
    r.variant, short(r.minMs), short(r.medianMs), percent(r.spread), r.cpuMs === null ? '–' : short(r.cpuMs),
    short(idleMs(r)), short(1e3 * each.batch / r.minMs), `${short(r.minMs / own!.minMs)}×`,
  ])));
  const plural = cost.submits > 1 ? 's' : '';
  console.log(`${cost.dispatches} dispatches in ${cost.submits} submit${plural}, encoded in `
    + `${short(cost.encodeMs)} ms (${short(cost.encodeUs)} µs each), ${short(cost.gflop)} GFLOP`);
  console.log(`memory: ${mib(cost.transientBytes)} within a step, ${mib(cost.lastingBytes)} beside it; `
    + `PyTorch's autograd would keep ${mib(cost.autogradBytes)} of activations `
    + `(ours are ${percent(cost.transientBytes / cost.autogradBytes)})`);
}

// what a machine with nothing else to do would take at best: all threads busy from start to end
const idleMs = ({ minMs, cpuMs, more }: Result): number =>
  cpuMs === null ? minMs : cpuMs / Number(more?.['threads'] ?? cores);

/**
 * Where a step's time goes, and how far from the roof: the time that a group's arithmetic would take at the
 * peak, or its traffic (of whole buffers) at the speed of a copy, whichever is longer.
 */
export async function profileStep(gpu: Gpu, each: Case, peaks: Peaks, rounds: number): Promise<Result[]> {
  const built = await buildStep(gpu, each);
  built.run();
  const { launches, insideKernels } = await profile(gpu, built.step.programs[0]!, rounds);
  built.destroy();
  const software = gpu.deviceClass === 'software';
  const unit = software ? 'CPU ms' : 'ms';
  const idle = ({ cost }: Group): number => software ? cost / cores : cost;
  const perIdleMs = (group: Group, amount: number): number => amount / idle(group) / 1e6;
  console.log(`\n${nameOf(each)}: ${percent(insideKernels)} of the device's time lies inside of kernels`);
  const results: Result[] = [];
  for (const [kind, name] of [['kernel', ({ kernel }: Launched) => kernel], ['part', siteOf]] as const) {
    const groups = groupBy(launches, name);
    const header = [kind, 'share', unit, 'launches', 'GFLOP/s', 'GB/s', 'of roof'];
    console.log(table(header, groups.slice(0, 20).map((group) => [
      group.name, percent(group.share), short(group.cost), String(group.count),
      group.flops > 0 ? short(perIdleMs(group, group.flops)) : '', short(perIdleMs(group, group.bytes)),
      percent(roofMs(group, peaks) / idle(group)),
    ])));
    console.log();
    for (const group of groups) {
      const { name: variant, cost, count, share, flops, bytes } = group;
      results.push({
        bench: `step by ${kind}`, name: nameOf(each), variant, minMs: cost, medianMs: cost, spread: 0,
        cpuMs: unit === 'ms' ? null : cost, ...flops > 0 && { flops }, bytes,
        more: { launches: count, share, ofRoof: roofMs(group, peaks) / idle(group) },
      });
    }
  }
  return results;
}

const roofMs = ({ flops, bytes }: Group, peaks: Peaks): number =>
  Math.max(flops / peaks.gflops, bytes / peaks.gbs) / 1e6;
