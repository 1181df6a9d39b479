import { makeTensor, type Tensor } from '../autograd/tensor.ts';
import { createStorage } from '../gpu/storage.ts';
import type { Gpu } from '../gpu/device.ts';
import { scope } from '../gpu/program.ts';
import { adamw } from '../ops/optim/adamw.ts';
import { BLOCK } from '../ops/optim/arena.ts';
import { ema } from '../ops/optim/ema.ts';
import { gradNorm } from '../ops/optim/grad_norm.ts';
import { sgd } from '../ops/optim/sgd.ts';
import type { Arena } from '../mtlora/store.ts';
import type { Config } from './config.ts';

/** The arena in ranges that the device can bind. */
type Range = Readonly<Record<'values' | 'grads' | 'expAvg' | 'expAvgSq' | 'flags', Tensor>>
  & { readonly averages: Tensor | null };

/**
 * Traces one optimizer step over all trainable parameters: global norm, clipping, update, moving averages.
 *
 * @param skipped [1] u32, lasting: counts steps that were left out because the norm was not finite
 * @param scaling of the loss, see `lossScale`; null where gradients come as they are
 * @returns the gradients' norm before clipping, then their factor, [2]
 */
export function optimizerStep(
  gpu: Gpu, arena: Arena, skipped: Tensor, config: Config['TRAIN'], scaling: Tensor | null = null,
): Tensor {
  return scope('optimizer', () => {
    const ranges = rangesOf(gpu, arena);
    const norm = gradNorm(ranges, skipped, { scaling });
    const { OPTIMIZER: { NAME, BETAS, EPS: eps, MOMENTUM }, WEIGHT_DECAY: weightDecay, CLIP_GRAD } = config;
    const [beta1, beta2] = BETAS as [number, number];
    const clip = CLIP_GRAD ?? 0;
    for (const range of ranges) {
      const { values, grads, expAvg, expAvgSq, flags, averages } = range;
      if (NAME === 'sgd') {
        sgd({ values, grads, momentum: expAvg, flags }, norm, { factor: MOMENTUM, weightDecay, clip });
      } else {
        adamw({ values, grads, expAvg, expAvgSq, flags }, norm, { beta1, beta2, eps, weightDecay, clip });
      }
      if (averages) ema(values, averages, { decay: config.EMA_DECAY, micro: config.ACCUMULATION_STEPS });
    }
    return norm;
  });
}

/** AdamW's bias corrections at update `t`, counted from 1: what `live` carries. */
export function biasCorrections(
  { OPTIMIZER: { BETAS } }: Config['TRAIN'], t: number,
): { correction1: number; correction2: number } {
  return { correction1: 1 - BETAS[0]! ** t, correction2: 1 - BETAS[1]! ** t };
}

function rangesOf({ limits }: Gpu, { values, gradients, moments, averages, flags, floats }: Arena): Range[] {
  // flags, one for each block, must start at an offset that the device can bind at: whole groups of blocks
  const blocksAtOnce = 64;
  const group = BLOCK * blocksAtOnce;
  const most = Math.floor(limits.maxStorageBufferBindingSize / 4 / group) * group;
  const ranges: Range[] = [];
  for (let at = 0; at < floats; at += most) {
    const count = Math.min(most, floats - at);
    const view = (name: string, buffer: GPUBuffer): Tensor =>
      makeTensor([count], createStorage(name, 4 * count, { buffer, offset: 4 * at }));
    const flagCount = count / BLOCK;
    const flagRange = { buffer: flags, offset: 4 * at / BLOCK };
    const flagStorage = createStorage('optimizer flags', 4 * flagCount, flagRange);
    ranges.push({
      values: view('parameters', values), grads: view('gradients', gradients),
      expAvg: view('first moments', moments[0]), expAvgSq: view('second moments', moments[1]),
      averages: averages && view('averaged parameters', averages),
      flags: makeTensor([flagCount], flagStorage, false, 'u32'),
    });
  }
  return ranges;
}
