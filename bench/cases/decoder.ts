import { hrnetHeads } from '../../src/mtlora/decoders/hrnet.ts';
import { resizeBilinear } from '../../src/ops/resize.ts';
import type { Tensor } from '../../src/autograd/tensor.ts';
import { differentiable, type OpCase } from '../support/op_bench.ts';

const WIDTHS = [18, 36, 72, 144];
const OUTPUTS = [21, 3, 1, 7];
const K = 270;

/** HRNet heads of four tasks with the resize to the image, batch 1: what a step does after the backbone. */
export function decoderCases(all: boolean): OpCase[] {
  return (all ? [224, 448] : [224]).map((img) => {
    const sides = [img / 8, img / 16, img / 32, img / 32];
    const features = WIDTHS.map((width, i) => [4, 1, sides[i]!, sides[i]!, width]);
    const last = OUTPUTS.flatMap((n) => [[n, 4 * K], [n]]);
    const wide = WIDTHS.reduce((sum, width, i) => sum + 2 * 4 * sides[i]! ** 2 * width * 4 * K, 0);
    const narrow = OUTPUTS.reduce((sum, n) => sum + 2 * sides[0]! ** 2 * n * 4 * K, 0);
    return differentiable({
      name: `HRNet heads of 4 tasks, ${img}²`, definition: null, flops: [wide + narrow, 3 * (wide + narrow)],
      shapes: [
        ...features, [4, 4 * K, K], [4, 4 * K], [4, 4 * K], [4, 4 * K], [4, 4 * K], [4, 4 * K], ...last,
      ],
      options: { fixed: [8, 9], values: [...Array(9).fill(null), new Float32Array(16 * K).fill(1)] },
      op: (...inputs) => heads(inputs, img),
    });
  });
}

function heads(inputs: readonly Tensor[], img: number): Tensor[] {
  const [weight, bias, gamma, beta, mean, variance, ...last] = inputs.slice(4) as
    [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, ...Tensor[]];
  const params = {
    'last_layer.0.weight': weight, 'last_layer.0.bias': bias,
    'last_layer.1.weight': gamma, 'last_layer.1.bias': beta,
    'last_layer.1.running_mean': mean, 'last_layer.1.running_var': variance,
  };
  const layers = OUTPUTS.map((_, t) => ({ weight: last[2 * t]!, bias: last[2 * t + 1]! }));
  return hrnetHeads(inputs.slice(0, 4), params, layers, { training: true })
    .map((y) => resizeBilinear(y, img, img));
}
