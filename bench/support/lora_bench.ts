import type { Gpu } from '../../src/gpu/device.ts';
import type { Engine } from './engines.ts';
import { bytesOf, caseName, flopsOf, hostInputs, type HostInputs, type LoraCase } from './lora_case.ts';
import { definition, placesOf, worstError, type Name, type Place } from './lora_check.ts';
import { buildVariants, type Run } from './lora_variants.ts';
import { commandsVariant, measure, type MeasureOptions, type Variant } from './measure.ts';
import { idleMs, type Peaks } from './peaks.ts';
import { peerVariant } from './peer.ts';
import { percent, resultOf, short, table, type Result } from './report.ts';

const TOLERANCE = 1e-4;
const NAMES: readonly Name[] = ['y', 'dx', 'da', 'dbt'];
const DIRECTIONS = ['forward', 'both'] as const;

/** Checks and times every variant of a case, prints its table and gives its lines. */
export async function runCase(
  gpu: Gpu, each: LoraCase, engines: readonly Engine[], peaks: Peaks, options: MeasureOptions,
): Promise<Result[]> {
  const name = caseName(each);
  console.log(`\n${name}`);
  const inputs = hostInputs(each);
  const built = await buildVariants(gpu, each, inputs);
  const timed: { name: string; direction: 'forward' | 'both'; error: number | null; variant: Variant }[] = [];
  for (const { name: of, whole, forward, both } of built.variants) {
    const error = whole ? await engineError(each, inputs, both) : null;
    for (const [direction, run] of [['forward', forward], ['both', both]] as const) {
      timed.push({ name: of, direction, error, variant: commandsVariant(gpu, of, run.executable.commands) });
    }
  }
  for (const { name: of, peer } of engines) {
    const error = await peerError(each, inputs, peer);
    for (const direction of DIRECTIONS) {
      timed.push({ name: of, direction, error, variant: peerVariant(of, peer, direction) });
    }
  }
  const right = timed.filter(({ name: of, direction, error }) => {
    const wrong = error !== null && !(error <= TOLERANCE);
    if (wrong && direction === 'both') console.log(`  ${of} is wrong by ${error.toExponential(1)}: left out`);
    return !wrong;
  });
  const timings = await measure(right.map(({ variant }) => variant), options);
  built.destroy();
  const results = right.map(({ name: of, direction, error }, i) => resultOf(
    'lora-matmul', name, `${of}, ${direction === 'both' ? 'forward and backward' : 'forward'}`, timings[i]!,
    {
      flops: (of === 'plain' ? plainFlops : flopsOf)(each)[direction], bytes: bytesOf(each)[direction],
      more: { idleMs: idleMs(timings[i]!), error },
    },
  ));
  print(results, each, peaks);
  return results;
}

const plainFlops = ({ m, k, n }: LoraCase) => ({ forward: 2 * m * n * k, both: 4 * m * n * k });

async function engineError(
  each: LoraCase, inputs: HostInputs, { executable, results }: Run,
): Promise<number> {
  executable.run();
  const checked = NAMES.filter((name) => results[name]);
  const places = placesOf(each, checked);
  const values = new Map<Name, Float32Array>();
  for (const name of checked) {
    const parts = (await executable.read(results[name]!)).map((bytes) => new Float32Array(bytes));
    values.set(name, parts.length === 1 ? parts[0]! : Float32Array.from(parts.flatMap((part) => [...part])));
  }
  const got = places.map(([name, index]) => values.get(name)![index]!);
  return worstError(places, got, definition(each, inputs, places));
}

async function peerError(each: LoraCase, inputs: HostInputs, peer: Engine['peer']): Promise<number> {
  await peer.ask(`prepare ${JSON.stringify(each)}`);
  const places: Place[] = placesOf(each, NAMES);
  const { values } = await peer.ask(`values ${JSON.stringify(places)}`) as { values: number[] };
  return worstError(places, values, definition(each, inputs, places));
}

function print(results: readonly Result[], each: LoraCase, peaks: Peaks): void {
  const software = results.some(({ cpuMs }) => cpuMs !== null);
  const idle = ({ more }: Result): number => Number(more!['idleMs']);
  for (const [key, direction] of [['forward', 'forward'], ['both', 'forward and backward']] as const) {
    const own = results.filter(({ variant }) => variant.endsWith(`, ${direction}`));
    const rates = ['GFLOP/s', 'GB/s', 'of peak', 'time'];
    const header = [direction, 'ms', 'median', '±', ...software ? ['if idle'] : [], ...rates];
    console.log(table(header, own.map((result) => {
      const perMs = (amount: number): number => amount / idle(result) / 1e6;
      return [
        result.variant.slice(0, -direction.length - 2),
        short(result.minMs), short(result.medianMs), percent(result.spread),
        ...software ? [short(idle(result))] : [],
        short(perMs(result.flops!)), short(perMs(result.bytes!)),
        percent(perMs(result.flops!) / peaks.gflops), `${short(idle(result) / idle(own[0]!))}×`,
      ];
    })));
    const arithmetic = short(flopsOf(each)[key] / peaks.gflops / 1e6);
    const traffic = short(bytesOf(each)[key] / peaks.gbs / 1e6);
    console.log(`  floor: ${arithmetic} ms of arithmetic at the peak, ${traffic} ms of traffic\n`);
  }
}
