import { z } from 'zod';
import { SHARED_MODE } from './sites.ts';

const count = z.int().positive();
const pair = z.tuple([count, count]);
const off = z.literal(0).default(0);

const CTOR = {
  PatchEmbed: z.strictObject({
    img_size: pair, patch_size: count, in_chans: count, embed_dim: count, norm: z.boolean(),
  }),
  PatchMerging: z.strictObject({ input_resolution: pair, dim: count }),
  Mlp: z.strictObject({ in_features: count, hidden_features: count, drop: off }),
  WindowAttention: z.strictObject({
    dim: count, window_size: pair, num_heads: count, qkv_bias: z.boolean().default(true),
    qk_scale: z.null().default(null), attn_drop: off, proj_drop: off,
  }),
  SwinTransformerBlock: z.strictObject({
    dim: count, input_resolution: pair, num_heads: count, window_size: count,
    shift_size: z.int().nonnegative(),
    mlp_ratio: z.number().default(4), drop_path: z.number().default(0), qkv_bias: z.boolean().default(true),
    qk_scale: z.null().default(null), drop: off, attn_drop: off,
  }),
  BasicLayer: z.strictObject({
    dim: count, input_resolution: pair, depth: count, num_heads: count, window_size: count,
    downsample: z.boolean(), mlp_ratio: z.number().default(4), qkv_bias: z.boolean().default(true),
    drop_path: z.union([z.number(), z.array(z.number())]).default(0),
    qk_scale: z.null().default(null), drop: off, attn_drop: off,
  }),
};

const SWITCHES = z.strictObject({
  QKV_ENABLED: z.boolean().default(true),
  PROJ_ENABLED: z.boolean().default(true),
  FC1_ENABLED: z.boolean().default(true),
  FC2_ENABLED: z.boolean().default(true),
  DOWNSAMPLER_ENABLED: z.boolean().default(false),
  INTERMEDIATE_SPECIALIZATION: z.boolean().default(false),
  TRAINABLE_SCALE_SHARED: z.boolean().default(false),
  TRAINABLE_SCALE_PER_TASK: z.boolean().default(false),
});

const COMMON = {
  name: z.string(),
  xShape: z.array(count),
  lora: z.boolean(),
  mtloraFlags: SWITCHES,
  sharedMode: SHARED_MODE,
  tasks: z.array(z.string()).nullable(),
  ranks: z.record(z.string(), z.int().nonnegative()),
  taskScale: z.record(z.string(), z.number()),
  sharedScale: z.number(),
  xTasks: z.boolean().default(false),
  mask: z.strictObject({ resolution: pair, window: count, shift: z.int().nonnegative() }).optional(),
  returnedTasks: z.array(z.string()).nullable(),
  noGrad: z.array(z.string()).default([]),
};

/** A case of the `blocks` files. */
export const BLOCK_CASE = z.discriminatedUnion('kind', [
  z.strictObject({ ...COMMON, kind: z.literal('PatchEmbed'), ctor: CTOR.PatchEmbed }),
  z.strictObject({ ...COMMON, kind: z.literal('PatchMerging'), ctor: CTOR.PatchMerging }),
  z.strictObject({ ...COMMON, kind: z.literal('Mlp'), ctor: CTOR.Mlp }),
  z.strictObject({ ...COMMON, kind: z.literal('WindowAttention'), ctor: CTOR.WindowAttention }),
  z.strictObject({ ...COMMON, kind: z.literal('SwinTransformerBlock'), ctor: CTOR.SwinTransformerBlock }),
  z.strictObject({ ...COMMON, kind: z.literal('BasicLayer'), ctor: CTOR.BasicLayer }),
]);
export type BlockCase = z.infer<typeof BLOCK_CASE>;
/** The cases of one class. */
export type CaseOf<Kind extends BlockCase['kind']> = Extract<BlockCase, { kind: Kind }>;
