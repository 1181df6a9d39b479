import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import type { Task } from '../../src/mtlora/spec.ts';
import { labelShape, taskLosses } from '../../src/train/loss.ts';
import { useGpu } from '../support/gpu.ts';
import { seeded } from '../support/seeded.ts';

const gpu = useGpu();
const OUTPUTS: Readonly<Record<Task, number>> = {
  semseg: 21, human_parts: 7, sal: 1, edge: 1, normals: 3, depth: 1,
};
const TASKS = Object.keys(OUTPUTS) as Task[];
const [BATCH, SIDE] = [2, 13];

function given(): { logits: Map<Task, Tensor>; labels: Map<Task, Tensor> } {
  const draw = seeded(3);
  const filled = (name: string, shape: readonly number[], value: () => number): Tensor =>
    lasting(gpu(), name, shape, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, value));
  const shape = (task: Task): number[] => [BATCH, SIDE, SIDE, OUTPUTS[task]];
  const labelOf = (task: Task): number => OUTPUTS[task] > 3 ? draw(OUTPUTS[task]) : draw(2);
  return {
    logits: new Map(TASKS.map((task) =>
      [task, trainable(filled(task, shape(task), () => draw(2001) / 500 - 2))])),
    labels: new Map(TASKS.map((task) =>
      [task, filled(`label ${task}`, labelShape(task, BATCH, SIDE), () => labelOf(task))])),
  };
}

test('taskLosses() of six tasks at once are those of each alone, and so are their gradients', async () => {
  const { logits, labels } = given();
  const run = (tasks: readonly Task[]): Promise<Float32Array[]> => evaluate(gpu(), () => {
    const some = new Map(tasks.map((task) => [task, logits.get(task)!]));
    const losses = [...taskLosses(some, labels).values()];
    const gradients = backward(losses.map((loss) => [loss, null]));
    return [...losses, ...tasks.map((task) => gradients.get(logits.get(task)!)!)];
  });
  const together = await run(TASKS);
  for (const [t, task] of TASKS.entries()) {
    const [loss, gradient] = await run([task]);
    expect(together[t]).toEqual(loss);
    expect(together[TASKS.length + t]).toEqual(gradient);
    expect(loss![0]).toBeGreaterThan(0);
    expect(gradient!.some((value) => value !== 0)).toBe(true);
  }
  for (const tensor of [...logits.values(), ...labels.values()]) release(gpu(), tensor);
});

test('taskLosses() has gradients for the losses that are asked for only', async () => {
  const { logits, labels } = given();
  await evaluate(gpu(), () => {
    const losses = taskLosses(logits, labels);
    const gradients = backward([[losses.get('sal')!, null]]);
    for (const [task, output] of logits) expect(gradients.get(output) !== null).toBe(task === 'sal');
    return [losses.get('sal')!];
  });
  for (const tensor of [...logits.values(), ...labels.values()]) release(gpu(), tensor);
});
