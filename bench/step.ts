// A whole training step: forward, losses, backward, clip, AdamW. What it costs, where, and how that grows
// with tasks.
//
//   node bench/step.ts [--quick] [--profile] [--first] [--pytorch] [--json FILE]
//
//   --profile   share of each kernel and of each part of the model
//   --first     seconds until the first step is done, with an empty and with a filled shader cache
//   --pytorch   the same step in eager PyTorch on the CPU beside it (python3 with torch)
import { compareTasks } from './support/step_tasks.ts';
import { firstSteps } from './support/first_step.ts';
import { nameOf, TASKS, type Case } from './support/model.ts';
import { openBench } from './support/machine.ts';
import { readOptions } from './support/options.ts';
import { measurePeaks } from './support/peaks.ts';
import { writeReport, type Report } from './support/report.ts';
import { profileStep, timeSteps } from './support/step_cases.ts';

const options = readOptions(['profile', 'first', 'pytorch']);
const { gpu, machine } = await openBench(options.device);
console.log(`${machine.adapter}, ${machine.cores} cores, commit ${machine.commit}`);
const peaks = await measurePeaks(gpu);
const report: Report = { machine, peaks, results: [] };

const four = TASKS.slice(0, 4);
const batch = gpu.deviceClass === 'gpu' ? 32 : 1;
const swin: Case = { size: 'swin-t', img: 224, tasks: four, batch };
const cases: Case[] = [
  { size: 'tiny', img: 64, tasks: four, batch: 2 }, swin,
  ...options.quick ? [] : [{ ...swin, img: 448 }],
];
const rounds = options.quick ? 4 : 12;

try {
  report.results.push(...await timeSteps(gpu, cases, { rounds, pytorch: options.flags.has('pytorch') }));
  if (options.flags.has('profile')) {
    report.results.push(...await profileStep(gpu, swin, peaks, options.quick ? 2 : 5));
  }
  if (!options.quick) {
    // smaller, as all of them are in memory at once
    const few = Math.min(batch, 8);
    const growing = TASKS.map((_, t) => ({ ...swin, batch: few, tasks: TASKS.slice(0, t + 1) }));
    report.results.push(...await compareTasks(gpu, growing, rounds));
  }
  if (options.flags.has('first')) {
    for (const each of cases.slice(0, 2)) report.results.push(...await firstSteps(each, nameOf(each)));
  }
  if (options.json) writeReport(options.json, report);
} finally {
  gpu.close();
}
