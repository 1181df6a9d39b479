// Every count of the release that is known, to the parameter.
import { expect, test } from 'vitest';
import { paramsReport } from '../../src/train/params_report.ts';
import { loadJson } from '../support/fixtures.ts';
import { releasedSpec } from '../support/released.ts';

const TASKS = ['semseg', 'normals', 'sal', 'human_parts'];
const R = (rank: number): string => `mtlora_tiny_448_r${rank}_scale4_pertask`;
const PLUS = (rank: number): string => `mtlora_plus_tiny_448_r${rank}_scale4`;
const SWIN = 'swin_tiny_patch4_window7_448';

const lora = (field: string, value: string): string[] => [`MODEL.MTLORA.${field}`, value];
const freeze = (field: string): string[] => [`TRAIN.FREEZE_${field}`, 'True'];
const heads = (head: string): string[] => TASKS.flatMap((task) => [`MODEL.DECODER_HEAD.${task}`, head]);
const tasks = (...names: string[]): string[] => ['TASKS', names.join(',')];
const ranks = (rank: number, ...names: string[]): string[] =>
  names.flatMap((name) => lora(`R_PER_TASK.${name}`, String(rank)));
const trainable = (config: string, ...opts: string[]): number =>
  paramsReport(releasedSpec(config, ...opts)).trainable;

const DECODER = 1_946_624;

const ROWS: readonly [config: string, opts: string[], trainable: number, lora: number, extra: number,
  total: number, decoder?: number][] = [
  [SWIN, [], 29_464_442, 0, 27_517_818, 29_464_442],
  [SWIN, ['MODEL.FREEZE_BACKBONE', 'True'], DECODER, 0, 0, 29_464_442],
  [R(16), [], 4_953_146, 1_406_976, 1_599_546, 30_871_418],
  [R(32), [], 6_083_642, 2_537_472, 1_599_546, 32_001_914],
  [R(64), [], 8_344_634, 4_798_464, 1_599_546, 34_262_906],
  [PLUS(4), [], 2_573_114, 575_232, 51_258, 30_039_674],
  [PLUS(8), [], 3_148_346, 1_150_464, 51_258, 30_614_906],
  [PLUS(16), [], 4_298_810, 2_300_928, 51_258, 31_765_370],
  [`${PLUS(16)}_pertask`, [], 3_469_370, 1_471_488, 51_258, 30_935_930],
  [`${PLUS(32)}_pertask`, [], 4_664_378, 2_666_496, 51_258, 32_130_938],
  [`${PLUS(64)}_pertask`, [], 7_054_394, 5_056_512, 51_258, 34_520_954],
  [R(64), lora('FC1_ENABLED', 'False'), 6_816_314, 3_270_144, 1_599_546, 32_734_586],
  [R(64), lora('FC2_ENABLED', 'False'), 6_816_314, 3_270_144, 1_599_546, 32_734_586],
  [R(64), lora('PROJ_ENABLED', 'False'), 7_733_306, 4_187_136, 1_599_546, 33_651_578],
  [R(64), lora('QKV_ENABLED', 'False'), 7_214_138, 3_667_968, 1_599_546, 33_132_410],
  [R(64), freeze('PATCH_EMBED'), 8_339_930, 4_798_464, 1_594_842, 34_262_906],
  [R(64), freeze('LAYER_NORM'), 8_321_594, 4_798_464, 1_576_506, 34_262_906],
  [R(64), freeze('RELATIVE_POSITION_BIAS'), 8_321_312, 4_798_464, 1_576_224, 34_262_906],
  [R(64), freeze('DOWNSAMPLE_REDUCTION'), 6_796_346, 4_798_464, 51_258, 34_262_906],
  [R(64), lora('BIAS', 'all'), 8_384_378, 4_798_464, 1_639_290, 34_262_906],
  [R(64), lora('SHARED_MODE', 'addition'), 7_255_994, 3_709_824, 1_599_546, 33_174_266],
  [R(64), lora('SHARED_MODE', 'add'), 7_255_994, 3_709_824, 1_599_546, 33_174_266],
  [R(64), lora('SHARED_MODE', 'matrixv2'), 8_344_634, 4_798_464, 1_599_546, 34_262_906],
  [R(64), lora('SHARED_MODE', 'lora_only'), 8_068_154, 4_521_984, 1_599_546, 33_986_426],
  [R(64), lora('INTERMEDIATE_SPECIALIZATION', 'True'), 8_916_026, 5_369_856, 1_599_546, 34_834_298],
  [R(64), lora('TRAINABLE_SCALE_SHARED', 'True'), 8_344_682, 4_798_512, 1_599_546, 34_262_954],
  [R(64), lora('FREEZE_PRETRAINED', 'False'), 34_262_906, 4_798_464, 27_517_818, 34_262_906],
  [R(64), ranks(0, 'shared', ...TASKS), 3_546_170, 0, 1_599_546, 29_464_442],
  [R(32), heads('segformer'), 6_217_338, 2_537_472, 1_599_546, 32_135_610, 2_080_320],
  [R(32), heads('aspp'), 16_580_186, 2_537_472, 1_599_546, 42_498_458, 12_443_168],
  [R(32), heads('updecoder'), 5_050_778, 2_537_472, 1_599_546, 30_969_050, 913_760],
];

for (const [config, opts, ...counts] of ROWS) {
  test(`paramsReport() counts ${config} ${opts.join(' ')}`, () => {
    const [want, low, extra, total, decoder = DECODER] = counts;
    expect(paramsReport(releasedSpec(config, ...opts)))
      .toMatchObject({ trainable: want, lora: low, decoder, extra, total });
  });
}

test('paramsReport() counts the ablations of rank 32', () => {
  const without = ['FC1', 'FC2', 'PROJ', 'QKV'].map((site) =>
    trainable(R(32), ...lora(`${site}_ENABLED`, 'no')));
  expect(without).toEqual([5_261_882, 5_261_882, 5_754_938, 5_518_394]);
  const frozen = ['PATCH_EMBED', 'LAYER_NORM', 'RELATIVE_POSITION_BIAS', 'DOWNSAMPLE_REDUCTION']
    .map((part) => trainable(R(32), ...freeze(part)));
  expect(frozen).toEqual([6_078_938, 6_060_602, 6_060_320, 4_535_354]);
});

test('paramsReport() counts every number of tasks', () => {
  const table: [string[], number, number, number, number, number?][] = [
    [['semseg'], 6_691_359, 4_430_367, 3_299_871, 500_709, 28_018_527],
    [['semseg', 'normals'], 7_241_730, 4_980_738, 3_850_242, 981_960, 28_499_778],
    [['semseg', 'sal'], 7_239_568, 4_978_576, 3_848_080, 979_798],
    [['semseg', 'normals', 'sal'], 7_789_939, 5_528_947, 4_398_451, 1_461_049, 28_978_867],
    [TASKS, 8_344_634, 6_083_642, 4_953_146, 1_946_624, 29_464_442],
    [[...TASKS, 'edge'], 8_892_843, 6_631_851, 5_501_355, 2_425_713],
  ];
  for (const [names, r64, r32, r16, decoder, full] of table) {
    const chosen = tasks(...names);
    expect([64, 32, 16].map((rank) => trainable(R(rank), ...chosen))).toEqual([r64, r32, r16]);
    expect(paramsReport(releasedSpec(R(64), ...chosen)).decoder).toBe(decoder);
    if (full) expect(trainable(SWIN, ...chosen)).toBe(full);
  }
  const single = ['semseg', 'normals', 'sal', 'human_parts'].map((task) => trainable(SWIN, ...tasks(task)));
  expect(single).toEqual([28_018_527, 27_999_069, 27_996_907, 28_003_393]);
});

test('paramsReport() matches the paper where task rank 8 meets frozen patch merging', () => {
  const counts = [['semseg', 'normals'], ['semseg', 'sal'], ['semseg', 'normals', 'sal']].map((names) =>
    trainable(R(64), ...tasks(...names), ...ranks(8, ...names), ...freeze('DOWNSAMPLE_REDUCTION')));
  expect(counts).toEqual([5_831_682, 5_829_520, 6_449_011]);
});

test('paramsReport() counts Swin-S and Swin-B', () => {
  const small = ['MODEL.SWIN.DEPTHS', '[2,2,18,2]'];
  const base = [...small, 'MODEL.SWIN.EMBED_DIM', '128', 'MODEL.SWIN.NUM_HEADS', '(4, 8, 16, 32)'];
  const all = [SWIN, R(16), R(32), R(64), PLUS(4), PLUS(8), PLUS(16)];
  expect(all.map((config) => trainable(config, ...small))).toEqual([50_782_346,
    6_175_562, 8_485_706, 13_105_994, 2_910_794, 3_780_938, 5_521_226]);
  expect(all.map((config) => trainable(config, ...base))).toEqual([88_932_024,
    8_517_560, 11_597_752, 17_758_136, 3_476_408, 4_636_600, 6_956_984]);
  expect(paramsReport(releasedSpec(SWIN, ...base)).decoder).toBe(2_190_848);
});

test('paramsReport() counts each head, of NYUD too', () => {
  const decoders = (config: string, ...opts: string[]) => paramsReport(releasedSpec(config, ...opts)).tasks
    .map(({ task, downsampler, head }) => [task, downsampler + head]);
  expect(decoders(R(64))).toEqual([['semseg', 500_709], ['normals', 481_251], ['sal', 479_089],
    ['human_parts', 485_575]]);
  expect(decoders(R(64), 'DATA.DBNAME', 'NYUD')).toEqual([['semseg', 521_248], ['normals', 481_251],
    ['depth', 479_089]]);
  const headSizes = (head: string) =>
    paramsReport(releasedSpec(R(64), ...heads(head))).tasks.map((task) => task.head);
  expect(headSizes('segformer')).toEqual([343_594, 334_342, 333_314, 336_398]);
  expect(headSizes('aspp')).toEqual([2_930_965, 2_926_339, 2_925_825, 2_927_367]);
});

test('paramsReport() counts heads on raw stage channels without downsampler', () => {
  const { decoder } = paramsReport(releasedSpec(R(64), 'MODEL.DECODER_DOWNSAMPLER', 'False'));
  // K = 192 + 384 + 768 + 768 channels: 4K² + 4K bias + 8K of the norm + (4K + 1) an output.
  expect(decoder).toBe(71_740_448);
  expect(decoder).toBe(4 * (4 * 2112 * 2112 + 12 * 2112) + 32 * (4 * 2112 + 1));
});

test('paramsReport() splits rank 64 into its parts', () => {
  const report = paramsReport(releasedSpec(R(64)));
  expect(report.parts.map(({ name, parameters, trainable: training, tensors }) =>
    [name, parameters, training, tensors])).toEqual([
    ['shared low-rank', 4_521_984, 4_521_984, 96],
    ['task low-rank', 276_480, 276_480, 96],
    ['patch embedding', 4_896, 4_896, 4],
    ['patch merging', 1_548_288, 1_548_288, 3],
    ['norms', 23_040, 23_040, 54],
    ['position tables', 23_322, 23_322, 12],
    ['attention and MLP', 25_918_272, 0, 96],
    ['downsamplers', 732_672, 732_672, 16],
    ['heads', 1_213_952, 1_213_952, 24],
  ]);
  expect(report.tasks.map(({ head }) => head)).toEqual([317_541, 298_083, 295_921, 302_407]);
});

test('paramsReport() names what trains but never moves', () => {
  const never = (...opts: string[]) => paramsReport(releasedSpec(R(64), ...opts)).neverUpdated;
  const fc2 = 'backbone.layers.3.blocks.1.mlp.fc2';
  expect(never()).toEqual({ parameters: 245_760, tensors: [`${fc2}.lora_shared_A`, `${fc2}.lora_shared_B`] });
  expect(never(...lora('SHARED_MODE', 'matrixv2')).parameters).toBe(0);
  expect(never(...lora('SHARED_MODE', 'lora_only')).parameters).toBe(0);
  expect(never(...lora('SHARED_MODE', 'addition')).tensors)
    .toEqual([`${fc2}.lora_norm.weight`, `${fc2}.lora_norm.bias`]);
  // proj and fc1 of four blocks, two factors, four tasks.
  expect(never(...lora('FC2_ENABLED', 'False')).tensors).toHaveLength(64);
  expect(never(...lora('INTERMEDIATE_SPECIALIZATION', 'True')).parameters).toBe(245_760 + 571_392);
});

type Official = { config: string } & Record<'total' | 'trainable' | 'lora' | 'decoder' | 'loraShared'
  | 'loraTasks' | 'tensors' | 'trainableTensors', number>;

test('paramsReport() agrees with the counts that the release prints', () => {
  const official = loadJson<Official[]>('model-tiny', 'official_param_counts');
  expect(official).toHaveLength(10);
  for (const { config, ...want } of official) {
    const report = paramsReport(releasedSpec(config.replace(/^.*\/|\.yaml$/g, '')));
    const { total, trainable: training, lora: low, decoder, tensors, trainableTensors } = want;
    expect(report, config)
      .toMatchObject({ total, trainable: training, lora: low, decoder, tensors, trainableTensors });
    const part = (name: string) => report.parts.find((each) => each.name === name)?.parameters ?? 0;
    expect([part('shared low-rank'), part('task low-rank')]).toEqual([want.loraShared, want.loraTasks]);
  }
});
