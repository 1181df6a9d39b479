import { z } from 'zod';
import { size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { TASKS, type Task } from '../../mtlora/spec.ts';
import { weightedTotal } from '../../ops/losses/weighted_total.ts';
import { taskLosses } from '../loss.ts';
import { DIRECT_LOSS, directLoss, KWARGS } from './direct_losses.ts';
import { eachCase, readGolden, type Golden } from './golden.ts';
import { CHANNELS_LAST } from './layout.ts';
import { Leaves } from './leaves.ts';
import { compare, compareNumber, exactly, type Check } from './report.ts';

/** What the README of these files allows: relative errors of losses, relative L2 errors of gradients. */
const BOUNDS = { loss: 2e-6, gradient: 5e-6 };

const TASK = z.enum(TASKS);
export const LOSS = z.record(z.string(), z.union([z.number(), z.literal('NaN')]));

const LOSS_CASE = z.strictObject({
  name: z.string(),
  task: TASK.optional(),
  tasks: z.array(TASK).optional(),
  weights: z.record(z.string(), z.number()).optional(),
  direct: DIRECT_LOSS.optional(),
  kwargs: KWARGS.prefault({}),
  loss: LOSS,
  // how the file's tensors were drawn
  database: z.string().optional(), batch: z.int(), h: z.int(), w: z.int(), classes: z.int().optional(),
  scale: z.number().optional(), constant: z.number().optional(), allIgnored: z.array(z.int()).optional(),
  void: z.boolean().optional(), labelsLikeLogits: z.boolean().optional(),
  // how the release ran
  lossRef64: LOSS, officialDtype: z.unknown().optional(), gradHasNaN: z.unknown().optional(),
});
type LossCase = z.infer<typeof LOSS_CASE>;

/** Holds every task's loss, their weighted total and the logits' gradients to the cases of a folder. */
export function verifyLosses(gpu: Gpu, folder: string): Promise<Check[]> {
  return eachCase(folder, LOSS_CASE, (given) => verifyCase(gpu, given, readGolden(folder, given.name)));
}

export function isLossCase(value: object): boolean {
  return 'loss' in value && 'lossRef64' in value;
}

async function verifyCase(gpu: Gpu, given: LossCase, golden: Golden): Promise<Check[]> {
  const tasks = given.tasks ?? (given.task ? [given.task] : []);
  if (tasks.length === 0) throw new Error('a case of losses must name its task or tasks');
  const leaves = new Leaves(gpu, golden);
  try {
    const losses = tasks.map((task) => lossOf(given, task, golden, leaves));
    const weights = tasks.map((task) => given.weights?.[task] ?? 1);
    const { outputs, gradients } = await leaves.run(() => {
      const each = losses.map((loss) => loss());
      const total = weightedTotal(each, weights);
      return { outputs: [...each, total], seeds: [[total, null]] };
    });
    return [
      ...tasks.map((task, t) =>
        compareLoss(`${given.name} loss.${task}`, outputs[t]![0]!, given.loss[task], BOUNDS.loss)),
      checkTotal(given, tasks, weights, outputs.at(-1)![0]!),
      ...tasks.map((task) => compare(`${given.name} grad.${task}`,
        gradients.get(`logits.${task}`) ?? [], golden.values(`grad.${task}`), BOUNDS.gradient)),
    ];
  } finally {
    leaves.release();
  }
}

function lossOf(given: LossCase, task: Task, golden: Golden, leaves: Leaves): () => Tensor {
  const [b, c, h, w] = golden.shape(`in.logits.${task}`) as [number, number, number, number];
  if (given.direct) return directLoss({ kind: given.direct, kwargs: given.kwargs, task }, golden, leaves);
  const shape = task === 'normals' ? [b, 3, h, w] : [b, h, w];
  if (size(golden.shape(`in.label.${task}`)) !== size(shape)) {
    throw new Error(`${golden.path}: "in.label.${task}" must hold ${size(shape)} values`);
  }
  const logits = leaves.inputs([`logits.${task}`], { shape: [b, h, w, c], layout: CHANNELS_LAST });
  const labels = leaves.constant([`in.label.${task}`], { shape });
  return () => taskLosses(new Map([[task, logits]]), new Map([[task, labels]])).get(task)!;
}

// Where no pixel has a label the release divides by zero, and its gradient is zero all the same: here both
// are
export function compareLoss(
  label: string, got: number, want: number | 'NaN' | undefined, bound: number,
): Check {
  if (want === undefined) throw new Error(`${label}: the case gives no value`);
  if (want === 'NaN') return exactly(label, got, 0, '0 where the release has NaN');
  return want === 0 ? exactly(label, got, 0) : compareNumber(label, got, want, bound);
}

// a task without labels adds nothing to the total, instead of making it NaN
function checkTotal(given: LossCase, tasks: readonly Task[], weights: readonly number[], got: number): Check {
  const label = `${given.name} loss.total`;
  if (given.loss.total !== 'NaN') return compareLoss(label, got, given.loss.total, BOUNDS.loss);
  const terms = tasks.map((task, t) =>
    given.loss[task] === 'NaN' ? 0 : weights[t]! * Number(given.loss[task]));
  return compareLoss(label, got, terms.reduce((sum, term) => sum + term, 0), BOUNDS.loss);
}
