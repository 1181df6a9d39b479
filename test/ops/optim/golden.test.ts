import { join } from 'node:path';
import { expect, test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { lasting, placed, release, write, type Tensor } from '../../../src/autograd/tensor.ts';
import { toFloat32 } from '../../../src/data/host_tensor.ts';
import { readSafetensors } from '../../../src/data/safetensors.ts';
import { compile, type Executable } from '../../../src/gpu/executable.ts';
import { keep } from '../../../src/gpu/program.ts';
import { adamw } from '../../../src/ops/optim/adamw.ts';
import { BLOCK, FLAGS } from '../../../src/ops/optim/arena.ts';
import { gradNorm } from '../../../src/ops/optim/grad_norm.ts';
import { sgd } from '../../../src/ops/optim/sgd.ts';
import { loadJson } from '../../support/fixtures.ts';
import { useGpu } from '../../support/gpu.ts';

type Case = {
  readonly name: string;
  readonly steps: number;
  readonly snapshots: readonly number[];
  readonly clip: number | null;
  readonly groups: readonly { readonly weightDecay: number; readonly names: readonly string[] }[];
  readonly lrUsed: readonly number[];
  readonly gradNorm: readonly number[];
  readonly settings: { readonly optimizer: { readonly NAME: 'adamw' | 'sgd' } };
};
type Arrays = Record<'values' | 'grads' | 'first' | 'second', Tensor>;
type Part = Arrays & { readonly flags: Tensor };
type Range = readonly [from: number, to: number];

const gpu = useGpu();
const TOLERANCE = 2e-6;

/** A case's parameters, one in each block of the arena, as every one has fewer elements than that. */
function layoutOf({ name, groups }: Case) {
  const { tensors } = readSafetensors(join(import.meta.dirname, `../../fixtures/optim/${name}.safetensors`));
  const names = groups.flatMap((group) => group.names);
  const golden = (prefix: string): (Float32Array | null)[] => names.map((parameter) => {
    const found = tensors.get(`${prefix}.${parameter}`);
    return found ? toFloat32(found) : null;
  });
  const moving = golden('grad.0').map((gradient) => gradient !== null);
  const decayed = groups.flatMap((group) => group.names.map(() => group.weightDecay > 0));
  const flags = names.map((_, i) => !moving[i] ? FLAGS.frozen : decayed[i] ? FLAGS.decay : FLAGS.update);
  const arena = (prefix: string): Float32Array => {
    const host = new Float32Array(names.length * BLOCK);
    golden(prefix).forEach((values, block) => host.set(values ?? [], block * BLOCK));
    return host;
  };
  return { names, flags, golden, arena };
}

function partOf(arrays: Arrays, flags: readonly number[], [from, to]: Range): Part {
  const part = ({ storage }: Tensor): Tensor => placed(storage.label, [(to - from) * BLOCK],
    { buffer: storage.place!.buffer, offset: 4 * from * BLOCK }, false);
  const { values, grads, first, second } = arrays;
  return {
    flags: lasting(gpu(), 'flags', [to - from], flags.slice(from, to), 'u32'),
    values: part(values), grads: part(grads), first: part(first), second: part(second),
  };
}

function step(parts: readonly Part[], skipped: Tensor, { clip, settings }: Case): Tensor {
  const norm = gradNorm(parts.map(({ grads, flags }) => ({ grads, flags })), skipped);
  const options = { clip: clip ?? 0 };
  for (const { flags, grads, values, first, second } of parts) {
    if (settings.optimizer.NAME === 'sgd') sgd({ values, grads, momentum: first, flags }, norm, options);
    else adamw({ values, grads, expAvg: first, expAvgSq: second, flags }, norm, options);
  }
  keep(norm);
  return norm;
}

async function follow(golden: Case, ranges: readonly Range[]): Promise<void> {
  const layout = layoutOf(golden);
  const array = (label: string, data?: Float32Array): Tensor =>
    lasting(gpu(), label, [layout.names.length * BLOCK], data);
  const arrays = {
    values: array('values', layout.arena('step0')), grads: array('grads'),
    first: array('first'), second: array('second'),
  };
  const skipped = lasting(gpu(), 'skipped', [1], [0], 'u32');
  const parts = ranges.map((range) => partOf(arrays, layout.flags, range));
  const { executable, result: norm } = await compile(gpu(), 'optimizer', () => step(parts, skipped, golden));

  const expectArena = async (tensor: Tensor, prefix: string): Promise<void> => {
    const got = await floats(executable, tensor);
    layout.golden(prefix).forEach((want, block) => {
      const here = got.subarray(block * BLOCK, (block + 1) * BLOCK);
      const inside = here.subarray(0, want?.length ?? 0);
      if (want) expectClose(`${prefix} ${layout.names[block]}`, inside, want, TOLERANCE);
      expect(here.subarray(inside.length).every((v) => v === 0)).toBe(true);
    });
  };
  for (let k = 0; k < golden.steps; k++) {
    write(gpu(), arrays.grads, layout.arena(`grad.${k}`));
    const corrections = { correction1: 1 - 0.9 ** (k + 1), correction2: 1 - 0.999 ** (k + 1) };
    executable.run({ lr: golden.lrUsed[k]!, ...corrections });
    const want = golden.gradNorm[k];
    if (want) expectClose(`norm of step ${k}`, await floats(executable, norm), [want, 1], TOLERANCE);
    if (golden.snapshots.includes(k + 1)) await expectArena(arrays.values, `step${k + 1}`);
  }
  await expectArena(arrays.first, golden.name === 'sgd_nesterov' ? 'final.momentum_buffer' : 'final.exp_avg');
  await expectArena(arrays.second, 'final.exp_avg_sq');
  executable.destroy();
  for (const tensor of [...Object.values(arrays), skipped, ...parts.map(({ flags }) => flags)]) {
    release(gpu(), tensor);
  }
}

async function floats(executable: Executable, tensor: Tensor): Promise<Float32Array> {
  const [bytes] = await executable.read([tensor]);
  return new Float32Array(bytes!);
}

for (const golden of loadJson<Case[]>('optim', 'cases')) {
  test(`${golden.name} follows the reference code for ${golden.steps} steps`, () =>
    follow(golden, [[0, 11]]));
  test(`${golden.name} does so with the arena in ranges`, () => follow(golden, [[0, 4], [4, 5], [5, 11]]));
}
