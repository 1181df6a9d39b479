import type { Gpu } from '../../src/gpu/device.ts';
import { commandsVariant, measure } from './measure.ts';
import { buildStep, nameOf, type Case } from './model.ts';
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
  const whole = built.map((step, i) => stepVariant(gpu, nameOf(all[i]!), step));
  const inBackbone = built.slice(0, cases.length).map(({ step }) => {
    const commands = step.programs.flatMap((program) => program.commands)
      .filter(({ dispatch }) => dispatch.label.startsWith('backbone '));
    return commandsVariant(gpu, 'backbone', commands);
  });
  const found = await measure([...whole, ...inBackbone], { rounds, sampleMs: 0, limitMs: 400_000 });
  for (const each of built) each.destroy();

  const timings = found.slice(0, whole.length);
  const [cost, backbone] = [timings, found.slice(whole.length)].map((some) =>
    some.map(({ wall, cpu }) => cpu?.min ?? wall.min)) as [number[], number[]];
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
    const [together, below, apart] = Object.values(more!) as [number, number, number];
    return [
      String(cases[i]!.tasks.length), short(minMs), cpuMs === null ? '–' : short(cpuMs),
      `${short(together)}×`, `${short(below)}×`, `${short(apart)}×`, percent(1 - together / apart),
    ];
  })));
  return results;
}
