import { z } from 'zod';
import type { Adaptation, Site } from '../../mtlora/site.ts';
import { layerMode, type SharedMode } from '../../mtlora/spec.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { KeepBits } from '../../ops/dropout.ts';
import { TRANSPOSED } from './layout.ts';
import type { Leaves } from './leaves.ts';

/** How the release calls the modes of its adapted layers. */
export const SHARED_MODE = z.enum(['matrix', 'matrixv2', 'addition', 'add', 'lora_only'])
  .transform((mode): SharedMode => mode === 'add' ? 'addition' : mode);

/** The adapted layers of a case, which differ in name and width only. */
export type GoldenLora = {
  readonly mode: SharedMode;
  /** In the order of the streams; none where a layer is task-agnostic. */
  readonly tasks: readonly string[];
  /** `shared` and each task. */
  readonly ranks: Readonly<Record<string, number>>;
  readonly sharedScale: number;
  readonly taskScale: Readonly<Record<string, number>>;
  readonly trainableScale?: { readonly shared: boolean; readonly tasks: boolean };
  readonly keep?: KeepBits | undefined;
};

export type SiteShape = { readonly out: number; readonly input: number; readonly bias: boolean };

/** The tasks that an adapted layer makes streams for: none without a shared rank, nor in mode lora_only. */
export function streamTasks({ mode, tasks, ranks }: GoldenLora): readonly string[] {
  return mode === 'lora_only' || ranks.shared === 0 ? [] : tasks;
}

/** A linear layer of a case, adapted where `lora` is given; `name` is its module, '' for the case itself. */
export function goldenSite(leaves: Leaves, name: string, shape: SiteShape, lora: GoldenLora | null): Site {
  const prefix = name === '' ? '' : `${name}.`;
  const linear = lora ? `${prefix}linear` : name;
  return {
    w: leaves.param(`${linear}.weight`, [shape.out, shape.input]),
    bias: shape.bias ? leaves.param(`${linear}.bias`, [shape.out]) : null,
    adaptation: lora && lora.ranks.shared! > 0 ? adaptation(leaves, prefix, shape, lora) : null,
  };
}

function adaptation(leaves: Leaves, prefix: string, { out, input }: SiteShape, lora: GoldenLora): Adaptation {
  const tasks = streamTasks(lora);
  const mode = layerMode(lora.mode, tasks.length);
  const own = tasks.map((task) =>
    ({ rank: rankOf(lora, task), suffix: (factor: string) => `tasks_${factor}.${task}` }));
  const shared = { rank: lora.ranks.shared!, suffix: (factor: string) => `shared_${factor}` };
  const branches = mode === 'addition' ? own : [shared, ...own];
  const rank = branches.reduce((sum, branch) => sum + branch.rank, 0);
  const names = (factor: string): string[] => branches.map(({ suffix }) => `${prefix}lora_${suffix(factor)}`);
  const scale = (name: string): Tensor => leaves.param(`${prefix}${name}`, [1]);
  const norm = (name: string): Tensor => leaves.param(`${prefix}lora_norm.${name}`, [out]);
  const trainable = { shared: false, tasks: false, ...lora.trainableScale };
  const hasShared = mode !== 'addition';
  return {
    mode, dropout: 0, keep: lora.keep,
    a: leaves.stack(names('A'), branches.map((branch) => [branch.rank, input]), [rank, input]),
    bt: leaves.stack(names('B'), branches.map((branch) => [out, branch.rank]), [rank, out], TRANSPOSED),
    ranks: [hasShared ? shared.rank : 0, ...own.map((branch) => branch.rank)],
    scales: [
      hasShared && !trainable.shared ? lora.sharedScale : 1,
      ...tasks.map((task) => trainable.tasks ? 1 : scaleOf(lora, task)),
    ],
    sharedScale: hasShared && trainable.shared ? scale('lora_shared_scale') : undefined,
    taskScales: tasks.length > 0 && trainable.tasks
      ? tasks.map((task) => scale(`lora_task_scale.${task}`)) : undefined,
    norm: mode === 'addition'
      ? { w: norm('weight'), b: norm('bias') } : undefined,
  };
}

function rankOf({ ranks }: GoldenLora, task: string): number {
  const rank = ranks[task];
  if (rank === undefined) throw new Error(`verify: the case gives no rank of task "${task}"`);
  return rank;
}

function scaleOf({ taskScale }: GoldenLora, task: string): number {
  const scale = taskScale[task];
  if (scale === undefined) throw new Error(`verify: the case gives no scale of task "${task}"`);
  return scale;
}
