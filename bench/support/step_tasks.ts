import type { Gpu } from '../../src/gpu/device.ts';
import { measure } from './measure.ts';
import { buildStep, nameOf, type Case } from './model.ts';
import { costOf, profile } from './profile.ts';
import { percent, resultOf, short, table, type Result } from './report.ts';
import { sum } from './stats.ts';
import { stepVariant } from './step_cases.ts';

/**
 * How a step's cost grows with tasks: all of them in one step, against a step of its own for each task
 * (task-by-task adaptation). Cases differ in their tasks alone; the first has one task.
 */
export async function compareTasks(gpu: Gpu, cases: readonly Case[], rounds: number): Promise<Result[]> {
  const most = cases.at(-1)!;
  const single = most.tasks.slice(1).map((task) => ({ ...most, tasks: [task] }));
  const all = [...cases, ...single];
  const built = [];
  for (const each of all) built.push(await buildStep(gpu, each));
  const variants = built.map((step, i) => stepVariant(gpu, nameOf(all[i]!), step));
  const timings = await measure(variants, { rounds, sampleMs: 0, limitMs: 300_000 });
  const backbone: number[] = [];
  for (const { step } of built.slice(0, cases.length)) {
    const { launches } = await profile(gpu, step.programs[0]!, 2);
    backbone.push(sum(launches.filter(({ scopes }) => scopes[0] === 'backbone').map(costOf)));
  }
  for (const each of built) each.destroy();

  const cost = timings.map(({ wall, cpu }) => cpu?.min ?? wall.min);
  const alone = [cost[0]!, ...cost.slice(cases.length)];
  const results = cases.map((each, i): Result => resultOf('tasks', nameOf(each), 'mtlora', timings[i]!, {
    more: {
      ofOneTask: cost[i]! / cost[0]!,
      backboneOfOneTask: backbone[i]! / backbone[0]!,
      taskByTask: sum(each.tasks.map((_, t) => alone[t]!)) / cost[0]!,
    },
  }));
  const header = ['tasks', 'ms', 'CPU ms', 'of one task', 'backbone alone', 'task by task', 'saved'];
  console.log(`\n${nameOf(most)}: the cost of tasks`);
  console.log(table(header, results.map(({ minMs, cpuMs, more }, i) => {
    const [together, inBackbone, apart] = Object.values(more!) as [number, number, number];
    return [
      String(cases[i]!.tasks.length), short(minMs), cpuMs === null ? '–' : short(cpuMs),
      `${short(together)}×`, `${short(inBackbone)}×`, `${short(apart)}×`, percent(1 - together / apart),
    ];
  })));
  return results;
}
