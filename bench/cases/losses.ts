import { balancedBce } from '../../src/ops/losses/balanced_bce.ts';
import { crossEntropy } from '../../src/ops/losses/cross_entropy.ts';
import { depthL1 } from '../../src/ops/losses/depth_l1.ts';
import { normalsL1 } from '../../src/ops/losses/normals_l1.ts';
import { differentiable, type OpCase } from '../support/op_bench.ts';

/** Each task's loss on an image of 224², or also 448², with its gradient. */
export function lossCases(all: boolean): OpCase[] {
  return (all ? [224, 448] : [224]).flatMap((img) => [
    differentiable({
      name: `cross entropy, 21 classes, ${img}²`, shapes: [[1, img, img, 21], [1, img, img]],
      op: (x, labels) => crossEntropy(x!, labels!), definition: (x, labels) => entropy(x!, labels!, 21),
      options: { fixed: [1], values: [null, classes(img)] },
    }),
    differentiable({
      name: `balanced BCE, ${img}²`, shapes: [[1, img, img, 1], [1, img, img]],
      op: (x, labels) => balancedBce(x!, labels!), definition: (x, labels) => bce(x!, labels!),
      options: { fixed: [1], values: [null, classes(img).map((c) => Number(c < 6))] },
    }),
    differentiable({
      name: `normals L1, ${img}²`, shapes: [[1, img, img, 3], [1, 3, img, img]],
      op: (x, labels) => normalsL1(x!, labels!), definition: (x, labels) => normals(x!, labels!),
      // far from 0, where the absolute value has no derivative
      options: { fixed: [1], values: [null, new Float32Array(3 * img * img).fill(-2)] },
    }),
    differentiable({
      name: `depth L1, ${img}²`, shapes: [[1, img, img, 1], [1, img, img]],
      op: (x, labels) => depthL1(x!, labels!),
      definition: (x, labels) => mean(x!, (i) => Math.abs(x![i]! - labels![i]!)),
      options: { fixed: [1], values: [null, new Float32Array(img * img).fill(20)] },
    }),
  ]);
}

const classes = (img: number): Float32Array => Float32Array.from({ length: img * img }, (_, i) => i * 7 % 21);

function mean(over: Float64Array, term: (i: number) => number): Float64Array {
  let sum = 0;
  for (let i = 0; i < over.length; i++) sum += term(i);
  return Float64Array.of(sum / over.length);
}

function entropy(x: Float64Array, labels: Float64Array, count: number): Float64Array {
  return mean(labels, (i) => {
    const row = x.subarray(i * count, (i + 1) * count);
    const largest = row.reduce((a, b) => Math.max(a, b));
    return largest + Math.log(row.reduce((sum, v) => sum + Math.exp(v - largest), 0)) - row[labels[i]!]!;
  });
}

function bce(x: Float64Array, labels: Float64Array): Float64Array {
  const weight = labels.reduce((sum, y) => sum + 1 - y, 0) / labels.length;
  return mean(x, (i) => {
    const [v, y] = [x[i]!, labels[i]!];
    const loss = Math.log(1 + Math.exp(-Math.abs(v))) + Math.max(v, 0) - v * y;
    return (y === 1 ? weight : 1 - weight) * loss;
  });
}

function normals(x: Float64Array, labels: Float64Array): Float64Array {
  const pixels = x.length / 3;
  return mean(x, (i) => {
    const [p, c] = [Math.floor(i / 3), i % 3];
    const length = Math.hypot(x[3 * p]!, x[3 * p + 1]!, x[3 * p + 2]!);
    return Math.abs(x[i]! / (length + 1e-12) - labels[c * pixels + p]!);
  });
}
