// What the reference code makes of patches, with the norms that follow: patchEmbed, mergePatches and layernorm.
import { test } from 'vitest';
import { expectClose } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { layernorm } from '../../src/ops/layernorm.ts';
import { linear } from '../../src/ops/matmul.ts';
import { mergePatches } from '../../src/ops/merge_patches.ts';
import { patchEmbed } from '../../src/ops/patch_embed.ts';
import { loadFixture } from '../support/fixtures.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** Holds `build`'s output and the gradients of the inputs and parameters that it takes by name to the fixture's. */
async function checkGolden(
  name: string, wanted: readonly string[], build: (take: (name: string, shape?: number[]) => Tensor) => Tensor,
): Promise<void> {
  const golden = loadFixture('blocks', name);
  const taken = new Map<string, Tensor>();
  const put = (field: string, shape: readonly number[] = golden.tensor(field).shape): Tensor => {
    const tensor = trainable(lasting(gpu(), field, shape, golden.tensor(field).data));
    taken.set(field, tensor);
    return tensor;
  };
  const seed = put('upstream.out');
  const [y, ...gradients] = await evaluate(gpu(), () => {
    const out = build(put);
    const found = backward([[out, seed]]);
    return [out, ...wanted.map((field) => found.get(taken.get(field)!)!)];
  });
  for (const tensor of taken.values()) release(gpu(), tensor);
  expectClose('out', y!, golden.tensor('out.out').data, 2e-6);
  wanted.forEach((field, i) => {
    expectClose(field, gradients[i]!, golden.tensor(field.replace(/^\w+/, 'grad')).data, 2e-6);
  });
}

test('patchEmbed() gives the outputs and gradients of the reference code without a norm', () =>
  checkGolden('patch_embed_nonorm', ['param.proj.weight', 'param.proj.bias'], (take) =>
    patchEmbed(take('in.x'), take('param.proj.weight'), take('param.proj.bias'))));

test('patchEmbed() and layernorm() give the outputs and gradients of the reference code', () =>
  checkGolden('patch_embed', ['param.proj.weight', 'param.proj.bias', 'param.norm.weight', 'param.norm.bias'], (take) =>
    layernorm(patchEmbed(take('in.x'), take('param.proj.weight'), take('param.proj.bias')),
      take('param.norm.weight'), take('param.norm.bias'))));

test('mergePatches() and layernorm() give the outputs and gradients of the reference code', () =>
  checkGolden('patch_merging', ['in.x', 'param.norm.weight', 'param.norm.bias', 'param.reduction.weight'], (take) => {
    const merged = mergePatches(take('in.x', [2, 6, 4, 8]));
    const normed = layernorm(merged, take('param.norm.weight'), take('param.norm.bias'));
    return linear(normed, take('param.reduction.weight'), null);
  }));
