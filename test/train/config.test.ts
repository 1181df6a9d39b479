import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatConfig, loadConfig, modelSpec } from '../../src/train/config.ts';
import type { Config, ConfigFlags } from '../../src/train/config.ts';
import { folderWith } from '../support/folder.ts';
import { folderData } from '../support/folder_data.ts';
import { RELEASED } from '../support/released.ts';

const R64 = RELEASED.get('mtlora_tiny_448_r64_scale4_pertask')!;

function load(yaml: string, opts: string[] = [], flags: ConfigFlags = {}): Config {
  return loadConfig(join(folderWith({ 'c.yaml': yaml }), 'c.yaml'), opts, flags).config;
}

/** The message of the error, with the temporary folder taken out. */
function problem(yaml: string, opts: string[] = [], flags: ConfigFlags = {}): string {
  const folder = folderWith({ 'c.yaml': yaml });
  try {
    loadConfig(join(folder, 'c.yaml'), opts, flags);
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  throw new Error('the configuration was accepted');
}

test('loadConfig() has the defaults of the release', () => {
  const { config, warnings } = loadConfig(null);
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    DATA: { IMG_SIZE: 224, BATCH_SIZE: 128, NUM_WORKERS: 4 },
    MODEL: { TYPE: 'swin', DROP_PATH_RATE: 0.1, DECODER_CHANNELS: [18, 36, 72, 144],
      MTLORA: { ENABLED: false, R: [8, 8, 8, 8], SHARED_SCALE: [2, 2, 2, 2], SHARED_MODE: 'matrix' } },
    TRAIN: { EPOCHS: 300, WARMUP_EPOCHS: 20, BASE_LR: 5e-4, WARMUP_LR: 5e-7, MIN_LR: 5e-6, CLIP_GRAD: 5,
      WEIGHT_DECAY: 0.05, OPTIMIZER: { NAME: 'adamw', EPS: 1e-8, BETAS: [0.9, 0.999] } },
    SEED: 0, PRINT_FREQ: 10,
  });
});

test('loadConfig() tells the precision by PRECISION, else by the release\'s AMP_ENABLE, else f32', () => {
  const precision = (...opts: string[]): string => loadConfig(null, opts).config.PRECISION;
  expect(precision()).toBe('f32');
  expect(precision('AMP_ENABLE', 'true')).toBe('f16');
  expect(precision('AMP_ENABLE', 'true', 'AMP_OPT_LEVEL', 'O0')).toBe('f32');
  expect(precision('AMP_ENABLE', 'true', 'AMP_OPT_LEVEL', 'O1')).toBe('f16');
  expect(precision('AMP_ENABLE', 'true', 'PRECISION', 'f32')).toBe('f32');
  expect(precision('PRECISION', 'f16')).toBe('f16');
  expect(loadConfig(null, ['PRECISION', 'f16'], { disableAmp: true }).config.PRECISION).toBe('f32');
  expect(loadConfig(null, [], { precision: 'f16' }).config.PRECISION).toBe('f16');
  expect(() => precision('PRECISION', 'bf16')).toThrow('PRECISION: must be one of "", "f32", "f16"');
});

test('loadConfig() reads every released configuration', () => {
  expect(RELEASED.size).toBe(10);
  for (const [name, file] of RELEASED) {
    const { config, warnings } = loadConfig(file);
    expect(warnings).toEqual([]);
    expect(config.MODEL.NAME).toBe(name);
    expect(config.DATA.IMG_SIZE).toBe(448);
    expect(config.MODEL.DROP_PATH_RATE).toBe(0.2);
  }
});

test('loadConfig() lets --opts override YAML, and flags override --opts', () => {
  const yaml = 'DATA: {BATCH_SIZE: 2}\nTRAIN: {EPOCHS: 7, BASE_LR: 1e-3}\n';
  const config = load(yaml, ['DATA.BATCH_SIZE', '3', 'TRAIN.EPOCHS', '8'], { epochs: '9', evalFreq: 0 });
  expect([config.DATA.BATCH_SIZE, config.TRAIN.EPOCHS, config.TRAIN.BASE_LR, config.EVAL_FREQ])
    .toEqual([3, 9, 1e-3, 1]);
});

test('loadConfig() reads BASE files first, relative to the file that names them', () => {
  const folder = folderWith({
    'low/base.yaml': 'TAG: base\nMODEL:\n  NAME: base\n  SWIN: {EMBED_DIM: 48}\n',
    'run.yaml': "BASE: ['low/base.yaml']\nMODEL:\n  NAME: run\n",
  });
  const { config } = loadConfig(join(folder, 'run.yaml'));
  expect([config.TAG, config.MODEL.NAME, config.MODEL.SWIN.EMBED_DIM]).toEqual(['base', 'run', 48]);
});

test('loadConfig() says where a BASE file is missing or includes itself', () => {
  expect(problem("TAG: x\nBASE: ['gone.yaml']\n"))
    .toMatch(/^c\.yaml:2:7 BASE: cannot read "gone\.yaml": ENOENT/);
  expect(problem('BASE: [c.yaml]\n')).toBe('c.yaml:1:7 BASE: "c.yaml" includes itself');
});

test('loadConfig() reads scalars as PyYAML and yacs do together', () => {
  const yaml = [
    'TRAIN:', '  BASE_LR: 1e-5', '  CLIP_GRAD: None', '  FREEZE_LAYER_NORM: yes', '  FREEZE_PATCH_EMBED: On',
    '  OPTIMIZER: {BETAS: "(0.8, 0.99)"}', 'MODEL:', '  NAME: 007',
    '  SWIN: {QK_SCALE: ~, QKV_BIAS: "False"}',
    'DATA: {BATCH_SIZE: 1_6}',
  ].join('\n');
  const { TRAIN, MODEL, DATA } = load(yaml);
  expect(TRAIN.BASE_LR).toBe(1e-5);
  expect(TRAIN.CLIP_GRAD).toBeNull();
  expect([TRAIN.FREEZE_LAYER_NORM, TRAIN.FREEZE_PATCH_EMBED, MODEL.SWIN.QKV_BIAS])
    .toEqual([true, true, false]);
  expect(TRAIN.OPTIMIZER.BETAS).toEqual([0.8, 0.99]);
  expect(MODEL.NAME).toBe('007');
  expect(MODEL.SWIN.QK_SCALE).toBeNull();
  expect(DATA.BATCH_SIZE).toBe(16);
});

test('loadConfig() spreads a number or a list of one over the stages', () => {
  const { MTLORA } = load('MODEL:\n  MTLORA:\n    R: 4\n    SHARED_SCALE: [2.5]\n'
    + '    DROPOUT: [0, 0.1, 0.2, 0.3]\n'
    + '    R_PER_TASK: {semseg: [2], normals: 3, shared: [1, 2, 3, 4]}\n').MODEL;
  expect(MTLORA.R).toEqual([4, 4, 4, 4]);
  expect(MTLORA.SHARED_SCALE).toEqual([2.5, 2.5, 2.5, 2.5]);
  expect(MTLORA.DROPOUT).toEqual([0, 0.1, 0.2, 0.3]);
  expect(MTLORA.R_PER_TASK).toEqual({ semseg: [2, 2, 2, 2], normals: [3, 3, 3, 3], shared: [1, 2, 3, 4] });
});

test('loadConfig() chooses data set and tasks by the flags', () => {
  const pick = (flags: ConfigFlags) => {
    const { config } = loadConfig(R64, [], flags);
    return [config.DATA.DBNAME, config.TASKS.join(',')];
  };
  expect(pick({})).toEqual(['PASCALContext', 'semseg,normals,sal,human_parts']);
  expect(pick({ pascal: 'data', tasks: 'sal , semseg' })).toEqual(['PASCALContext', 'sal,semseg']);
  expect(pick({ nyud: 'data', tasks: 'semseg,depth' })).toEqual(['NYUD', 'semseg,depth']);
  expect(pick({ tasks: 'depth' })).toEqual(['NYUD', 'depth']);
});

test('loadConfig() reads the heads of a decoder map', () => {
  const folder = folderWith({ 'map.json': '{"sal": "aspp"}', 'bad.json': '{"sal": "asp"}' });
  const { config } = loadConfig(R64, [], { decoderMap: join(folder, 'map.json') });
  expect(config.MODEL.DECODER_HEAD).toMatchObject({ sal: 'aspp', semseg: 'hrnet' });
  expect(() => loadConfig(R64, [], { decoderMap: join(folder, 'bad.json') }))
    .toThrow('bad.json MODEL.DECODER_HEAD.sal: '
      + 'must be one of "hrnet", "segformer", "aspp", "updecoder", got "asp"');
});

test('loadConfig() points at a wrong value', () => {
  expect(problem('DATA:\n  IMG_SIZE: 448\nMODEL:\n  TYPE:   swim\n'))
    .toBe('c.yaml:4:11 MODEL.TYPE: must be "swin", got "swim"');
  expect(problem('MODEL:\n  MTLORA:\n    R: [4, 4]\n'))
    .toBe('c.yaml:3:8 MODEL.MTLORA.R: '
      + 'must be a whole number of at least 0, or a list of 1 or 4 such, got [4, 4]');
  expect(problem('', ['TRAIN.EPOCHS', 'ten'])).toBe(
    '--opts TRAIN.EPOCHS: must be a whole number of at least 1, got "ten"');
  expect(problem('', [], { seed: 'x' })).toBe('--seed SEED: must be a whole number of at least 0, got "x"');
  expect(problem('TRAIN: {OPTIMIZER: {BETAS: [0.9, 1.9]}}')).toBe(
    'c.yaml:1:28 TRAIN.OPTIMIZER.BETAS: must be a list of 2 numbers from 0 to 1, got [0.9, 1.9]');
  expect(problem('', [], { batchSize: '0' })).toBe(
    '--batch-size DATA.BATCH_SIZE: must be a whole number of at least 1, got "0"');
  expect(problem('MODEL: swin\n')).toBe('c.yaml:1:8 MODEL: must be a group of fields, got "swin"');
  expect(problem('TRAIN:\n  USE_CHECKPOINT: y\n')).toBe(
    'c.yaml:2:19 TRAIN.USE_CHECKPOINT: must be true or false, got "y"');
});

test('loadConfig() names the field that a typo is close to', () => {
  expect(problem('MODEL:\n  SWIN:\n    EMBED_DIMS: 96\n'))
    .toBe('c.yaml:3:5 MODEL.SWIN.EMBED_DIMS: no such field, did you mean "EMBED_DIM"');
  expect(problem('IMG_SIZE: 448\n')).toBe('c.yaml:1:1 IMG_SIZE: no such field, it belongs under DATA');
  expect(problem('MODEL:\n  MTLORA:\n    R_PER_TASK: {semsg: 4}\n'))
    .toBe('c.yaml:3:18 MODEL.MTLORA.R_PER_TASK.semsg: no such field, did you mean "semseg"');
  expect(problem('MODEL:\n  BANANA: 1\n')).toBe('c.yaml:2:3 MODEL.BANANA: no such field');
});

test('loadConfig() names the value that a typo is close to', () => {
  expect(problem('MODEL: {DECODER_HEAD: {sal: hrnt}}')).toBe('c.yaml:1:29 MODEL.DECODER_HEAD.sal: '
    + 'must be one of "hrnet", "segformer", "aspp", "updecoder", got "hrnt", did you mean "hrnet"');
  expect(problem('TASKS: [sal, nromals]\n')).toMatch(/, got \[sal, nromals\], did you mean "normals"$/);
  expect(problem('', [], { tasks: 'sal,banana' })).toMatch(/, got "sal,banana"$/);
});

test('loadConfig() reports every problem at once', () => {
  expect(problem('TAGG: x\nDATA:\n  IMG_SIZE: big\n', ['SEED', '-1']).split('\n')).toEqual([
    'c.yaml:3:13 DATA.IMG_SIZE: must be a whole number of at least 1, got "big"',
    '--opts SEED: must be a whole number of at least 0, got "-1"',
    'c.yaml:1:1 TAGG: no such field, did you mean "TAG"',
  ]);
});

test('loadConfig() points into YAML that does not parse', () => {
  expect(problem('DATA:\n  IMG_SIZE: [448\n')).toMatch(/^c\.yaml:3:1 Flow sequence/);
  expect(problem('TAG: a\nTAG: b\n')).toBe('c.yaml:2:1 Map keys must be unique');
  expect(problem('TAG: a\n---\nTAG: b\n')).toBe('c.yaml:2:1 must be one YAML document');
  expect(problem('DATA:\n\tIMG_SIZE: 448\n')).toBe('c.yaml:2:1 Tabs are not allowed as indentation');
  expect(problem('TAG: a\nTASKS: !!python/tuple [sal]\n'))
    .toBe('c.yaml:2:8 Unresolved tag: tag:yaml.org,2002:python/tuple');
  expect(problem('- TAG\n')).toBe('c.yaml:1:1 must hold fields such as "MODEL:"');
  expect(problem('', ['TAG']))
    .toBe('--opts: must be pairs of a field and a value, got "TAG" without a value');
  expect(() => loadConfig('gone.yaml')).toThrow(/^cannot read "gone.yaml": ENOENT/);
});

test('loadConfig() refuses what the release cannot do', () => {
  const lora = (fields: string) => problem(`MODEL:\n  MTLORA: {ENABLED: true, ${fields}}\n`);
  expect(lora('SPLIT_QKV: true')).toMatch(/^c\.yaml:2:38 MODEL\.MTLORA\.SPLIT_QKV: must be false: the model/);
  expect(lora('BIAS: lora_only')).toMatch(/MODEL\.MTLORA\.BIAS: must be "none" or "all", got "lora_only"/);
  expect(problem('', ['MODEL.MTLORA.ENABLED', 'True', 'MODEL.PER_TASK_DOWNSAMPLER', 'False']))
    .toMatch(/^--opts MODEL\.PER_TASK_DOWNSAMPLER: must be true with MODEL\.MTLORA\.ENABLED/);
  expect(problem('MODEL: {MTLORA: {ENABLED: on}}', [], { freezeBackbone: true }))
    .toMatch(/^--freeze-backbone MODEL\.FREEZE_BACKBONE: must be false with MODEL\.MTLORA\.ENABLED/);
  expect(problem('', [], { pretrained: 'a.pth' })).toMatch(/^--pretrained .*--resume-backbone/);
  expect(problem('', [], { throughput: true }))
    .toMatch(/^--throughput THROUGHPUT_MODE: must be false: use --profile/);
  expect(problem('MODEL: {SWIN: {APE: true}}')).toMatch(/APE: must be false/);
});

test('loadConfig() checks fields against each other', () => {
  expect(problem('DATA: {IMG_SIZE: 200}')).toBe(
    'c.yaml:1:18 DATA.IMG_SIZE: must be a multiple of 32 (patch size and three mergings), got 200');
  expect(problem('DATA: {IMG_SIZE: 256}')).toContain(
    'c.yaml MODEL.SWIN.WINDOW_SIZE: must divide the 64×64 grid of stage 0, got 7');
  expect(problem('MODEL: {SWIN: {NUM_HEADS: [5, 6, 12, 24]}}')).toBe(
    'c.yaml:1:27 MODEL.SWIN.NUM_HEADS: must divide the 96 channels of stage 0, got 5');
  expect(problem('', [], { pascal: 'x', tasks: 'semseg,depth' })).toBe(
    '--tasks TASKS: PASCALContext has no task "depth", only semseg, normals, sal, human_parts, edge');
  expect(problem('', [], { tasks: 'sal,sal' })).toBe('--tasks TASKS: "sal" is given twice');
  const ranks = 'MODEL:\n  MTLORA:\n    ENABLED: true\n    R_PER_TASK: {semseg: 0, normals: 4, shared: 8}\n';
  expect(problem(ranks, [], { tasks: 'semseg,sal' }).split('\n')).toEqual([
    'c.yaml:4:26 MODEL.MTLORA.R_PER_TASK.semseg: must be at least 1 where the shared rank is',
    'c.yaml:4:17 MODEL.MTLORA.R_PER_TASK: must give the rank of every task, "sal" is missing',
  ]);
});

test('loadConfig() warns of a TASK_SCALE that would surprise', () => {
  const warnings = (value: string) => loadConfig(R64, ['MODEL.MTLORA.TASK_SCALE', value]).warnings;
  expect(warnings('[4.0]')).toEqual([]);
  expect(warnings('[2.0]')).toEqual(['--opts MODEL.MTLORA.TASK_SCALE: has no effect, tasks use SHARED_SCALE; '
    + 'give SCALE_PER_TASK to set their factors']);
});

test('formatConfig() writes YAML that loads to the same configuration', () => {
  for (const file of RELEASED.values()) {
    const opts = ['TRAIN.CLIP_GRAD', 'None', 'TRAIN.LR_SCHEDULER.MULTISTEPS', '[1, 2]'];
    const { config } = loadConfig(file, opts,
      { pascal: '/data/pascal', tasks: 'semseg,edge', batchSize: 6 });
    const written = join(folderWith({ 'c.yaml': formatConfig(config) }), 'c.yaml');
    expect(loadConfig(written)).toEqual({ config, warnings: [] });
  }
});

test('modelSpec() resolves ranks, factors and rates', () => {
  const opts = ['MODEL.MTLORA.SCALE_PER_TASK.sal', '1.5'];
  const spec = modelSpec(loadConfig(R64, opts, { tasks: 'sal' }).config);
  expect(spec.lora!.stages[2]).toEqual(
    { rank: 64, scale: 4, taskRank: { sal: 4 }, taskScale: { sal: 1.5 }, dropout: 0.05 });
  const rates = spec.dropPath.flat();
  expect(rates).toHaveLength(12);
  rates.forEach((rate, k) => expect(rate).toBeCloseTo(0.2 * k / 11, 12));
  expect(spec.tasks).toEqual([{ name: 'sal', outputs: 1, head: 'hrnet' }]);
});

test('modelSpec() gives tasks and shared the rank R where R_PER_TASK is empty', () => {
  const spec = modelSpec(loadConfig(RELEASED.get('mtlora_plus_tiny_448_r16_scale4')!).config);
  expect(spec.lora!.stages[0]!.taskRank).toEqual({ semseg: 16, normals: 16, sal: 16, human_parts: 16 });
  expect(spec.lora!.sites.reduction).toBe(true);
  expect(spec.freeze.downsampleReduction).toBe(true);
});

test('loadConfig() takes tasks and classes from --data\'s file, and keeps them without it', async () => {
  const { root, yaml } = await folderData();
  const { config } = loadConfig(null, [], { data: yaml });
  expect([config.DATA.DBNAME, config.TASKS, config.DATA.CLASSES])
    .toEqual(['Folder', ['semseg', 'sal', 'normals', 'depth'], { semseg: 3 }]);
  expect(modelSpec(config).tasks.map(({ outputs }) => outputs)).toEqual([3, 1, 3, 1]);
  const kept = join(root, 'kept.yaml');
  writeFileSync(kept, formatConfig(config));
  writeFileSync(yaml, readFileSync(yaml, 'utf8').replace('car]', 'car, bus]'));
  expect(() => loadConfig(kept)).toThrow(
    new RegExp(`^${kept}:\\d+:\\d+ DATA\\.CLASSES\\.semseg: must be 4 as in "${yaml}", got 3$`));
  rmSync(yaml);
  expect(loadConfig(kept).config).toEqual(config);
  expect(() => loadConfig(null, ['DATA.DBNAME', 'Folder'])).toThrow('Give the file that describes it');
  const noClasses = ['DATA.DBNAME', 'Folder', 'TASKS', 'sal,normals'];
  expect(modelSpec(loadConfig(null, noClasses).config).tasks.map(({ outputs }) => outputs)).toEqual([1, 3]);
});
