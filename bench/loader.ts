// How many images a second the training chain gives, from files to batches: npm run bench -- loader
// [--quick] [--json FILE]. Scenes are drawn; photographs are somewhat dearer to decode.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeInto, slotBytes, type Decoding } from '../src/data/batch.ts';
import { listSamples, readSample } from '../src/data/dataset.ts';
import { openLoader, type Loader } from '../src/data/loader.ts';
import { SIZE, writeSources, type Source } from './support/loader_data.ts';
import { openBench } from './support/machine.ts';
import { measure, type Sample, type Timing, type Variant } from './support/measure.ts';
import { readOptions } from './support/options.ts';
import { percent, resultOf, short, table, writeReport, type Result } from './support/report.ts';

const SIDE = 448;
const BATCH = 4;
const PREFETCH = 2;
const WORKERS = [1, 2] as const;

const options = readOptions();
const count = options.quick ? 8 : 24;
const { gpu, machine } = await openBench(options.device);
gpu.close();                                    // opened only to say on what machine this ran
const root = mkdtempSync(join(tmpdir(), 'mtlora-loader-'));
try {
  const results: Result[] = [];
  for (const source of await writeSources(root, count)) results.push(...await runSource(source));
  if (options.json) writeReport(options.json, { machine, peaks: {}, results });
} finally {
  rmSync(root, { recursive: true });
}

async function runSource(source: Source): Promise<Result[]> {
  const loaders = WORKERS.map((workers) => openLoader({
    dataset: source.dataset, size: SIDE, batchSize: BATCH, train: true, seed: 1, workers, prefetch: PREFETCH,
  }));
  const variants = [
    decodeVariant(source), chainVariant(source),
    ...loaders.map((loader, i) => loaderVariant(`${WORKERS[i]} worker${i > 0 ? 's' : ''}`, loader)),
  ];
  try {
    const timings = await measure(variants, { rounds: options.quick ? 3 : 8 });
    return report(source, variants, timings);
  } finally {
    await Promise.all(loaders.map((loader) => loader.close()));
  }
}

function report({ name }: Source, variants: readonly Variant[], timings: readonly Timing[]): Result[] {
  const of = `${name} ${SIZE.join('x')}, 4 tasks, to ${SIDE}²`;
  const cpu = timings.map((timing) => timing.cpu!.min);
  const results = variants.map((variant, v): Result => resultOf('loader', of, variant.name, timings[v]!, {
    more: {
      'images/s': 1000 / timings[v]!.wall.min, 'images/s a core': 1000 / cpu[v]!,
      ...variant.name === 'chain' && { 'decode share': percent(cpu[0]! / cpu[v]!) },
    },
  }));
  console.log(`\n${of}, an image`);
  const header = ['variant', 'ms', 'CPU ms', 'images/s', 'images/s a core', 'decoding'];
  console.log(table(header, results.map(({ variant, minMs, cpuMs, more }) => [
    variant, short(minMs), short(cpuMs!), short(more!['images/s'] as number),
    short(more!['images/s a core'] as number), String(more!['decode share'] ?? ''),
  ])));
  return results;
}

/** Files to pictures and label maps at their own size. */
function decodeVariant({ dataset }: Source): Variant {
  const ids = listSamples(dataset);
  return perImage('decode', ids.length, async () => {
    for (const id of ids) await readSample(dataset, id);
  });
}

/** All that a worker does, on this thread: decoding, augmentation, resizing, writing into the batch. */
function chainVariant({ dataset }: Source): Variant {
  const ids = listSamples(dataset);
  const shape = { size: SIDE, batchSize: 1 };
  const decoding: Decoding = {
    ...shape, dataset, ids, train: true, seed: 1, overshoot: 'clamp', warpFill: 'zero',
    slots: [new SharedArrayBuffer(slotBytes(shape, dataset.tasks))],
  };
  return perImage('chain', ids.length, async () => {
    for (const index of ids.keys()) await decodeInto(decoding, { slot: 0, position: 0, index, epoch: 0 });
  });
}

/** Batches that are waited for, when the workers have no lead over who takes them. */
function loaderVariant(name: string, loader: Loader): Variant {
  const batches = Math.floor(count / BATCH);
  return perImage(name, batches * BATCH, () => take(loader, batches), () => take(loader, PREFETCH + 1));
}

async function take(loader: Loader, batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) await loader.next();
}

function perImage(
  name: string, images: number, run: () => Promise<void>, before?: () => Promise<void>,
): Variant {
  return {
    name,
    async sample(times): Promise<Sample> {
      await before?.();
      const [usage, start] = [process.cpuUsage(), performance.now()];
      for (let i = 0; i < times; i++) await run();
      const wallMs = performance.now() - start;
      const { user, system } = process.cpuUsage(usage);
      return { wallMs: wallMs / times / images, cpuMs: (user + system) / 1000 / times / images };
    },
  };
}
