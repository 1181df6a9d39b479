// Which parameters a step moves, by every switch of the adapters: those that train and that a loss needs.
import { expect, test } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { isNeverUpdated } from '../../src/mtlora/freeze.ts';
import { isHeld, parameterTable } from '../../src/mtlora/names.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { modelSpec } from '../../src/train/config.ts';
import { CONFIG_SCHEMA } from '../../src/train/config_schema.ts';
import { compileTrainStep } from '../../src/train/step.ts';
import { microTensor } from '../../src/train/verify/micro_fill.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const SIDE = 32;
const LORA = 'backbone.layers.0.blocks.1.mlp.fc1.lora_';

/** A step on weights that are all different from 0: names of the gradients, and of what moved. */
async function step(mtlora: object, tasks: readonly string[]) {
  const config = CONFIG_SCHEMA.parse({
    TASKS: tasks, DATA: { IMG_SIZE: SIDE, BATCH_SIZE: 2, DBNAME: 'PASCALContext' },
    MODEL: {
      DROP_PATH_RATE: 0, DECODER_CHANNELS: [3, 4, 5, 6],
      SWIN: { EMBED_DIM: 8, DEPTHS: [2, 1, 1, 1], NUM_HEADS: [1, 2, 4, 8], WINDOW_SIZE: 4 },
      MTLORA: { ENABLED: true, DROPOUT: [0], R: [2], ...mtlora },
    },
  });
  const plain: Gpu = { ...gpu(), features: new Set() };      // plain kernels, which compile in no time
  const store = new ParameterStore(plain, modelSpec(config));
  const table = parameterTable(store.spec);
  store.load(new Map(table.filter(isHeld).map(({ name, shape }) => [name, microTensor(name, shape)])));
  const before = await store.read();
  const program = await compileTrainStep(plain, store, config, 2);
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(1.37 * i));
  const label = values(2 * SIDE * SIDE).map((v) => Number(v > 0));
  const labels = Object.fromEntries(tasks.map((task) => [task, label]));
  program.run([{ image: values(6 * SIDE * SIDE), labels }], { step: 0, seed: 0, lr: 1e-3 });
  const gradients = await store.readGradients();
  const after = await store.read();
  program.destroy();
  store.destroy();
  const expected = table.filter(({ name, trainable }) => trainable && !isNeverUpdated(store.spec, name));
  return {
    expected: expected.map(({ name }) => name).sort(),
    gradients: [...gradients].filter(([, { data }]) => data.some((v) => v !== 0))
      .map(([name]) => name).sort(),
    moved: [...after].filter(([name, { data }]) => !name.includes('running_')
      && data.some((v, i) => v !== before.get(name)!.data[i])).map(([name]) => name).sort(),
  };
}

type Switch = readonly [name: string, mtlora: object, updated: readonly string[], still: readonly string[]];

const SWITCHES: readonly Switch[] = [
  ['trainable factors', { TRAINABLE_SCALE_SHARED: true, TRAINABLE_SCALE_PER_TASK: true },
    ['shared_scale', 'task_scale.sal'], []],
  ['trainable factors in mode matrixv2',
    { TRAINABLE_SCALE_SHARED: true, TRAINABLE_SCALE_PER_TASK: true, SHARED_MODE: 'matrixv2' },
    ['shared_scale', 'task_scale.sal'], []],
  ['trainable factors in mode addition',
    { TRAINABLE_SCALE_SHARED: true, TRAINABLE_SCALE_PER_TASK: true, SHARED_MODE: 'addition' },
    ['task_scale.sal', 'norm.weight'], ['shared_scale']],
  ['task branches everywhere', { INTERMEDIATE_SPECIALIZATION: true }, ['tasks_A.sal'], []],
  ['task branches everywhere, added', { INTERMEDIATE_SPECIALIZATION: true, SHARED_MODE: 'addition' },
    ['tasks_B.sal', 'norm.bias'], []],
  ['no branches in fc2', { FC2_ENABLED: false }, ['shared_A'], ['tasks_A.sal', 'tasks_B.semseg']],
  ['no branches in fc2, added', { FC2_ENABLED: false, SHARED_MODE: 'addition' }, ['tasks_A.sal'], []],
  ['branches in patch merging alone', {
    QKV_ENABLED: false, PROJ_ENABLED: false, FC1_ENABLED: false, FC2_ENABLED: false,
    DOWNSAMPLER_ENABLED: true,
  }, [], []],
  ['biases, too', { BIAS: 'all' }, ['shared_B'], []],
  ['a stage of rank 0', { R_PER_TASK: { shared: [2, 0, 2, 0], semseg: [1], sal: [1] } }, ['tasks_A.sal'], []],
];

for (const [name, mtlora, updated, still] of SWITCHES) {
  test(`compileTrainStep() moves what trains and nothing else, with ${name}`, async () => {
    const { expected, gradients, moved } = await step(mtlora, ['semseg', 'sal']);
    expect(gradients).toEqual(expected);
    expect(moved).toEqual(expected);
    expect(expected).toEqual(expect.arrayContaining(updated.map((each) => LORA + each)));
    for (const each of still) expect(moved).not.toContain(LORA + each);
  });
}
