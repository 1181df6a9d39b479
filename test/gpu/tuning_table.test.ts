import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { empty, lasting, type Tensor } from '../../src/autograd/tensor.ts';
import { openGpu, type Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import { dispatch, keep } from '../../src/gpu/program.ts';
import { readTuning, tunedFile, type Choices } from '../../src/gpu/tuning_table.ts';

let cache: string;
let lines: string[];
const opened: Gpu[] = [];

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'mtlora-tuned-'));
  lines = [];
});
afterEach(() => {
  for (const gpu of opened.splice(0)) gpu.close();
  rmSync(cache, { recursive: true });
});

async function open(): Promise<Gpu> {
  const gpu = await openGpu({ cache, say: (line) => lines.push(line) });
  opened.push(gpu);
  return gpu;
}

/** A device whose file of choices is `text`, or holds one choice for sums of up to 256 items. */
async function openTuned(content: { choice?: object; text?: string; driver?: string }): Promise<Gpu> {
  const { adapter } = await open();
  const { name, driver } = adapter;
  const choices = { 'elementwise/add': { '≤256': content.choice } };
  const text = content.text ?? JSON.stringify({ adapter: name, driver: content.driver ?? driver, choices });
  writeFileSync(tunedFile(cache, adapter), text);
  return open();
}

/** The variant and the grid of a sum of 1,000 elements, 250 items. */
async function launched(gpu: Gpu): Promise<{ variant: string; grid: readonly number[] }> {
  const [a, b] = ['a', 'b'].map((name) => lasting(gpu, name, [1000])) as [Tensor, Tensor];
  const { executable } = await compile(gpu, 'sum', () => {
    const y = empty([1000], 'sum');
    dispatch('elementwise/add', { a, b, y }, { items: 250, params: { count: 1000, value: 0 } });
    keep(y);
  });
  const { variant, grid } = executable.commands[0]!.dispatch;
  return { variant, grid };
}

test('openGpu() runs what was tuned for its adapter and driver, once that agrees', async () => {
  const gpu = await openTuned({ choice: { WG: 32 } });
  expect(await launched(gpu)).toEqual({ variant: 'elementwise WG=32', grid: [8, 1] });
  expect(lines).toEqual([expect.stringMatching(/^kernels {4}1 of 1 fast launches agree/)]);
  const walking = await openTuned({ choice: { WG: 32, groups: 8 } });
  expect(await launched(walking)).toEqual({ variant: 'elementwise WG=32', grid: [8, 1] });
  expect(await launched(await openTuned({ choice: { WG: 8, groups: 16 } })))
    .toEqual({ variant: 'elementwise WG=8', grid: [16, 1] });
});

const usual = async (): Promise<unknown> => launched(await open());

test('openGpu() leaves choices of another driver out, and says so', async () => {
  const expected = await usual();
  const gpu = await openTuned({ choice: { WG: 32 }, driver: 'older' });
  expect(await launched(gpu)).toEqual(expected);
  const says = /^kernels {4}warning: ".*tuned-.*" is left out: it is of .*, older/;
  expect(lines).toEqual([expect.stringMatching(says)]);
});

for (const [how, text, says] of [
  ['cut off', '{"adapter": "x", "choi', /is left out: .*JSON.*: tune again, or delete it$/],
  ['a list', '[1, 2]', /is left out: it must hold choices: numbers by family, class of shapes and name/],
  ['of words', '{"choices": {"elementwise/add": {"≤256": {"WG": "32"}}}}', /must hold choices: numbers/],
] as const) {
  test(`openGpu() goes on with the usual constants where the file is ${how}, and says so`, async () => {
    const expected = await usual();
    const gpu = await openTuned({ text });
    expect(await launched(gpu)).toEqual(expected);
    expect(lines).toEqual([expect.stringMatching(says)]);
  });
}

test('tuned() leaves out what is none of a family\'s candidates, and says so once', async () => {
  const expected = await usual();
  const gpu = await openTuned({ choice: { WG: 48 } });
  for (let i = 0; i < 2; i++) expect(await launched(gpu)).toEqual(expected);
  expect(lines).toEqual([
    'kernels    warning: {"WG":48}, tuned for elementwise/add, ≤256, is left out: '
      + 'it is none of its candidates',
  ]);
});

for (const file of globSync('kernels/tuned/*.json')) {
  test(`readTuning() takes ${file} for the adapters that it names`, () => {
    const { adapters, choices } = JSON.parse(readFileSync(file, 'utf8')) as {
      adapters: string; choices: Choices;
    };
    const named = (name: string) => readTuning(
      { name, driver: '', vendor: '', architecture: '', software: true }, null, (line) => lines.push(line),
    );
    const asks = Object.entries(choices).flatMap(([family, shapes]) =>
      Object.entries(shapes).map(([shape, choice]) =>
        ({ family, shape, choice, candidates: () => [choice] })));
    expect(asks.length).toBeGreaterThan(0);
    for (const ask of asks) {
      expect(named(`the ${adapters.toUpperCase()} of a test`).get(ask)).toEqual(ask.choice);
      expect(named('another').get(ask)).toBeUndefined();
    }
    expect(lines).toEqual([]);
  });
}
