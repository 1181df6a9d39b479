import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { writePth } from '../../src/data/pth_write.ts';
import { writeSafetensors } from '../../src/data/safetensors.ts';
import { loadStateDict } from '../../src/data/state_dict.ts';
import { register as registerExport } from '../../src/train/commands/export.ts';
import { register as registerMerge } from '../../src/train/commands/merge.ts';
import { formatConfig, loadConfig, modelSpec } from '../../src/train/config.ts';
import { readWeights } from '../../src/train/weights.ts';
import { folderWith } from '../support/folder.ts';
import { fingerprint, randomState, tinyConfig } from '../support/tiny_model.ts';

const config = tinyConfig();
const state = randomState(modelSpec(config));

/** A folder with a model and its configuration, and what a command says about them. */
async function model(): Promise<{
  at: (name: string) => string;
  run: (...args: string[]) => Promise<string[]>;
}> {
  const folder = folderWith({ 'model.yaml': formatConfig(config) });
  const at = (name: string): string => join(folder, name);
  await writePth(at('model.pth'), { model: state });
  const run = async (...args: string[]): Promise<string[]> => {
    const lines: string[] = [];
    const program = new Command();
    for (const register of [registerExport, registerMerge]) {
      register(program, {
        say: (line) => { lines.push(line); }, status() {}, interactive: false, args: [],
        interruption: () => new AbortController().signal,
      });
    }
    const files = ['--cfg', at('model.yaml'), ...args.includes('--from') ? [] : ['--from', at('model.pth')]];
    await program.parseAsync([...args, ...files], { from: 'user' });
    return lines;
  };
  return { at, run };
}

test('export writes the same tensors as .safetensors and as .pth', async () => {
  const { at, run } = await model();
  await run('export', '--to', at('a.safetensors'));
  await run('export', '--to', at('b.pth'));
  const [a, b] = [await loadStateDict(at('a.safetensors')), await loadStateDict(at('b.pth'))];
  expect(fingerprint(b)).toEqual(fingerprint(state));
  expect(fingerprint(a).toSorted()).toEqual(fingerprint(state).toSorted());
});

test('export refuses an optimizer that is not there, and to write over what it reads', async () => {
  const { at, run } = await model();
  const refused = (to: string, ...args: string[]) => expect(run('export', '--to', at(to), ...args)).rejects;
  await refused('b.pth', '--optimizer').toThrow('must hold a training run, and holds a model alone');
  await refused('b.pth', '--optimizer', '--stock').toThrow('--optimizer must go with a whole model');
  await refused('model.pth').toThrow('--to must be another file than --from');
  expect(existsSync(at('b.pth'))).toBe(false);
});

test('export and merge take the averages of a checkpoint with --ema, and its weights without', async () => {
  const { at, run } = await model();
  const averages = new Map([...state].filter(([, { dtype, shape }]) => dtype === 'F32' && shape.length === 2)
    .map(([name, tensor]) => [name, { ...tensor, data: (tensor.data as Float32Array).map((v) => v / 2) }]));
  const kept = new Map([...averages].map(([name, tensor]) => [`optimizer.ema.${name}`, tensor] as const));
  writeSafetensors(at('run.safetensors'), new Map([...state, ...kept]), {
    format: 'mtlora checkpoint 1', position: '{"step":3,"tracked":6,"samples":9}', fixed: '{}',
  });
  const from = ['--from', at('run.safetensors')];
  const exported = async (to: string, ...args: string[]): Promise<string[]> => {
    await run('export', '--to', at(to), ...args, ...from);
    return fingerprint(await loadStateDict(at(to)));
  };
  expect(await exported('raw.pth')).toEqual(fingerprint(state));
  expect(await exported('ema.pth', '--ema')).toEqual(fingerprint(new Map([...state, ...averages])));
  await run('merge', '--to', at('merged.pth'), '--ema', ...from);
  await run('merge', '--to', at('expected.pth'), '--from', at('ema.pth'));
  const [merged, expected] = [await loadStateDict(at('merged.pth')), await loadStateDict(at('expected.pth'))];
  expect(fingerprint(merged)).toEqual(fingerprint(expected));

  const refused = (...args: string[]) =>
    expect(run('export', '--to', at('no.pth'), '--ema', ...args)).rejects;
  await refused('--from', at('model.pth')).toThrow('must hold averages beside the weights');
  await refused('--optimizer', ...from).toThrow('--optimizer: must go without --ema');
  expect(existsSync(at('no.pth'))).toBe(false);
});

test('merge writes a model and its configuration, which load together', async () => {
  const { at, run } = await model();
  const lines = await run('merge', '--to', at('less.safetensors'), '--task', 'normals');
  expect(lines[1]).toMatch(/^outputs on a random batch, relative difference: normals \d\.\de-\d$/);
  expect(lines[2]).toMatch(/^parameters [\d,]+ → [\d,]+$/);
  const less = loadConfig(at('less.yaml')).config;
  expect([less.TASKS, less.MODEL.MTLORA.MERGED]).toEqual([['normals'], true]);
  const { missing, lines: report } = await readWeights(modelSpec(less), at('less.safetensors'));
  expect([missing, report.length]).toEqual([[], 2]);
});

test('merge writes nothing where a tensor is missing or nothing can be folded', async () => {
  const { at, run } = await model();
  const lost = new Map(state);
  lost.delete('backbone.layers.0.blocks.0.attn.qkv.lora_shared_B');
  await writePth(at('model.pth'), { model: lost });
  await expect(run('merge', '--to', at('less.pth'))).rejects.toThrow('1 are missing');
  const plain = readFileSync(at('model.yaml'), 'utf8').replace('ENABLED: true', 'ENABLED: false');
  writeFileSync(at('model.yaml'), plain);
  await expect(run('merge', '--to', at('less.pth'))).rejects
    .toThrow('merge: the model has no branch that can be folded');
  expect(existsSync(at('less.pth'))).toBe(false);
});
