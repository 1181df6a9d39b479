// What must hold between fields, and the switches of the release that cannot work.
import type { Task } from '../mtlora/spec.ts';
import { wrongCriterion } from './best_score.ts';
import type { Config } from './config_schema.ts';

export type Problem = { field: string; says: string };

export type Dataset = 'PASCALContext' | 'NYUD';

/** Tasks of each data set with their numbers of output channels. */
export const DATASET_TASKS: Readonly<Record<Dataset, Readonly<Partial<Record<Task, number>>>>> = {
  PASCALContext: { semseg: 21, normals: 3, sal: 1, human_parts: 7, edge: 1 },
  NYUD: { semseg: 40, normals: 3, depth: 1, edge: 1 },
};

/** The tasks that the model can have with their numbers of output channels. */
export function taskOutputs({ DBNAME, CLASSES }: Config['DATA']): Readonly<Partial<Record<Task, number>>> {
  if (DBNAME !== 'Folder') return DATASET_TASKS[DBNAME || 'PASCALContext'];
  const known = Object.entries(CLASSES).filter(([, classes]) => classes !== undefined);
  return { ...Object.fromEntries(known), normals: 3, sal: 1, edge: 1, depth: 1 };
}

/** Broken or meaningless in the release; accepting them silently would be worse. */
function unsupported({ MODEL, THROUGHPUT_MODE }: Config): (Problem | false)[] {
  const lora = MODEL.MTLORA;
  return [
    lora.SPLIT_QKV && { field: 'MODEL.MTLORA.SPLIT_QKV',
      says: 'must be false: the model has one fused qkv layer, which split weights would leave untrained' },
    lora.BIAS === 'lora_only' && { field: 'MODEL.MTLORA.BIAS',
      says: 'must be "none" or "all", got "lora_only": it has no effect in the PyTorch release, use "none"' },
    lora.ENABLED && !MODEL.PER_TASK_DOWNSAMPLER && { field: 'MODEL.PER_TASK_DOWNSAMPLER',
      says: 'must be true with MODEL.MTLORA.ENABLED: every task has its own stream to reduce' },
    lora.ENABLED && MODEL.FREEZE_BACKBONE && { field: 'MODEL.FREEZE_BACKBONE',
      says: 'must be false with MODEL.MTLORA.ENABLED: the low-rank branches are part of the backbone' },
    MODEL.PRETRAINED !== '' && { field: 'MODEL.PRETRAINED',
      says: 'must be empty: give a Swin checkpoint with --resume-backbone' },
    THROUGHPUT_MODE && { field: 'THROUGHPUT_MODE', says: 'must be false: use --profile to time a step' },
    MODEL.SWIN.APE && { field: 'MODEL.SWIN.APE',
      says: 'must be false: absolute position embeddings are not supported' },
    MODEL.SWIN.QK_SCALE !== null && { field: 'MODEL.SWIN.QK_SCALE',
      says: 'must be None: queries are scaled by (channels per head)^-0.5' },
  ];
}

function geometry({ DATA, MODEL }: Config): (Problem | false)[] {
  const { PATCH_SIZE, WINDOW_SIZE, EMBED_DIM, NUM_HEADS, DEPTHS } = MODEL.SWIN;
  const unit = PATCH_SIZE * 2 ** (DEPTHS.length - 1);
  if (DATA.IMG_SIZE % unit !== 0) {
    return [{ field: 'DATA.IMG_SIZE', says: `must be a multiple of ${unit} (patch size and three mergings), `
      + `got ${DATA.IMG_SIZE}` }];
  }
  return DEPTHS.flatMap((_, stage) => {
    const [side, channels] = [DATA.IMG_SIZE / PATCH_SIZE / 2 ** stage, EMBED_DIM * 2 ** stage];
    return [
      side > WINDOW_SIZE && side % WINDOW_SIZE !== 0 && { field: 'MODEL.SWIN.WINDOW_SIZE',
        says: `must divide the ${side}×${side} grid of stage ${stage}, got ${WINDOW_SIZE}` },
      channels % NUM_HEADS[stage]! !== 0 && { field: 'MODEL.SWIN.NUM_HEADS',
        says: `must divide the ${channels} channels of stage ${stage}, got ${NUM_HEADS[stage]}` },
    ];
  });
}

function ranks({ MODEL, TASKS }: Config): (Problem | false)[] {
  const { R, R_PER_TASK, SCALE_PER_TASK, ENABLED } = MODEL.MTLORA;
  if (!ENABLED) return [];
  const ranked = Object.keys(R_PER_TASK).length > 0;
  const scaled = Object.keys(SCALE_PER_TASK).length > 0;
  const shared = ranked ? R_PER_TASK.shared ?? [] : R;
  return [
    ranked && !R_PER_TASK.shared && { field: 'MODEL.MTLORA.R_PER_TASK',
      says: 'must give the rank of "shared" too' },
    ...TASKS.flatMap((task) => [
      ranked && !R_PER_TASK[task] && { field: 'MODEL.MTLORA.R_PER_TASK',
        says: `must give the rank of every task, "${task}" is missing` },
      scaled && !SCALE_PER_TASK[task] && { field: 'MODEL.MTLORA.SCALE_PER_TASK',
        says: `must give the factor of every task, "${task}" is missing` },
      !!R_PER_TASK[task]?.some((rank, stage) => rank === 0 && shared[stage]! > 0) && {
        field: `MODEL.MTLORA.R_PER_TASK.${task}`, says: 'must be at least 1 where the shared rank is' },
    ]),
  ];
}

function tasks({ DATA, TASKS }: Config): (Problem | false)[] {
  const known = taskOutputs(DATA);
  return TASKS.map((task, i) => !(task in known)
    ? { field: 'TASKS', says: `${DATA.DBNAME} has no task "${task}", only ${Object.keys(known).join(', ')}` }
    : TASKS.indexOf(task) !== i && { field: 'TASKS', says: `"${task}" is given twice` });
}

function best(config: Config): (Problem | false)[] {
  const says = wrongCriterion(config);
  return [says !== null && { field: 'TRAIN.BEST', says }];
}

export function findProblems(config: Config): Problem[] {
  return [...unsupported(config), ...geometry(config), ...tasks(config), ...ranks(config), ...best(config)]
    .filter((problem) => problem !== false);
}

/** What is accepted but surprises. */
export function findWarnings({ MODEL: { MTLORA } }: Config): Problem[] {
  const ignored = MTLORA.ENABLED && Object.keys(MTLORA.SCALE_PER_TASK).length === 0
    && MTLORA.TASK_SCALE.some((scale, stage) => scale !== MTLORA.SHARED_SCALE[stage]);
  return ignored ? [{ field: 'MODEL.MTLORA.TASK_SCALE',
    says: 'has no effect, tasks use SHARED_SCALE; give SCALE_PER_TASK to set their factors' }] : [];
}
