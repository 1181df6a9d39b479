import { createHash } from 'node:crypto';
import { bytesOf, type HostTensor } from '../../src/data/host_tensor.ts';
import { isHeld, parameterTable, type Init } from '../../src/mtlora/names.ts';
import type { ModelSpec } from '../../src/mtlora/spec.ts';
import { CONFIG_SCHEMA, type Config } from '../../src/train/config_schema.ts';
import { fullStateDict } from '../../src/train/weights.ts';
import { seeded } from './seeded.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A small model that has every kind of block: shifted, unshifted, one window a map. */
export function tinyConfig(lora: Fields = {}, tasks = ['semseg', 'normals']): Config {
  const ranks = { ...Object.fromEntries(tasks.map((task) => [task, [2, 2, 2, 2]])), shared: [3, 3, 2, 3] };
  return CONFIG_SCHEMA.parse({
    DATA: { IMG_SIZE: 32, BATCH_SIZE: 2, DBNAME: 'PASCALContext' },
    MODEL: {
      SWIN: { PATCH_SIZE: 2, EMBED_DIM: 8, DEPTHS: [2, 2, 2, 1], NUM_HEADS: [1, 2, 2, 4], WINDOW_SIZE: 4 },
      MTLORA: { ENABLED: true, R_PER_TASK: ranks, SHARED_SCALE: [2, 1.5, 1, 0.5], ...lora },
      DECODER_CHANNELS: [4, 4, 4, 4],
    },
    TASKS: tasks,
  });
}

/** A state dict of the model with values that leave no part without effect. */
export function randomState(spec: ModelSpec, seed = 1): Map<string, HostTensor> {
  const pick = seeded(seed);
  const uniform = (bound: number): number => bound * (pick(2 ** 24) / 2 ** 23 - 1);
  const values = parameterTable(spec).filter(isHeld).map(({ name, shape, init }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const middle = centre(init);
    const bound = middle === 1 ? 0.3 : shape.length > 1 ? 1 / Math.sqrt(size / shape[0]!) : 0.2;
    const data = Float32Array.from({ length: size }, () => middle + uniform(bound));
    return [name, { dtype: 'F32', shape, data }] as const;
  });
  return fullStateDict(spec, new Map(values), 5);
}

/** A line a tensor, in order: quicker to compare than the values, and equal only where those are. */
export function fingerprint(tensors: ReadonlyMap<string, HostTensor>): string[] {
  return [...tensors].map(([name, tensor]) => {
    const digest = createHash('sha1').update(bytesOf(tensor)).digest('hex');
    return `${name} ${tensor.dtype} [${tensor.shape.join()}] ${digest}`;
  });
}

function centre(init: Init): number {
  return init.kind === 'constant' ? init.value : 0;
}
