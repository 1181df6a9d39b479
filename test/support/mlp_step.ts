import { backward } from '../../src/autograd/tape.ts';
import { lasting, placed, release, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile, type Executable } from '../../src/gpu/executable.ts';
import type { Range } from '../../src/gpu/memory.ts';
import { keep } from '../../src/gpu/program.ts';
import { dropout } from '../../src/ops/dropout.ts';
import { gelu, reshape } from '../../src/ops/elementwise.ts';
import { crossEntropy } from '../../src/ops/losses/cross_entropy.ts';
import { linear } from '../../src/ops/matmul.ts';
import { adamw } from '../../src/ops/optim/adamw.ts';
import { BLOCK, FLAGS } from '../../src/ops/optim/arena.ts';
import { gradNorm } from '../../src/ops/optim/grad_norm.ts';
import { seeded } from './seeded.ts';

const PIXELS = 64;
const FEATURES = 16;
const CLASSES = 4;

export type MlpStep = {
  readonly executable: Executable;
  /** [64, 16], the step's input. */
  readonly x: Tensor;
  /** Runs update `i` and gives its loss. */
  run(i: number, seed?: number): Promise<number>;
  /** Both layers' weights, one after the other. */
  weights(): Promise<Float32Array>;
  destroy(): void;
};

/** A whole training step in few launches: two linear layers, GELU, dropout, cross entropy and AdamW. */
export async function mlpStep(gpu: Gpu): Promise<MlpStep> {
  const pick = seeded(3);
  const draw = (length: number): number[] => Array.from({ length }, () => pick(2001) / 1000 - 1);
  const firstLayer = FEATURES * FEATURES;
  const floats = firstLayer + CLASSES * FEATURES;
  const x = lasting(gpu, 'x', [PIXELS, FEATURES], draw(PIXELS * FEATURES));
  const labels = lasting(gpu, 'labels', [1, 8, 8], Array.from({ length: PIXELS }, () => pick(CLASSES)));
  const skipped = lasting(gpu, 'skipped', [1], [0], 'u32');
  const range = {
    values: lasting(gpu, 'values', [floats], draw(floats)),
    grads: lasting(gpu, 'gradients', [floats]),
    expAvg: lasting(gpu, 'first moments', [floats]),
    expAvgSq: lasting(gpu, 'second moments', [floats]),
    flags: lasting(gpu, 'flags', [floats / BLOCK], Array(floats / BLOCK).fill(FLAGS.decay), 'u32'),
  };
  const at = (tensor: Tensor, element: number): Range =>
    ({ buffer: tensor.storage.place!.buffer, offset: 4 * element });
  const w1 = placed('w1', [FEATURES, FEATURES], at(range.values, 0), true);
  const w2 = placed('w2', [CLASSES, FEATURES], at(range.values, firstLayer), true);
  const { executable, result: loss } = await compile(gpu, 'mlp step', () => {
    const hidden = dropout(gelu(linear(x, w1, null)), 0.1, { training: true });
    const total = crossEntropy(reshape(linear(hidden, w2, null), [1, 8, 8, CLASSES]), labels);
    const gradients = backward([[total, null]]);
    gradients.get(w1)!.storage.place = at(range.grads, 0);
    gradients.get(w2)!.storage.place = at(range.grads, firstLayer);
    adamw(range, gradNorm([range], skipped));
    keep(total);
    return total;
  });
  return {
    executable, x,
    async run(i, seed = 1) {
      const corrections = { correction1: 1 - 0.9 ** (i + 1), correction2: 1 - 0.999 ** (i + 1) };
      executable.run({ step: i, seed, lr: 0.01, ...corrections });
      return new Float32Array((await executable.read([loss]))[0]!)[0]!;
    },
    async weights() {
      return new Float32Array((await executable.read([range.values]))[0]!);
    },
    destroy() {
      executable.destroy();
      for (const tensor of [x, labels, skipped, ...Object.values(range)]) release(gpu, tensor);
    },
  };
}
