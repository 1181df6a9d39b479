// Constants of kernels at Swin-T's shapes:
//   node bench/tune.ts [FAMILY…] [--quick] [--again] [--repository] [--json FILE]
//
// Every candidate is checked against the plain form, and those that agree are timed in turns. What is faster
// than the usual constants goes into the user's cache, which runs on this adapter and driver read from then
// on; with --repository into kernels/tuned/, for all adapters of such a name. --quick: the heaviest few;
// --again: what the file has choices for, after its kernels changed.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AdapterSummary } from '../src/gpu/adapters.ts';
import { cacheFolder } from '../src/gpu/driver.mjs';
import { tunedFile, type Choices } from '../src/gpu/tuning_table.ts';
import { openBench, ROOT } from './support/machine.ts';
import { planStep, TASKS } from './support/model.ts';
import { readOptions } from './support/options.ts';
import { short, table, writeJson } from './support/report.ts';
import { sitesOf, tuneSite, type Finding, type Site } from './support/tuner.ts';

const HEAVIEST = 4;

const options = readOptions(['repository', 'again']);
const { gpu, machine } = await openBench(options.device);
console.log(`${machine.adapter}, ${machine.cores} cores, commit ${machine.commit}`);
try {
  const sites = await sitesOf(() => planStep(gpu, {
    size: 'swin-t', img: gpu.deviceClass === 'software' ? 224 : 448, tasks: TASKS.slice(0, 4),
    batch: gpu.deviceClass === 'software' ? 1 : 32,
  }));
  const file = fileFor(gpu.adapter);
  const wanted = chosen(sites).filter(({ family, shape }) =>
    !options.flags.has('again') || choicesIn(file)[family]?.[shape] !== undefined);
  const findings: Finding[] = [];
  for (const [i, site] of wanted.entries()) {
    const found = await tuneSite(gpu, site);
    findings.push(found);
    store(file, gpu.adapter, found);                 // at once: an interrupted run is worth something too
    console.log(`${i + 1}/${wanted.length} ${found.family}, ${found.shape}: ${says(found)}`);
    for (const fault of found.wrong) console.log(`  wrong: ${fault}`);
  }
  const header = ['family', 'shape', 'launches', 'usual ms', 'tuned ms', 'constants'];
  console.log(`\n${table(header, findings.filter(({ choice }) => choice).map((found) => [
    found.family, found.shape, String(found.count), short(found.usualMs), short(found.bestMs), wordsOf(found),
  ]))}`);
  console.log(`\nwritten to ${file}`);
  if (options.json) writeJson(options.json, { machine, findings });
} finally {
  gpu.close();
}

function chosen(sites: readonly Site[]): Site[] {
  const families = new Set(sites.map(({ family }) => family));
  const unknown = options.names.find((name) => !families.has(name));
  if (unknown !== undefined) {
    throw new Error(`tune: must be one of ${[...families].sort().join(', ')}, got "${unknown}"`);
  }
  const wanted = options.names.length > 0 ? options.names : [...families];
  return wanted.flatMap((name) => {
    const own = sites.filter(({ family }) => family === name);
    return options.quick ? own.slice(0, HEAVIEST) : own;
  });
}

function says(found: Finding): string {
  const { tried, choice, usualMs, bestMs } = found;
  if (!choice) return `the usual constants stay (${short(usualMs)} ms, ${tried} tried)`;
  return `${wordsOf(found)}, ${short(usualMs)} → ${short(bestMs)} ms, ${tried} tried`;
}

function wordsOf({ choice }: Finding): string {
  return Object.entries(choice!).map(([name, value]) => `${name} ${value}`).join(', ');
}

// a software driver is the same on any machine but for its vector width; of a GPU the model matters
function fileFor(adapter: AdapterSummary): string {
  if (options.flags.has('repository')) return join(ROOT, 'kernels/tuned', `${classOf(adapter)}.json`);
  const folder = cacheFolder();
  if (!folder) throw new Error('tune: there is no place for the user\'s cache: set HOME or XDG_CACHE_HOME');
  return tunedFile(folder, adapter);
}

function classOf({ name, software }: AdapterSummary): string {
  const words = name.toLowerCase().match(/[a-z0-9]+/g)!;
  return software ? words[0]! : words.join(' ');
}

/** Over what the file holds: a site that was tuned again has its new choice, or none. */
function store(file: string, adapter: AdapterSummary, { family, shape, choice }: Finding): void {
  const { name, driver } = adapter;
  const of = options.flags.has('repository')
    ? { adapters: classOf(adapter), tuned: `${machine.date} on ${name}, ${driver}` }
    : { adapter: name, driver };
  const { [family]: own, ...families } = choicesIn(file);
  const { [shape]: _, ...others } = own ?? {};
  const shapes = choice ? { ...others, [shape]: choice } : others;
  const choices = Object.keys(shapes).length > 0 ? { ...families, [family]: sorted(shapes) } : families;
  mkdirSync(dirname(file), { recursive: true });
  writeJson(file, { ...of, choices: sorted(choices) });
}

function choicesIn(file: string): Choices {
  if (!existsSync(file)) return {};
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly choices: Choices }).choices;
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1));
}
