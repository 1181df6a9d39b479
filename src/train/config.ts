// The configuration of a run: defaults < YAML with its includes < --opts < flags.
import { existsSync, readFileSync } from 'node:fs';
import { Document, visit } from 'yaml';
import type { Task } from '../mtlora/spec.ts';
import { DATASET_TASKS, findProblems, findWarnings } from './config_checks.ts';
import { describeIssues } from './config_issues.ts';
import { CONFIG_SCHEMA } from './config_schema.ts';
import type { Config } from './config_schema.ts';
import { emptyLayer, mergeLayers, optsLayer, readYamlLayers, setField } from './config_source.ts';
import type { Layer } from './config_source.ts';
import { readDataFile } from './data_file.ts';

export type { Config } from './config_schema.ts';
export { modelSpec } from './model_spec.ts';

/** What the command line sets by a flag of its own; absent means not given. */
export type ConfigFlags = {
  batchSize?: string | number;
  epochs?: string | number;
  ckptFreq?: string | number;
  evalFreq?: string | number;
  evalTrainingFreq?: string | number;
  accumulationSteps?: string | number;
  pascal?: string;
  nyud?: string;
  data?: string;
  dataPath?: string;
  tasks?: string;
  onBadSample?: string;
  resume?: string;
  resumeBackbone?: string;
  pretrained?: string;
  decoderMap?: string;
  freezeBackbone?: boolean;
  skipDecoder?: boolean;
  skipInitialValidation?: boolean;
  eval?: boolean;
  throughput?: boolean;
  useCheckpoint?: boolean;
  precision?: string;
  disableAmp?: boolean;
  output?: string;
  tag?: string;
  name?: string;
  optim?: string;
  lossWeighting?: string;
  best?: string;
  keep?: string | number;
  ema?: string | number;
  tensorboard?: boolean;
  seed?: string | number;
};

/** Flag, how it is typed, the field that it sets. */
export const FLAG_FIELDS: readonly [keyof ConfigFlags, string, string][] = [
  ['batchSize', '--batch-size', 'DATA.BATCH_SIZE'],
  ['epochs', '--epochs', 'TRAIN.EPOCHS'],
  ['ckptFreq', '--ckpt-freq', 'SAVE_FREQ'],
  ['evalFreq', '--eval-freq', 'EVAL_FREQ'],
  ['evalTrainingFreq', '--eval-training-freq', 'EVAL_TRAINING'],
  ['accumulationSteps', '--accumulation-steps', 'TRAIN.ACCUMULATION_STEPS'],
  ['dataPath', '--data-path', 'DATA.DATA_PATH'],
  ['pascal', '--pascal', 'DATA.PASCAL'],
  ['nyud', '--nyud', 'DATA.NYUD'],
  ['data', '--data', 'DATA.FILE'],
  ['tasks', '--tasks', 'TASKS'],
  ['onBadSample', '--on-bad-sample', 'DATA.ON_BAD_SAMPLE'],
  ['resume', '--resume', 'MODEL.RESUME'],
  ['resumeBackbone', '--resume-backbone', 'MODEL.RESUME_BACKBONE'],
  ['pretrained', '--pretrained', 'MODEL.PRETRAINED'],
  ['freezeBackbone', '--freeze-backbone', 'MODEL.FREEZE_BACKBONE'],
  ['skipDecoder', '--skip_decoder', 'TRAIN.SKIP_DECODER_CKPT'],
  ['skipInitialValidation', '--skip_initial_validation', 'SKIP_INITIAL_EVAL'],
  ['eval', '--eval', 'EVAL_MODE'],
  ['throughput', '--throughput', 'THROUGHPUT_MODE'],
  ['useCheckpoint', '--use-checkpoint', 'TRAIN.USE_CHECKPOINT'],
  ['precision', '--precision', 'PRECISION'],
  ['output', '--output', 'OUTPUT'],
  ['tag', '--tag', 'TAG'],
  ['name', '--name', 'MODEL.NAME'],
  ['optim', '--optim', 'TRAIN.OPTIMIZER.NAME'],
  ['lossWeighting', '--loss-weighting', 'TRAIN.LOSS_WEIGHTING'],
  ['best', '--best', 'TRAIN.BEST'],
  ['keep', '--keep', 'TRAIN.KEEP_CHECKPOINTS'],
  ['ema', '--ema', 'TRAIN.EMA_DECAY'],
  ['tensorboard', '--tensorboard', 'TENSORBOARD'],
  ['seed', '--seed', 'SEED'],
];

function decoderMapLayer(layer: Layer, file: string): void {
  let map: unknown;
  try {
    map = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`--decoder_map: cannot read "${file}": ${(error as Error).message}`, { cause: error });
  }
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new Error(`--decoder_map: "${file}" must hold an object of task and head`);
  }
  for (const [task, head] of Object.entries(map)) setField(layer, `MODEL.DECODER_HEAD.${task}`, head, file);
}

function flagsLayer(flags: ConfigFlags): Layer {
  const layer = emptyLayer();
  for (const [flag, typed, field] of FLAG_FIELDS) {
    if (flags[flag] !== undefined) setField(layer, field, flags[flag], typed);
  }
  if (flags.disableAmp) setField(layer, 'PRECISION', 'f32', '--disable_amp');
  if (flags.decoderMap !== undefined) decoderMapLayer(layer, flags.decoderMap);
  if (flags.data !== undefined) setField(layer, 'DATA.DBNAME', 'Folder', '--data');
  else if (flags.nyud !== undefined) setField(layer, 'DATA.DBNAME', 'NYUD', '--nyud');
  else if (flags.pascal !== undefined) setField(layer, 'DATA.DBNAME', 'PASCALContext', '--pascal');
  return layer;
}

/**
 * Tasks and classes of a data set of one's own: the file's. A configuration that says all of it, as that of a
 * run does, does without the file, so that its model can go where the data is not.
 */
function settleOwnData(config: Config, { places }: Layer): Config {
  const { DATA, TASKS } = config;
  const named = { ...config, DATA: { ...DATA, DBNAME: 'Folder' as const } };
  const isKnown = (task: Task): boolean =>
    (task !== 'semseg' && task !== 'human_parts') || DATA.CLASSES[task] !== undefined;
  const complete = TASKS.length > 0 && TASKS.every(isKnown);
  if (complete && (DATA.FILE === '' || !existsSync(DATA.FILE))) return named;
  if (DATA.FILE === '') throw new Error('Where is the data? Give the file that describes it with --data');
  const { tasks } = readDataFile(DATA.FILE);
  const classes = { semseg: tasks.semseg?.names.length, human_parts: tasks.human_parts?.names.length };
  for (const task of ['semseg', 'human_parts'] as const) {
    const [given, found] = [DATA.CLASSES[task], classes[task]];
    if (given === undefined || found === undefined || given === found) continue;
    const field = `DATA.CLASSES.${task}`;
    const place = places.get(field)!.value;
    throw new Error(`${place} ${field}: must be ${found} as in "${DATA.FILE}", got ${given}`);
  }
  return {
    ...named,
    DATA: { ...named.DATA, CLASSES: { ...DATA.CLASSES, ...classes } },
    TASKS: TASKS.length > 0 ? TASKS : Object.keys(tasks) as Task[],
  };
}

/** What trains in mixed precision: by our field, else by the release's. */
function settlePrecision(config: Config): Config {
  const { PRECISION, AMP_ENABLE, AMP_OPT_LEVEL } = config;
  const asReleased = AMP_ENABLE && AMP_OPT_LEVEL !== 'O0' ? 'f16' : 'f32';
  return { ...config, PRECISION: PRECISION || asReleased };
}

/** Fills in what depends on other fields. */
function settle(given: Config, layer: Layer): Config {
  const config = settlePrecision(given);
  if (config.DATA.DBNAME === 'Folder' || (config.DATA.DBNAME === '' && config.DATA.FILE !== '')) {
    return { ...settleOwnData(config, layer), EVAL_FREQ: Math.max(config.EVAL_FREQ, 1) };
  }
  const dataset = config.DATA.DBNAME
    || (config.DATA.NYUD !== '' || config.TASKS.includes('depth') ? 'NYUD' : 'PASCALContext');
  const usual = (Object.keys(DATASET_TASKS[dataset]) as Task[]).filter((task) => task !== 'edge');
  return {
    ...config,
    DATA: { ...config.DATA, DBNAME: dataset },
    TASKS: config.TASKS.length > 0 ? config.TASKS : usual,
    EVAL_FREQ: Math.max(config.EVAL_FREQ, 1),
  };
}

/** Reads a run's configuration; throws one error that lists every problem with its place. */
export function loadConfig(cfg: string | null, opts: readonly string[] = [], flags: ConfigFlags = {}):
  { config: Config; warnings: string[] } {
  const yaml = cfg === null ? emptyLayer() : readYamlLayers(cfg);
  const layer = mergeLayers(yaml, optsLayer(opts), flagsLayer(flags));
  const parsed = CONFIG_SCHEMA.safeParse(layer.values);
  if (!parsed.success) throw new Error(describeIssues(parsed.error.issues, layer).join('\n'));

  const config = settle(parsed.data, layer);
  const locate = ({ field, says }: { field: string; says: string }): string =>
    `${layer.places.get(field)?.value ?? cfg ?? 'defaults'} ${field}: ${says}`;
  const problems = findProblems(config).map(locate);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const warnings = findWarnings(config).filter(({ field }) => layer.places.has(field)).map(locate);
  return { config, warnings };
}

/** YAML that loads to the same configuration, without TASK_SCALE, which has no effect. */
export function formatConfig(config: Config): string {
  const MTLORA = { ...config.MODEL.MTLORA, TASK_SCALE: undefined };
  const document = new Document({ ...config, BASE: [], MODEL: { ...config.MODEL, MTLORA } });
  visit(document, { Seq: (_, list) => { list.flow = true; } });
  return document.toString({ nullStr: 'None', flowCollectionPadding: false });
}
