// The MODEL group of the configuration: backbone, low-rank branches, decoders.
import { z } from 'zod';
import { HEADS, TASKS } from '../mtlora/spec.ts';
import { boolean, number, numbers, oneOf, optional, perStage, text, unused, whole } from './config_fields.ts';

const SWIN = z.strictObject({
  PATCH_SIZE: whole(1).default(4).describe('side of a patch, in pixels'),
  IN_CHANS: whole(1).default(3).describe('channels of the image'),
  EMBED_DIM: whole(1).default(96).describe('channels of the first stage; they double with each stage'),
  DEPTHS: numbers({ min: 1, integer: true }, 4).default([2, 2, 6, 2]).describe('blocks of each stage'),
  NUM_HEADS: numbers({ min: 1, integer: true }, 4).default([3, 6, 12, 24])
    .describe('attention heads of each stage; they divide its channels'),
  WINDOW_SIZE: whole(1).default(7).describe('side of an attention window, in tokens'),
  MLP_RATIO: number({ above: 0 }).default(4).describe('hidden channels of an MLP, by those of its block'),
  QKV_BIAS: boolean().default(true).describe('a bias for queries, keys and values'),
  QK_SCALE: optional(number({ above: 0 }), 'None or a number above 0').default(null)
    .describe('must be None: queries are scaled by (channels of a head)^−½'),
  APE: boolean().default(false).describe('must be false: absolute position embeddings are not supported'),
  PATCH_NORM: boolean().default(true).describe('a norm behind the patch embedding'),
  DECODER_DIM: unused(),
  DECODER_PATCH_RES: unused(),
});

const rank = () => perStage({ min: 0, integer: true });
const scale = () => perStage({});
/** A field for each task, which may be left out. */
function perTask<T extends z.ZodType>(field: (task: string) => T) {
  return Object.fromEntries(TASKS.map((task) => [task, field(task).optional()])) as
    Record<(typeof TASKS)[number], z.ZodOptional<T>>;
}

const MTLORA = z.strictObject({
  ENABLED: boolean().default(false).describe('low-rank branches; false is a plain Swin with decoders'),
  BIAS: oneOf('none', 'all', 'lora_only').default('none')
    .describe('which biases of the backbone train; "lora_only" is refused, as it has no effect'),
  R: rank().default([8, 8, 8, 8])
    .describe('rank of every branch, where R_PER_TASK is empty; 0 for no branch'),
  SHARED_SCALE: scale().default([2, 2, 2, 2])
    .describe('factor of the shared branch, and of tasks without SCALE_PER_TASK'),
  TASK_SCALE: scale().default([2, 2, 2, 2]).describe('of the release; no effect, there as here'),
  DROPOUT: perStage({ min: 0, max: 0.99 }).default([0.05, 0.05, 0.05, 0.05])
    .describe('dropout rate of what enters a branch'),
  TRAINABLE_SCALE_SHARED: boolean().default(false).describe('the shared branches\' factors train'),
  TRAINABLE_SCALE_PER_TASK: boolean().default(false).describe('the task branches\' factors train'),
  INTERMEDIATE_SPECIALIZATION: boolean().default(false)
    .describe('task branches in every block, not in a stage\'s last one alone'),
  FREEZE_PRETRAINED: boolean().default(true).describe('the weights that branches adapt do not train'),
  SPLIT_QKV: boolean().default(false).describe('must be false: the model has one fused qkv layer'),
  R_PER_TASK: z.strictObject({
    ...perTask((task) => rank().describe(`rank of the branches of "${task}"`)),
    shared: rank().optional().describe('rank of the shared branch; required with ranks of tasks'),
  }).prefault({}),
  SCALE_PER_TASK: z.strictObject(perTask((task) =>
    scale().describe(`factor of the branches of "${task}"`))).prefault({}),
  SHARED_MODE: oneOf('matrix', 'matrixv2', 'addition', 'add', 'lora_only').default('matrix')
    .describe('how shared and task branches combine: see docs/checkpoints.md, "What can be folded"'),
  QKV_ENABLED: boolean().default(true).describe('branches on queries, keys and values'),
  PROJ_ENABLED: boolean().default(true).describe('branches on the projection behind attention'),
  FC1_ENABLED: boolean().default(true).describe('branches on the first linear of an MLP'),
  FC2_ENABLED: boolean().default(true).describe('branches on the second linear of an MLP'),
  DOWNSAMPLER_ENABLED: boolean().default(false).describe('branches on patch merging (MTLoRA+)'),
  MERGED: boolean().default(false)
    .describe('ours: without the branches that `mtlora-train merge` folded; it writes this field'),
});

const head = () => oneOf(...HEADS).default('hrnet');

export const MODEL = z.strictObject({
  TYPE: oneOf('swin').default('swin').describe('the kind of backbone'),
  NAME: text().default('swin_tiny_patch4_window7_224')
    .describe('the model\'s name, which names the run\'s folder'),
  PRETRAINED: text().default('').describe('must be empty: give a Swin checkpoint as RESUME_BACKBONE'),
  RESUME: text().default('').describe('a checkpoint to continue, or a model of the PyTorch release'),
  RESUME_BACKBONE: text().default('').describe('a Swin checkpoint to start from (.pth, .safetensors)'),
  FREEZE_BACKBONE: boolean().default(false).describe('only decoders train; for a plain Swin'),
  DROP_RATE: number({ min: 0, max: 0.99 }).default(0).describe('dropout rate of the backbone'),
  DROP_PATH_RATE: number({ min: 0, max: 0.99 }).default(0.1)
    .describe('how often the last block is left out; the rate rises from 0 over the blocks'),
  SWIN: SWIN.prefault({}),
  MTLORA: MTLORA.prefault({}),
  DECODER_HEAD: z.strictObject(Object.fromEntries(TASKS.map((task) =>
    [task, head().describe(`the decoder of "${task}"`)])) as
      Record<(typeof TASKS)[number], ReturnType<typeof head>>).prefault({}),
  DECODER_CHANNELS: numbers({ min: 1, integer: true }, 4).default([18, 36, 72, 144])
    .describe('channels of the four maps that a decoder gets, reduced from the stages\''),
  SEGFORMER_CHANNELS: whole(1).default(256).describe('channels inside a segformer decoder'),
  DECODER_DOWNSAMPLER: boolean().default(true)
    .describe('reduces the stages\' maps to DECODER_CHANNELS; false gives them as they are'),
  PER_TASK_DOWNSAMPLER: boolean().default(true)
    .describe('that reduction is each task\'s own; must be true with MTLORA.ENABLED'),
  UPDATE_RELATIVE_POSITION: boolean().default(false)
    .describe('of the release; position tables of another window are always resized here'),
  NUM_CLASSES: unused(),
  LABEL_SMOOTHING: unused(),
  SAVE_SAMPLE: unused(),
  SWINV2: unused(),
  SWIN_MOE: unused(),
  SWIN_MLP: unused(),
  SIMMIM: unused(),
});
