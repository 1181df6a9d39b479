import { empty, lasting, write, type Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { dispatch } from '../../gpu/program.ts';

/** What gradients are multiplied by so that small ones do not vanish in f16, and good steps at that. */
export type LossScale = { readonly scale: number; readonly goodSteps: number };

/** As torch.cuda.amp.GradScaler starts, and how many good steps it lets pass before it doubles. */
export const FIRST_SCALE: LossScale = { scale: 2 ** 16, goodSteps: 0 };
export const GROWTH_INTERVAL = 2000;

/** A scale on the device, [2] u32; `gradNorm` halves it after a step left out, doubles it after good ones. */
export function lossScale(gpu: Gpu, start: LossScale = FIRST_SCALE): Tensor {
  const scaling = lasting(gpu, 'loss scale', [2], undefined, 'u32');
  setLossScale(gpu, scaling, start);
  return scaling;
}

export function setLossScale(gpu: Gpu, scaling: Tensor, { scale, goodSteps }: LossScale): void {
  const [bits] = new Uint32Array(Float32Array.of(scale).buffer);
  write(gpu, scaling, [bits!, goodSteps]);
}

/** What was read of the tensor. */
export function lossScaleOf(bytes: ArrayBuffer): LossScale {
  return { scale: new Float32Array(bytes)[0]!, goodSteps: new Uint32Array(bytes)[1]! };
}

/** The gradient [] that the backward pass of a scaled loss starts from. */
export function scaledSeed(scaling: Tensor): Tensor {
  const y = empty([], 'loss gradient');
  dispatch('loss_scale/seed', { scaling, y }, { threads: 1 });
  return y;
}
