// The TRAIN group of the configuration: schedule, optimizer, what is frozen, what is kept.
import { z } from 'zod';
import { boolean, number, numbers, oneOf, optional, text, unused, whole } from './config_fields.ts';

const rate = () => number({ min: 0, max: 1 });

const LR_SCHEDULER = z.strictObject({
  NAME: oneOf('cosine', 'linear', 'step', 'multistep').default('cosine').describe('how the rate falls'),
  DECAY_EPOCHS: number({ above: 0 }).default(30).describe('"step": epochs between two decays'),
  DECAY_RATE: number({ min: 0 }).default(0.1).describe('"step": factor of a decay'),
  WARMUP_PREFIX: boolean().default(true).describe('"cosine": it starts behind the warm-up, not beside it'),
  GAMMA: number({ min: 0 }).default(0.1).describe('"multistep": factor of a decay'),
  MULTISTEPS: numbers({ min: 0 }).default([]).describe('"multistep": epochs at which the rate decays'),
});

const OPTIMIZER = z.strictObject({
  NAME: oneOf('adamw', 'sgd', 'fused_adam').default('adamw')
    .describe('"fused_adam" is AdamW; SGD has Nesterov momentum'),
  EPS: number({ above: 0 }).default(1e-8).describe('AdamW: added to the root of the second moment'),
  BETAS: numbers({ min: 0, max: 1 }, 2).default([0.9, 0.999])
    .describe('AdamW: how much of each moment is kept'),
  MOMENTUM: rate().default(0.9).describe('SGD: how much of the momentum is kept'),
  DECAY_POSITION_BIAS: boolean().default(true)
    .describe('ours: false exempts position tables from weight decay, as stock Swin does'),
});

export const TRAIN = z.strictObject({
  START_EPOCH: unused(),
  EPOCHS: whole(1).default(300).describe('epochs to train'),
  WARMUP_EPOCHS: number({ min: 0 }).default(20).describe('epochs in which the rate rises'),
  WEIGHT_DECAY: number({ min: 0 }).default(0.05)
    .describe('an update takes this share of each weight, times the learning rate'),
  BASE_LR: number({ min: 0 }).default(5e-4)
    
      .describe('learning rate behind the warm-up, for 512 images an update: it follows the images of yours'),
  WARMUP_LR: number({ min: 0 }).default(5e-7)
    .describe('learning rate that the warm-up starts from; scaled alike'),
  MIN_LR: number({ min: 0 }).default(5e-6).describe('learning rate that "cosine" ends at; scaled alike'),
  CLIP_GRAD: optional(number({ min: 0 }), 'None or a number of at least 0').default(5)
    .describe('largest norm of all gradients together'),
  AUTO_RESUME: boolean().default(false).describe('continue the run of the output folder, if there is one'),
  ACCUMULATION_STEPS: whole(1).default(1).describe('batches of an update'),
  USE_CHECKPOINT: boolean().default(false).describe('compute activations twice to save memory'),
  SKIP_DECODER_CKPT: boolean().default(false)
    .describe('leave the decoders of MODEL.RESUME out, start a new run'),
  FREEZE_PATCH_EMBED: boolean().default(false).describe('the patch embedding\'s convolution does not train'),
  FREEZE_LAYER_NORM: boolean().default(false).describe('the backbone\'s norms do not train'),
  FREEZE_RELATIVE_POSITION_BIAS: boolean().default(false).describe('position tables do not train'),
  FREEZE_DOWNSAMPLE_REDUCTION: boolean().default(false)
    .describe('patch merging\'s linear does not train; so always where it has branches'),
  LR_SCHEDULER: LR_SCHEDULER.prefault({}),
  OPTIMIZER: OPTIMIZER.prefault({}),
  LOSS_WEIGHTING: oneOf('fixed', 'uncertainty').default('fixed')
    .describe('ours: the tasks\' weights in the loss: the paper\'s, or learned by their uncertainty'),
  BEST: text().default('')
    .describe('ours: the score whose best model is kept; empty for Δm, or the loss where Δm is undefined'),
  EMA_DECAY: rate().default(0)
    
      .describe('ours: how much a moving average of the trainable weights keeps an update; 0 for none'),
  KEEP_CHECKPOINTS: optional(whole(1), 'None or a whole number of at least 1').default(null)
    .describe('ours: how many of the latest checkpoints are kept; None keeps all, as the release does'),
  LAYER_DECAY: unused(),
  MOE: unused(),
});
