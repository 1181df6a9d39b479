// The configuration of the PyTorch release, field by field, with its names and defaults. What it reads but
// never uses is accepted and has no effect; what is ours alone stands under COMPAT or is marked.
import { z } from 'zod';
import { HEADS, TASKS } from '../mtlora/spec.ts';
import {
  boolean, number, numbers, oneOf, optional, perStage, text, texts, unused, whole,
} from './config_fields.ts';

const rate = () => number({ min: 0, max: 1 });
const head = () => oneOf(...HEADS).default('hrnet');
const score = () => number({ above: 0 }).optional();

const DATA = z.strictObject({
  BATCH_SIZE: whole(1).default(128),
  DATA_PATH: text().default(''),
  PASCAL: text().default(''),
  NYUD: text().default(''),
  /** Empty: told from the folder flags and the tasks. */
  DBNAME: oneOf('', 'PASCALContext', 'NYUD', 'Folder').default(''),
  /** Ours: the file that describes a data set of one's own. */
  FILE: text().default(''),
  /** Ours: how many classes it has; empty to be told by the file. */
  CLASSES: z.strictObject({ semseg: whole(2).optional(), human_parts: whole(2).optional() }).prefault({}),
  /** Ours: what turned and shrunk images bring in counts nowhere, instead of as class 0. */
  WARP_FILL_IGNORE: boolean().default(false),
  IMG_SIZE: whole(1).default(224),
  NUM_WORKERS: whole(0).default(4),
  DATASET: unused(),
  INTERPOLATION: unused(),
  ZIP_MODE: unused(),
  CACHE_MODE: unused(),
  PIN_MEMORY: unused(),
  MASK_PATCH_SIZE: unused(),
  MASK_RATIO: unused(),
});

const SWIN = z.strictObject({
  PATCH_SIZE: whole(1).default(4),
  IN_CHANS: whole(1).default(3),
  EMBED_DIM: whole(1).default(96),
  DEPTHS: numbers({ min: 1, integer: true }, 4).default([2, 2, 6, 2]),
  NUM_HEADS: numbers({ min: 1, integer: true }, 4).default([3, 6, 12, 24]),
  WINDOW_SIZE: whole(1).default(7),
  MLP_RATIO: number({ above: 0 }).default(4),
  QKV_BIAS: boolean().default(true),
  QK_SCALE: optional(number({ above: 0 }), 'None or a number above 0').default(null),
  APE: boolean().default(false),
  PATCH_NORM: boolean().default(true),
  DECODER_DIM: unused(),
  DECODER_PATCH_RES: unused(),
});

const rank = () => perStage({ min: 0, integer: true });
const scale = () => perStage({});
const perTask = <T extends z.ZodType>(field: T) =>
  Object.fromEntries(TASKS.map((task) => [task, field.optional()])) as
    Record<(typeof TASKS)[number], z.ZodOptional<T>>;

const MTLORA = z.strictObject({
  ENABLED: boolean().default(false),
  BIAS: oneOf('none', 'all', 'lora_only').default('none'),
  R: rank().default([8, 8, 8, 8]),
  SHARED_SCALE: scale().default([2, 2, 2, 2]),
  TASK_SCALE: scale().default([2, 2, 2, 2]),
  DROPOUT: perStage({ min: 0, max: 0.99 }).default([0.05, 0.05, 0.05, 0.05]),
  TRAINABLE_SCALE_SHARED: boolean().default(false),
  TRAINABLE_SCALE_PER_TASK: boolean().default(false),
  INTERMEDIATE_SPECIALIZATION: boolean().default(false),
  FREEZE_PRETRAINED: boolean().default(true),
  SPLIT_QKV: boolean().default(false),
  R_PER_TASK: z.strictObject({ ...perTask(rank()), shared: rank().optional() }).prefault({}),
  SCALE_PER_TASK: z.strictObject(perTask(scale())).prefault({}),
  SHARED_MODE: oneOf('matrix', 'matrixv2', 'addition', 'add', 'lora_only').default('matrix'),
  QKV_ENABLED: boolean().default(true),
  PROJ_ENABLED: boolean().default(true),
  FC1_ENABLED: boolean().default(true),
  FC2_ENABLED: boolean().default(true),
  DOWNSAMPLER_ENABLED: boolean().default(false),
  /** Ours: what `mtlora-train merge` writes, without the branches that it folded. */
  MERGED: boolean().default(false),
});

const MODEL = z.strictObject({
  TYPE: oneOf('swin').default('swin'),
  NAME: text().default('swin_tiny_patch4_window7_224'),
  PRETRAINED: text().default(''),
  RESUME: text().default(''),
  RESUME_BACKBONE: text().default(''),
  FREEZE_BACKBONE: boolean().default(false),
  DROP_RATE: number({ min: 0, max: 0.99 }).default(0),
  DROP_PATH_RATE: number({ min: 0, max: 0.99 }).default(0.1),
  SWIN: SWIN.prefault({}),
  MTLORA: MTLORA.prefault({}),
  DECODER_HEAD: z.strictObject({
    semseg: head(), normals: head(), sal: head(), human_parts: head(), edge: head(), depth: head(),
  }).prefault({}),
  DECODER_CHANNELS: numbers({ min: 1, integer: true }, 4).default([18, 36, 72, 144]),
  SEGFORMER_CHANNELS: whole(1).default(256),
  DECODER_DOWNSAMPLER: boolean().default(true),
  PER_TASK_DOWNSAMPLER: boolean().default(true),
  UPDATE_RELATIVE_POSITION: boolean().default(false),
  NUM_CLASSES: unused(),
  LABEL_SMOOTHING: unused(),
  SAVE_SAMPLE: unused(),
  SWINV2: unused(),
  SWIN_MOE: unused(),
  SWIN_MLP: unused(),
  SIMMIM: unused(),
});

const TRAIN = z.strictObject({
  START_EPOCH: unused(),
  EPOCHS: whole(1).default(300),
  WARMUP_EPOCHS: number({ min: 0 }).default(20),
  WEIGHT_DECAY: number({ min: 0 }).default(0.05),
  BASE_LR: number({ min: 0 }).default(5e-4),
  WARMUP_LR: number({ min: 0 }).default(5e-7),
  MIN_LR: number({ min: 0 }).default(5e-6),
  CLIP_GRAD: optional(number({ min: 0 }), 'None or a number of at least 0').default(5),
  AUTO_RESUME: boolean().default(false),
  ACCUMULATION_STEPS: whole(1).default(1),
  USE_CHECKPOINT: boolean().default(false),
  SKIP_DECODER_CKPT: boolean().default(false),
  FREEZE_PATCH_EMBED: boolean().default(false),
  FREEZE_LAYER_NORM: boolean().default(false),
  FREEZE_RELATIVE_POSITION_BIAS: boolean().default(false),
  FREEZE_DOWNSAMPLE_REDUCTION: boolean().default(false),
  LR_SCHEDULER: z.strictObject({
    NAME: oneOf('cosine', 'linear', 'step', 'multistep').default('cosine'),
    DECAY_EPOCHS: number({ above: 0 }).default(30),
    DECAY_RATE: number({ min: 0 }).default(0.1),
    WARMUP_PREFIX: boolean().default(true),
    GAMMA: number({ min: 0 }).default(0.1),
    MULTISTEPS: numbers({ min: 0 }).default([]),
  }).prefault({}),
  OPTIMIZER: z.strictObject({
    NAME: oneOf('adamw', 'sgd', 'fused_adam').default('adamw'),
    EPS: number({ above: 0 }).default(1e-8),
    BETAS: numbers({ min: 0, max: 1 }, 2).default([0.9, 0.999]),
    MOMENTUM: rate().default(0.9),
    /** Ours: false exempts position tables from weight decay, as stock Swin does. */
    DECAY_POSITION_BIAS: boolean().default(true),
  }).prefault({}),
  /** Ours: the score whose best model is kept; empty for Δm, or the loss where Δm is not defined. */
  BEST: text().default(''),
  /** Ours: how much of it a moving average of the trainable parameters keeps at an update; 0 for none. */
  EMA_DECAY: rate().default(0),
  /** Ours: how many of the latest checkpoints are kept; None keeps all, as the release does. */
  KEEP_CHECKPOINTS: optional(whole(1), 'None or a whole number of at least 1').default(null),
  LAYER_DECAY: unused(),
  MOE: unused(),
});

/** Ours: reproduces defects of the release, to the digit. All off by default. */
const COMPAT = z.strictObject({
  OFFICIAL_METRICS: boolean().default(false),
  UINT8_WRAP: boolean().default(false),
  SUM_ACCUMULATED_GRADIENTS: boolean().default(false),
});

export const CONFIG_SCHEMA = z.strictObject({
  BASE: texts().default([]),
  DATA: DATA.prefault({}),
  MODEL: MODEL.prefault({}),
  TRAIN: TRAIN.prefault({}),
  COMPAT: COMPAT.prefault({}),
  /** Empty: the tasks that the data set is used for by default. */
  TASKS: texts(TASKS).default([]),
  AMP_ENABLE: boolean().default(true),
  OUTPUT: text().default('output'),
  TAG: text().default('default'),
  SAVE_FREQ: whole(1).default(5),
  EVAL_FREQ: whole(0).default(5),
  EVAL_TRAINING: optional(whole(1), 'None or a whole number of at least 1').default(null),
  PRINT_FREQ: whole(1).default(10),
  /** Ours: single-task scores that Δm compares with, as evaluations give them; PAPER fills in the paper's. */
  BASELINES: z.strictObject({
    PAPER: boolean().default(true),
    semseg: score(), normals: score(), sal: score(), human_parts: score(), depth: score(),
  }).prefault({}),
  /** Ours: pictures of each evaluation that the report shows. */
  EVAL_PICTURES: whole(0).default(4),
  /** Ours: event files for TensorBoard in the run's folder. */
  TENSORBOARD: boolean().default(false),
  SEED: whole(0).default(0),
  EVAL_MODE: boolean().default(false),
  THROUGHPUT_MODE: boolean().default(false),
  SKIP_INITIAL_EVAL: boolean().default(false),
  MTL: unused(),
  ENABLE_AMP: unused(),
  AMP_OPT_LEVEL: unused(),
  LOCAL_RANK: unused(),
  FUSED_WINDOW_PROCESS: unused(),
  FUSED_LAYERNORM: unused(),
  AUG: unused(),
  TEST: unused(),
});

/** Every field of the release with a value; lists per stage have four entries. */
export type Config = z.output<typeof CONFIG_SCHEMA>;
