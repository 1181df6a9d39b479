// Every bench, one after another, into bench/results/<date>-<adapter>.json and .md:
//
//   npm run bench -- all [--quick] [--peers] [--pytorch]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './support/machine.ts';
import { readOptions } from './support/options.ts';
import { readReport, writeReport, type Report } from './support/report.ts';
import { summarise } from './support/summary.ts';

const options = readOptions(['peers', 'pytorch']);
const common = [...options.quick ? ['--quick'] : [], ...options.device ? ['--device', options.device] : []];
const wanted = (name: string): string[] => options.flags.has(name) ? [`--${name}`] : [];
const runs = [
  ['loader', ...common], ['ops', ...common], ['lora-matmul', ...common, ...wanted('peers')],
  ['step', ...common, '--profile', '--first', ...wanted('pytorch')],
] as const;

const folder = mkdtempSync(join(tmpdir(), 'mtlora-bench-'));
const reports: Report[] = [];
for (const [name, ...args] of runs) {
  console.log(`\n── ${name} ──`);
  const json = join(folder, `${name}.json`);
  const file = join(import.meta.dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, [file, ...args, '--json', json], { stdio: 'inherit' });
  if (status === 0) reports.push(readReport(json));
  else console.log(`${name} ended with ${status}: left out of the results`);
}
rmSync(folder, { recursive: true });

const [first] = reports;
if (!first) process.exit(1);
const report: Report = {
  machine: { ...first.machine, load: reports.flatMap(({ machine }) => machine.load) },
  peaks: Object.assign({}, ...reports.map(({ peaks }) => peaks)) as Report['peaks'],
  results: reports.flatMap(({ results }) => results),
};
const { date, adapter } = report.machine;
const path = join(ROOT, 'bench/results', `${date}-${adapter.replace(/[^\w]+/g, '-').replace(/-+$/, '')}`);
mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
writeReport(`${path}.json`, report);
writeFileSync(`${path}.md`, summarise(report));
console.log(`\nwritten: ${path}.json and .md`);
