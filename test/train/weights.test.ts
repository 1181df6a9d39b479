import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { writePth } from '../../src/data/pth_write.ts';
import { writeSafetensors } from '../../src/data/safetensors.ts';
import { parameterTable } from '../../src/mtlora/names.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { modelSpec } from '../../src/train/config.ts';
import { fitWeights, fullStateDict, loadWeights, readWeights } from '../../src/train/weights.ts';
import { useGpu } from '../support/gpu.ts';
import { seeded } from '../support/seeded.ts';
import { fingerprint, randomState, tinyConfig } from '../support/tiny_model.ts';

const gpu = useGpu();
const spec = modelSpec(tinyConfig());
const state = randomState(spec);
const STATE = fingerprint(state);
const folder = mkdtempSync(join(tmpdir(), 'weights-'));
const SENTENCE = /^Cannot (read|load checkpoint) "[^"]+": [^\n]+$/;
const QKV = 'backbone.layers.0.blocks.0.attn.qkv.linear.weight';
const INDEX = 'backbone.layers.0.blocks.0.attn.relative_position_index';

let store: ParameterStore;
beforeAll(() => { store = new ParameterStore(gpu(), spec); });

async function saved(name: string, tensors: ReadonlyMap<string, HostTensor>): Promise<string> {
  const path = join(folder, name);
  if (name.endsWith('.pth')) await writePth(path, { model: tensors });
  else writeSafetensors(path, tensors);
  return path;
}

test.each(['a.pth', 'a.safetensors'])('loadWeights() brings %s to the store and back', async (name) => {
  store.initialise(3);
  const { lines, missing, batchesTracked } = await loadWeights(store, await saved(name, state));
  expect(lines).toEqual(
    [`loaded ${state.size - 2} tensors`, 'missing 2: attention masks, which follow from the image size']);
  expect([missing, batchesTracked]).toEqual([[], 5]);
  const full = fullStateDict(spec, await store.read(), 5);
  expect([...full.keys()]).toEqual(parameterTable(spec).map(({ name }) => name));
  expect(fingerprint(full)).toEqual(STATE);
});

test('loadWeights() with backbone takes a stock Swin, and reports what is not in it', async () => {
  const stock = [...state].filter(([name]) => name.startsWith('backbone.') && !/lora_|attn_mask/.test(name))
    .map(([name, tensor]) => [name.replace('backbone.', '').replace('.linear.', '.'), tensor] as const);
  const file = await saved('stock.pth', new Map([...stock, ['head.bias', state.get(QKV)!] as const]));
  store.initialise(3);
  const before = await store.read();
  const { lines, missing, batchesTracked } = await loadWeights(store, file, { backbone: true });
  const after = await store.read();
  expect(after.get(QKV)).toEqual(state.get(QKV));
  const head = 'decoders.decoders.semseg.last_layer.0.weight';
  expect(after.get(head)).toEqual(before.get(head));
  expect(missing.length).toBe(104);
  expect(missing.every((name) => name.includes('.lora_'))).toBe(true);
  expect([lines[0], lines.at(-1), batchesTracked])
    .toEqual(['loaded 111 tensors', 'unexpected 1, left out: "head.bias"', null]);
});

test('readWeights() takes half precision, and leaves out the optimizer\'s state', async () => {
  const upper = ({ data }: HostTensor): Uint16Array =>
    Uint16Array.from(new Uint32Array(data.slice().buffer), (bits) => bits >>> 16);
  const half = [...state].map(([name, tensor]): [string, HostTensor] =>
    [name, tensor.dtype !== 'F32' ? tensor : { ...tensor, dtype: 'BF16', data: upper(tensor) }]);
  const moments = half.map(([name, tensor]) => [`optimizer.exp_avg.${name}`, tensor] as const);
  const file = await saved('half.safetensors', new Map([...half, ...moments]));
  const { values, lines } = await readWeights(spec, file);
  const [got, want] = [values.get(QKV)!.data as Float32Array, state.get(QKV)!.data as Float32Array];
  expect(got.every((x, i) => Math.abs(x - want[i]!) <= Math.abs(want[i]!) / 128)).toBe(true);
  expect(lines.length).toBe(2);
});

test.each<[string, string, string, Partial<HostTensor>]>([
  ['of another shape', QKV, `"${QKV}" must be [24, 8], got [8, 24]`, { shape: [8, 24] }],
  ['that are not numbers', QKV, `"${QKV}" must hold finite numbers, got NaN`,
    { data: new Float32Array(192).fill(1).fill(NaN, 100, 101) }],
  ['that are infinite', QKV, `"${QKV}" must hold finite numbers, got Infinity`,
    { data: new Float32Array(192).fill(Infinity, 191) }],
  ['of whole numbers', QKV, `"${QKV}" must be F32, got I64`, { dtype: 'I64', data: new BigInt64Array(192) }],
  ['of another index', INDEX, `"${INDEX}" must be the index of a window of 4 by 4`,
    { data: new BigInt64Array(256) }],
])('loadWeights() refuses values %s and leaves the store as it was', async (_, name, says, change) => {
  store.load(state);
  const file = await saved('wrong.safetensors', new Map([...randomState(spec, 2)].map(([key, tensor]) =>
    [key, key === name ? { ...tensor, ...change } : tensor] as const)));
  await expect(loadWeights(store, file)).rejects.toThrow(`Cannot load checkpoint "${file}": ${says}`);
  expect(fingerprint(fullStateDict(spec, await store.read(), 5))).toEqual(STATE);
});

test('loadWeights() refuses a file of another model and one that is none', async () => {
  const other = join(folder, 'other.pth');
  await writePth(other, { model: { 'conv1.weight': state.get(QKV)! } });
  await expect(loadWeights(store, other)).rejects.toThrow('the file must hold tensors of this model like');
  await writePth(other, { epoch: 3 });
  await expect(loadWeights(store, other)).rejects
    .toThrow('no tensors under "model", "state_dict" or at its top');
  await expect(loadWeights(store, join(folder, 'absent.pth'))).rejects.toThrow(SENTENCE);
});

test('fitWeights() refuses branches where the model has none left', () => {
  const merged = { ...spec, lora: { ...spec.lora!, merged: true } };
  expect(() => fitWeights(merged, state, 'x.pth')).toThrow(
    'Cannot load checkpoint "x.pth": it must be of a merged model (MODEL.MTLORA.MERGED), got '
    + '"backbone.layers.0.blocks.0.attn.qkv.linear.weight" with its branches apart');
});

/** Bytes flipped, cut out, doubled or overwritten, or the end missing. */
function damage(original: Buffer, pick: (limit: number) => number): Buffer {
  const bytes = Buffer.from(original);
  const at = pick(bytes.length);
  const end = Math.min(bytes.length, at + 1 + pick(64));
  switch (pick(5)) {
    case 0: bytes[at]! ^= 1 << pick(8); return bytes;
    case 1: return bytes.subarray(0, at);
    case 2: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 3: return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    default: return bytes.fill(pick(256), at, end);
  }
}

// A zip has a checksum for every entry and our own files have one for all data: values are never wrong. What
// is changed in a header may still lose or rename a tensor, which the report says.
test.each(['a.pth', 'a.safetensors'])('loadWeights() of a damaged %s loads sound values or none',
  { timeout: 120_000 }, async (name) => {
    const original = readFileSync(await saved(name, randomState(spec, 2)));
    const file = join(folder, `damaged-${name}`);
    const pick = seeded(11);
    let refused = 0;
    for (let round = 0; round < 80; round++) {
      store.load(state);
      writeFileSync(file, damage(original, pick));
      const failure = await loadWeights(store, file).then(() => null, (error: Error) => error.message);
      if (failure === null) continue;
      refused++;
      expect(failure, `round ${round}`).toMatch(SENTENCE);
      if (refused % 15 === 0) expect(fingerprint(fullStateDict(spec, await store.read(), 5))).toEqual(STATE);
    }
    expect(refused).toBeGreaterThan(50);
  });
