// What the reference code makes of patches, with the norms after them.
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

type Take = (name: string, shape?: readonly number[]) => Tensor;

/** Holds `build`'s output, and the gradients of the `wanted` tensors that it takes, to the fixture's. */
async function checkGolden(
  name: string, wanted: readonly string[], build: (take: Take) => Tensor,
): Promise<void> {
  const golden = loadFixture('blocks', name);
  const taken = new Map<string, Tensor>();
  const put: Take = (field, shape = golden.tensor(field).shape) => {
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

const parameters = (layer: string): string[] => [`param.${layer}.weight`, `param.${layer}.bias`];

test('patchEmbed() gives the outputs and gradients of the reference code without a norm', () =>
  checkGolden('patch_embed_nonorm', parameters('proj'), (take) =>
    patchEmbed(take('in.x'), take('param.proj.weight'), take('param.proj.bias'))));

test('patchEmbed() and layernorm() give the outputs and gradients of the reference code', () =>
  checkGolden('patch_embed', ['proj', 'norm'].flatMap(parameters), (take) => {
    const tokens = patchEmbed(take('in.x'), take('param.proj.weight'), take('param.proj.bias'));
    return layernorm(tokens, take('param.norm.weight'), take('param.norm.bias'));
  }));

test('mergePatches() and layernorm() give the outputs and gradients of the reference code', () =>
  checkGolden('patch_merging', ['in.x', ...parameters('norm'), 'param.reduction.weight'], (take) => {
    const merged = mergePatches(take('in.x', [2, 6, 4, 8]));
    const normed = layernorm(merged, take('param.norm.weight'), take('param.norm.bias'));
    return linear(normed, take('param.reduction.weight'), null);
  }));
