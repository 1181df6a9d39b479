// From the release's configuration fields to the model that they describe.
import { dropPathRates } from '../mtlora/spec.ts';
import type { LoraSpec, ModelSpec, StageLora, Task } from '../mtlora/spec.ts';
import { taskOutputs } from './config_checks.ts';
import type { Config } from './config_schema.ts';

function stageLora(config: Config, stage: number): StageLora {
  const { R, R_PER_TASK, SHARED_SCALE, SCALE_PER_TASK, DROPOUT } = config.MODEL.MTLORA;
  const perTask = (lists: Partial<Record<Task, number[] | undefined>>, otherwise: number[]) =>
    Object.fromEntries(config.TASKS.map((task) => [task, (lists[task] ?? otherwise)[stage]!]));
  return {
    rank: (R_PER_TASK.shared ?? R)[stage]!,
    scale: SHARED_SCALE[stage]!,
    taskRank: perTask(R_PER_TASK, R),
    taskScale: perTask(SCALE_PER_TASK, SHARED_SCALE),
    dropout: DROPOUT[stage]!,
  };
}

function loraSpec(config: Config): LoraSpec | null {
  const lora = config.MODEL.MTLORA;
  if (!lora.ENABLED) return null;
  return {
    mode: lora.SHARED_MODE === 'add' ? 'addition' : lora.SHARED_MODE,
    stages: config.MODEL.SWIN.DEPTHS.map((_, stage) => stageLora(config, stage)),
    sites: {
      qkv: lora.QKV_ENABLED,
      proj: lora.PROJ_ENABLED,
      fc1: lora.FC1_ENABLED,
      fc2: lora.FC2_ENABLED,
      reduction: lora.DOWNSAMPLER_ENABLED,
    },
    intermediateSpecialization: lora.INTERMEDIATE_SPECIALIZATION,
    trainableScale: lora.TRAINABLE_SCALE_SHARED,
    trainableTaskScale: lora.TRAINABLE_SCALE_PER_TASK,
    bias: lora.BIAS === 'all' ? 'all' : 'none',
    freezePretrained: lora.FREEZE_PRETRAINED,
    merged: lora.MERGED,
  };
}

/** The model that a loaded configuration describes. */
export function modelSpec(config: Config): ModelSpec {
  const { DATA, MODEL, TRAIN } = config;
  const { SWIN } = MODEL;
  const outputs = taskOutputs(DATA);
  return {
    imgSize: DATA.IMG_SIZE,
    patchSize: SWIN.PATCH_SIZE,
    inChannels: SWIN.IN_CHANS,
    embedDim: SWIN.EMBED_DIM,
    depths: SWIN.DEPTHS,
    heads: SWIN.NUM_HEADS,
    windowSize: SWIN.WINDOW_SIZE,
    mlpRatio: SWIN.MLP_RATIO,
    qkvBias: SWIN.QKV_BIAS,
    patchNorm: SWIN.PATCH_NORM,
    dropRate: MODEL.DROP_RATE,
    dropPath: dropPathRates(SWIN.DEPTHS, MODEL.DROP_PATH_RATE),
    tasks: config.TASKS.map((task) =>
      ({ name: task, outputs: outputs[task]!, head: MODEL.DECODER_HEAD[task] })),
    decoder: {
      channels: MODEL.DECODER_DOWNSAMPLER ? MODEL.DECODER_CHANNELS
        : [2, 4, 8, 8].map((factor) => factor * SWIN.EMBED_DIM),
      downsampler: !MODEL.DECODER_DOWNSAMPLER ? 'none' : MODEL.PER_TASK_DOWNSAMPLER ? 'per_task' : 'shared',
      segformerChannels: MODEL.SEGFORMER_CHANNELS,
    },
    lora: loraSpec(config),
    freeze: {
      backbone: MODEL.FREEZE_BACKBONE,
      patchEmbed: TRAIN.FREEZE_PATCH_EMBED,
      layerNorm: TRAIN.FREEZE_LAYER_NORM,
      relativePositionBias: TRAIN.FREEZE_RELATIVE_POSITION_BIAS,
      // The frozen reduction is what its low-rank pair adapts.
      downsampleReduction: TRAIN.FREEZE_DOWNSAMPLE_REDUCTION
        || (MODEL.MTLORA.ENABLED && MODEL.MTLORA.DOWNSAMPLER_ENABLED),
    },
  };
}
