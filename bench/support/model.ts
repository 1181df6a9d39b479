// The models whose steps are timed, and batches for them.
import { join } from 'node:path';
import { normals } from '../../src/autograd/gradcheck.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import type { ModelSpec, Task } from '../../src/mtlora/spec.ts';
import { loadConfig, modelSpec, type Config } from '../../src/train/config.ts';
import { labelShape } from '../../src/train/loss.ts';
import type { HostBatch } from '../../src/train/inputs.ts';
import { compileTrainStep, planTrainStep, type TrainStep } from '../../src/train/step.ts';
import { ROOT } from './machine.ts';

const RELEASED = join(ROOT, 'configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml');

/** In the order of the paper's tables; six tasks want both data sets' outputs, as only a bench would. */
export const TASKS: readonly Task[] = ['semseg', 'normals', 'sal', 'human_parts', 'edge', 'depth'];

// small enough for a test's patience, with windows that shift and a stage that is one window
const TINY = [
  'DATA.IMG_SIZE', '64', 'MODEL.SWIN.EMBED_DIM', '32', 'MODEL.SWIN.NUM_HEADS', '[1, 2, 4, 8]',
  'MODEL.SWIN.DEPTHS', '[2, 2, 2, 2]', 'MODEL.SWIN.WINDOW_SIZE', '4',
  'MODEL.MTLORA.R_PER_TASK.shared', '[16]',
];

export type Case = {
  readonly size: 'tiny' | 'swin-t';
  readonly img: number;
  readonly tasks: readonly Task[];
  readonly batch: number;
};

export function nameOf({ size, img, tasks, batch }: Case): string {
  const count = `${tasks.length} task${tasks.length > 1 ? 's' : ''}`;
  return `${size} ${img}², ${count}, batch ${batch}`;
}

/** A case's model with start values, and its compiled step on a batch of noise. */
export type Built = {
  readonly spec: ModelSpec;
  readonly step: TrainStep;
  /** Submits one step. */
  run(): void;
  destroy(): void;
};

export async function buildStep(gpu: Gpu, each: Case): Promise<Built> {
  const { config, spec } = describe(each);
  const store = new ParameterStore(gpu, spec);
  fill(store);
  const step = await compileTrainStep(gpu, store, config, each.batch);
  const batch = noise(each);
  let count = 0;
  return {
    spec, step,
    run() {
      step.run([batch], { step: count, seed: 1, lr: 1e-5 });
      count += 1;
    },
    destroy() {
      step.destroy();
      store.destroy();
    },
  };
}

/** Traces a case's step without compiling anything. */
export async function planStep(gpu: Gpu, each: Case): Promise<void> {
  const { config, spec } = describe(each);
  await planTrainStep(gpu, new ParameterStore(gpu, spec), config, each.batch);
}

function describe({ size, img, tasks, batch }: Case): { config: Config; spec: ModelSpec } {
  const opts = size === 'tiny' ? TINY : ['DATA.IMG_SIZE', String(img)];
  // checked with one task, as no data set has all six
  const { config } = loadConfig(RELEASED, opts, { tasks: 'semseg', batchSize: batch });
  const whole = { ...config, TASKS: [...tasks] };
  const spec = modelSpec(whole);
  const withDepth = spec.tasks.map((task) => task.name === 'depth' ? { ...task, outputs: 1 } : task);
  return { config: whole, spec: { ...spec, tasks: withDepth } };
}

// small random values everywhere: zeros in B would leave most of the backward pass multiplying zeros
function fill(store: ParameterStore): void {
  const random = normals(1);
  const noise = Float32Array.from({ length: 65521 }, () => 0.02 * random());
  store.load(new Map(store.packs.flatMap(({ parts }) => parts.map(({ parameter: { name, shape, init } }) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const value = init.kind === 'constant' ? init.value : 0;
    const data = new Float32Array(length);          // in a loop: Float32Array.from takes 30 times as long
    for (let i = 0; i < length; i++) data[i] = value + noise[i % noise.length]!;
    return [name, { dtype: 'F32' as const, shape, data }] as const;
  }))));
}

function noise({ img, tasks, batch }: Case): HostBatch {
  const random = normals(2);
  const draw = (length: number, value: () => number): Float32Array => Float32Array.from({ length }, value);
  const labels = Object.fromEntries(tasks.map((task) => {
    const length = labelShape(task, batch, img).reduce((a, b) => a * b, 1);
    const classes = { semseg: 21, human_parts: 7 }[task as string];
    const pick = (): number => Math.floor(Math.abs(random()) * 1e6) % classes!;
    return [task, draw(length, classes ? pick : () => Number(random() > 0.5))];
  }));
  return { image: draw(batch * 3 * img * img, random), labels };
}
