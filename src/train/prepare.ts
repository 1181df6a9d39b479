// From a configuration to what runs need: data, device, a model with its start values or a file's.
import { availableParallelism } from 'node:os';
import type { DatasetSpec } from '../data/dataset.ts';
import { openLoader, type Loader } from '../data/loader.ts';
import type { Position as LoaderPosition } from '../data/order.ts';
import type { Gpu } from '../gpu/device.ts';
import { ParameterStore, type StoreOptions } from '../mtlora/store.ts';
import { loadModel, readCheckpoint, trackedOf, type Checkpoint } from './checkpoint.ts';
import { modelSpec, type Config } from './config.ts';
import { readDataFile } from './data_file.ts';
import { logVariances } from './loss.ts';
import { paramsReport } from './params_report.ts';

type Say = (line: string) => void;

/** The data set that a configuration names. */
export function datasetSpec({ DATA, TASKS }: Config, split: 'train' | 'val'): DatasetSpec {
  if (DATA.DBNAME === 'Folder') {
    if (DATA.FILE === '') throw new Error('Where is the data? Give the file that describes it with --data');
    const layout = readDataFile(DATA.FILE);
    return { kind: 'folder', root: layout.root, layout, split, tasks: TASKS };
  }
  const nyud = DATA.DBNAME === 'NYUD';
  const root = (nyud ? DATA.NYUD : DATA.PASCAL) || DATA.DATA_PATH;
  if (root === '') throw new Error(`Where is the data? Give its folder with --${nyud ? 'nyud' : 'pascal'}`);
  return { kind: nyud ? 'nyud' : 'pascal', root, split, tasks: TASKS };
}

/** Batches of a split: shuffled and augmented for training, all in order for validation. */
export function openSplit(
  config: Config, split: 'train' | 'val', start?: LoaderPosition, train = split === 'train',
): Loader {
  const { DATA, SEED, COMPAT } = config;
  return openLoader({
    dataset: datasetSpec(config, split), size: DATA.IMG_SIZE, batchSize: DATA.BATCH_SIZE, train, seed: SEED,
    workers: Math.min(DATA.NUM_WORKERS, availableParallelism()),
    overshoot: COMPAT.UINT8_WRAP ? 'wrap' : 'clamp',
    warpFill: DATA.WARP_FILL_IGNORE ? 'ignore' : 'zero',
    onBadSample: DATA.ON_BAD_SAMPLE,
    ...start && { start },
  });
}

/** Room for a model and what trains with it. */
export function openStore(
  gpu: Gpu, config: Config, { frozen }: Pick<StoreOptions, 'frozen'>,
): ParameterStore {
  const spec = modelSpec(config);
  const learned = config.TRAIN.LOSS_WEIGHTING === 'uncertainty';
  const beside = learned ? [logVariances(spec.tasks.map(({ name }) => name))] : [];
  return new ParameterStore(gpu, spec, { averages: config.TRAIN.EMA_DECAY > 0, beside, frozen });
}

/**
 * A model on the device: drawn start values, under them a backbone's file, under that a whole model's.
 *
 * @param options.frozen how frozen matrices are stored; exactly by default, for training see `frozenOf`
 */
export async function openModel(
  gpu: Gpu, config: Config, say: Say, resume: Checkpoint | null,
  { frozen }: Pick<StoreOptions, 'frozen'> = {},
): Promise<{ store: ParameterStore; tracked: number }> {
  const store = openStore(gpu, config, { frozen });
  store.initialise(config.SEED);
  const { RESUME_BACKBONE } = config.MODEL;
  const report = (file: string, lines: readonly string[]): void => {
    say(`weights    "${file}"`);
    for (const line of lines) say(`           ${line}`);
  };
  if (RESUME_BACKBONE !== '' && !resume) {
    const file = await readCheckpoint(RESUME_BACKBONE);
    report(RESUME_BACKBONE, loadModel(store, file, { backbone: true }));
  }
  if (resume) report(resume.path, loadModel(store, resume, { skipDecoder: config.TRAIN.SKIP_DECODER_CKPT }));
  return { store, tracked: resume ? trackedOf(resume) : 0 };
}

/** How a model that is trained stores its frozen matrices. */
export function frozenOf({ PRECISION }: Config): Pick<StoreOptions, 'frozen'> {
  return { frozen: PRECISION === 'f16' ? 'f16' : 'f32' };
}

/** The first lines of every run: what computes, what it computes. */
export function describeModel(gpu: Gpu, config: Config): string[] {
  const { adapter } = gpu;
  const { DATA: { IMG_SIZE }, MODEL: { NAME }, TASKS } = config;
  const { total, trainable, lora, decoder, extra } = paramsReport(modelSpec(config));
  const number = (value: number): string => value.toLocaleString('en-US');
  const share = (100 * trainable / total).toFixed(2);
  const software = adapter.software ? ' (software: runs on the CPU, slowly)' : '';
  return [
    `adapter    ${adapter.name}, ${adapter.driver}${software}`,
    `model      ${NAME}, ${IMG_SIZE}x${IMG_SIZE}, tasks ${TASKS.join(', ')}`,
    `parameters ${number(trainable)} trainable of ${number(total)} (${share} %): `
      + `low-rank ${number(lora)}, decoder ${number(decoder)}, other ${number(extra)}`,
  ];
}
