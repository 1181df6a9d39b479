// The configuration of the PyTorch release, field by field, with its names and defaults. What it reads but
// never uses is accepted and has no effect; what is ours alone stands under COMPAT or says so. The
// descriptions are the reference in docs/configuration.md: `npm run docs` writes it.
import { z } from 'zod';
import { TASKS } from '../mtlora/spec.ts';
import { boolean, number, oneOf, optional, text, texts, unused, whole } from './config_fields.ts';
import { MODEL } from './config_model.ts';
import { TRAIN } from './config_train.ts';

const DATA = z.strictObject({
  BATCH_SIZE: whole(1).default(128).describe('images of a batch'),
  DATA_PATH: text().default('').describe('folder of the data set, where neither PASCAL nor NYUD is given'),
  PASCAL: text().default('').describe('folder of PASCAL-Context for multi-task learning (PASCAL_MT)'),
  NYUD: text().default('').describe('folder of NYUDv2 for multi-task learning (NYUD_MT)'),
  DBNAME: oneOf('', 'PASCALContext', 'NYUD', 'Folder').default('')
    .describe('the data set; empty to tell it from the folders and the tasks'),
  FILE: text().default('').describe('ours: the file that describes a data set of your own'),
  CLASSES: z.strictObject({
    semseg: whole(2).optional()
      .describe('ours: classes of "semseg" of a data set of your own; its file says it'),
    human_parts: whole(2).optional().describe('ours: classes of "human_parts", likewise'),
  }).prefault({}),
  WARP_FILL_IGNORE: boolean().default(false)
    .describe('ours: what turned and shrunk images bring in counts nowhere, instead of as class 0'),
  IMG_SIZE: whole(1).default(224)
    .describe('side of the square that images are resized to, in pixels; a multiple of 8 patches'),
  ON_BAD_SAMPLE: oneOf('error', 'skip').default('error')
    .describe('ours: where an image or label is missing or damaged, stop, or leave the sample out'),
  NUM_WORKERS: whole(0).default(4).describe('threads that decode images; 0 decodes between steps'),
  DATASET: unused(),
  INTERPOLATION: unused(),
  ZIP_MODE: unused(),
  CACHE_MODE: unused(),
  PIN_MEMORY: unused(),
  MASK_PATCH_SIZE: unused(),
  MASK_RATIO: unused(),
});

/** Ours: reproduces defects of the release, to the digit. All off by default. */
const COMPAT = z.strictObject({
  OFFICIAL_METRICS: boolean().default(false)
    .describe('ours: scores as the release reports them, its defects included'),
  UINT8_WRAP: boolean().default(false)
    .describe('ours: what interpolation carries past 0 or 255 wraps around, as in the release'),
  SUM_ACCUMULATED_GRADIENTS: boolean().default(false)
    .describe('ours: gradients of the batches of an update are added up, as in the release, not averaged'),
});

const score = (of: string) => number({ above: 0 }).optional().describe(`ours: single-task ${of}`);

/** What Δm compares with. */
const BASELINES = z.strictObject({
  PAPER: boolean().default(true).describe('ours: on PASCAL, the paper\'s where a task has none below'),
  semseg: score('mIoU of "semseg", from 0 to 1'),
  normals: score('mean error of "normals", in degrees'),
  sal: score('mIoU of "sal", from 0 to 1'),
  human_parts: score('mIoU of "human_parts", from 0 to 1'),
  depth: score('root mean square error of "depth", in metres'),
});

export const CONFIG_SCHEMA = z.strictObject({
  BASE: texts().default([]).describe('files to read first, relative to this one'),
  DATA: DATA.prefault({}),
  MODEL: MODEL.prefault({}),
  TRAIN: TRAIN.prefault({}),
  COMPAT: COMPAT.prefault({}),
  TASKS: texts(TASKS).default([])
    .describe('the tasks, in this order; empty for those that the data set is used for'),
  PRECISION: oneOf('', 'f32', 'f16').default('')
    .describe('ours: "f16" trains in mixed precision; empty for what AMP_ENABLE says'),
  AMP_ENABLE: boolean().default(false)
    .describe('mixed precision, where PRECISION is empty; true by default in the release'),
  AMP_OPT_LEVEL: oneOf('', 'O0', 'O1', 'O2').default('').describe('"O0" is AMP_ENABLE false'),
  OUTPUT: text().default('output').describe('where runs go: `<output>/<name>/<tag>`'),
  TAG: text().default('default').describe('the run\'s name among those of its model'),
  SAVE_FREQ: whole(1).default(5).describe('epochs between two checkpoints'),
  EVAL_FREQ: whole(0).default(5).describe('epochs between two evaluations; 0 counts as 1'),
  EVAL_TRAINING: optional(whole(1), 'None or a whole number of at least 1').default(null)
    .describe('epochs between two evaluations of the training images'),
  PRINT_FREQ: whole(1).default(10).describe('updates between two lines of the log'),
  BASELINES: BASELINES.prefault({}),
  EVAL_PICTURES: whole(0).default(4).describe('ours: pictures of each evaluation that the report shows'),
  TENSORBOARD: boolean().default(false).describe('ours: event files for TensorBoard in the run\'s folder'),
  SEED: whole(0).default(0)
    .describe('start values, order of images, augmentation and dropout all follow from it'),
  EVAL_MODE: boolean().default(false).describe('evaluate the model and end'),
  THROUGHPUT_MODE: boolean().default(false).describe('must be false: `--profile` times a step'),
  SKIP_INITIAL_EVAL: boolean().default(false)
    .describe('no evaluation before training where MODEL.RESUME is given'),
  MTL: unused(),
  ENABLE_AMP: unused(),
  LOCAL_RANK: unused(),
  FUSED_WINDOW_PROCESS: unused(),
  FUSED_LAYERNORM: unused(),
  AUG: unused(),
  TEST: unused(),
});

/** Every field of the release with a value; lists per stage have four entries. */
export type Config = z.output<typeof CONFIG_SCHEMA>;
