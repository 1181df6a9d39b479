import { expect, test } from 'vitest';
import { countMacs, totalMacs } from '../../src/mtlora/macs.ts';
import type { ModelSpec } from '../../src/mtlora/spec.ts';
import { releasedSpec } from '../support/released.ts';

const R64 = 'mtlora_tiny_448_r64_scale4_pertask';
const TASKS = ['semseg', 'normals', 'sal', 'human_parts'];

/** Of the first `count` tasks. */
function withTasks(config: string, count: number, ...opts: string[]): ModelSpec {
  return releasedSpec(config, 'TASKS', TASKS.slice(0, count).join(','), ...opts);
}

const PARTS = {
  448: [57_802_752, 5_549_064_192, 560_566_272, 11_098_128_384, 693_633_024, 2_774_532_096, 5_857_345_536,
    4 * 108_380_160, 4 * 54_190_080],
  224: [14_450_688, 1_387_266_048, 140_141_568, 2_774_532_096, 173_408_256, 693_633_024, 1_464_336_384,
    4 * 27_095_040, 4 * 13_547_520],
};

for (const size of [448, 224] as const) {
  test(`countMacs() splits rank 64 at ${size} into its parts`, () => {
    const { heads, ...parts } = countMacs(releasedSpec(R64, 'DATA.IMG_SIZE', String(size)));
    expect(Object.values(parts)).toEqual(PARTS[size]);
    const want = [985_582_080, 924_618_240, 917_844_480, 938_165_760];
    expect(heads).toEqual(want.map((macs) => macs * (size / 448) ** 2));
  });
}

const [R16, R32] = [16, 32].map((rank) => `mtlora_tiny_448_r${rank}_scale4_pertask`) as [string, string];
const [PLUS4, PLUS8, PLUS16] = [4, 8, 16].map((rank) => `mtlora_plus_tiny_448_r${rank}_scale4`) as
  [string, string, string];
const SWIN = 'swin_tiny_patch4_window7_448';

const TOTALS: readonly [config: string, size: string, totals: number[]][] = [
  [SWIN, '448', [18_998_966_784, 19_977_775_104, 20_949_809_664, 21_942_165_504]],
  [R16, '448', [21_265_316_352, 23_046_137_856, 24_820_185_600, 26_614_554_624]],
  [R32, '448', [22_729_652_736, 24_510_474_240, 26_284_521_984, 28_078_891_008]],
  [R64, '448', [25_658_325_504, 27_439_147_008, 29_213_194_752, 31_007_563_776]],
  [PLUS4, '448', [20_192_352_768, 21_985_818_624, 23_772_510_720, 25_579_524_096]],
  [PLUS8, '448', [20_692_105_728, 22_606_596_096, 24_514_312_704, 26_442_350_592]],
  [PLUS16, '448', [21_691_611_648, 23_848_151_040, 25_997_916_672, 28_168_003_584]],
  [SWIN, '224', [4_749_741_696, 4_994_443_776, 5_237_452_416, 5_485_541_376]],
  [R64, '224', [6_414_581_376, 6_859_786_752, 7_303_298_688, 7_751_890_944]],
];

for (const [config, size, totals] of TOTALS) {
  test(`totalMacs() counts ${config} at ${size} with one to four tasks`, () => {
    const got = totals.map((_, i) => totalMacs(countMacs(withTasks(config, i + 1, 'DATA.IMG_SIZE', size))));
    expect(got).toEqual(totals);
  });
}

function headsOf(head: string): number {
  const opts = TASKS.flatMap((task) => [`MODEL.DECODER_HEAD.${task}`, head]);
  return countMacs(releasedSpec(R64, ...opts)).heads.reduce((sum, macs) => sum + macs, 0);
}

test('countMacs() counts the other heads', () => {
  expect(headsOf('segformer')).toBe(3_444_080_640);
  expect(headsOf('aspp')).toBe(35_812_292_608);
  // Three transposed convolutions from 56² up, then a 3×3 at 448².
  const upward = (56 ** 2 * 270 + 112 ** 2 * 32 + 224 ** 2 * 32) * 32 * 4;
  expect(headsOf('updecoder')).toBe(4 * upward + 448 ** 2 * 9 * 32 * 32);
});

test('countMacs() merges no task streams where fc2 makes none', () => {
  const streams = (...opts: string[]) => countMacs(releasedSpec(R64, ...opts)).mergingTasks;
  expect(streams('MODEL.MTLORA.FC2_ENABLED', 'False')).toBe(0);
  expect(streams('MODEL.MTLORA.SHARED_MODE', 'lora_only')).toBe(0);
  expect(streams('MODEL.MTLORA.PROJ_ENABLED', 'False')).toBe(2_774_532_096);
});
