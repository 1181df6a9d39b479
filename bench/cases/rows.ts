// What runs over rows or values: LayerNorm, GELU, patch merging.
import { gelu } from '../../src/ops/elementwise.ts';
import { layernorm } from '../../src/ops/layernorm.ts';
import { linear } from '../../src/ops/matmul.ts';
import { mergePatches } from '../../src/ops/merge_patches.ts';
import { erf } from '../../test/support/erf.ts';
import { differentiable, type OpCase } from '../support/op_bench.ts';

/** Tokens and channels of Swin-T's stages at 224², and at 448² for the first. */
const STAGES = [[3136, 96], [784, 192], [196, 384], [49, 768], [12544, 96]] as const;

export function layernormCases(all: boolean): OpCase[] {
  return STAGES.slice(0, all ? 5 : 2).map(([rows, channels]) => differentiable({
    name: `[${rows}, ${channels}]`, shapes: [[rows, channels], [channels], [channels]],
    op: (x, w, b) => layernorm(x!, w!, b!),
    definition: (x, w, b) => normalise(x!, w!, b!),
  }));
}

export function geluCases(all: boolean): OpCase[] {
  return STAGES.slice(0, all ? 5 : 2).map(([rows, channels]) => differentiable({
    name: `[${rows}, ${4 * channels}]`, shapes: [[rows, 4 * channels]], op: (x) => gelu(x!),
    definition: (x) => x!.map((v) => 0.5 * v * (1 + erf(v * Math.SQRT1_2))),
  }));
}

/** Patch merging as the model does it: 2×2 neighbours, LayerNorm, the linear map to half. */
export function mergingCases(all: boolean): OpCase[] {
  return ([[56, 96], [28, 192], [14, 384]] as const).slice(0, all ? 3 : 2).map(([side, channels]) => {
    const wide = 4 * channels;
    const product = side * side / 4 * wide * 2 * channels * 2;
    return differentiable({
      name: `[${side}, ${side}, ${channels}]`, flops: [product, 3 * product],
      shapes: [[1, side, side, channels], [wide], [wide], [2 * channels, wide]],
      op: (x, w, b, reduction) => linear(layernorm(mergePatches(x!), w!, b!), reduction!, null),
      definition: (x, w, b, reduction) =>
        product64(normalise(gather(x!, side, channels), w!, b!), reduction!, wide),
      options: { fixed: [1, 2] },
    });
  });
}

function normalise(x: Float64Array, w: Float64Array, b: Float64Array): Float64Array {
  const channels = w.length;
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += channels) {
    const values = x.subarray(row, row + channels);
    const mean = values.reduce((sum, v) => sum + v, 0) / channels;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / channels;
    values.forEach((v, c) => { y[row + c] = (v - mean) / Math.sqrt(variance + 1e-5) * w[c]! + b[c]!; });
  }
  return y;
}

/** Neighbours (row, column) 00, 10, 01, 11 side by side. */
function gather(x: Float64Array, side: number, channels: number): Float64Array {
  const half = side / 2;
  return Float64Array.from({ length: x.length }, (_, i) => {
    const [c, part, token] = [i % channels, Math.floor(i / channels) % 4, Math.floor(i / channels / 4)];
    const row = 2 * Math.floor(token / half) + part % 2;
    const column = 2 * (token % half) + Math.floor(part / 2);
    return x[(row * side + column) * channels + c]!;
  });
}

function product64(x: Float64Array, w: Float64Array, k: number): Float64Array {
  const n = w.length / k;
  return Float64Array.from({ length: x.length / k * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n) * k, i % n * k];
    let sum = 0;
    for (let j = 0; j < k; j++) sum += x[row + j]! * w[column + j]!;
    return sum;
  });
}
