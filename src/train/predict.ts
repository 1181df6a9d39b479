// A trained model on pictures of any size, whatever data set they come from.
import { join } from 'node:path';
import { FileError } from '../data/file.ts';
import type { HostTensor } from '../data/host_tensor.ts';
import { readPicture } from '../data/jpeg.ts';
import { makeField } from '../data/sample.ts';
import { prepare, writeImage } from '../data/transforms.ts';
import { openGpu } from '../gpu/device.ts';
import { TASKS, type Task } from '../mtlora/spec.ts';
import { ParameterStore } from '../mtlora/store.ts';
import { averaged, readCheckpoint, type Checkpoint } from './checkpoint.ts';
import { loadConfig, modelSpec, type Config } from './config.ts';
import { findPictures, writePrediction, type Asked } from './predict_files.ts';
import { predictionAt } from './predictions.ts';
import { Predictor } from './predictor.ts';
import { Exit, type Terminal } from './terminal.ts';
import { fitWeights } from './weights.ts';

export type PredictOptions = {
  readonly cfg: string;
  readonly from: string;
  readonly out: string;
  readonly inputs: readonly string[];
  /** Of the model's tasks; all without it. */
  readonly tasks?: readonly string[] | undefined;
  readonly opts?: readonly string[] | undefined;
  readonly device?: string | undefined;
  readonly plainKernels?: boolean | undefined;
};

/** Writes predictions for every picture; throws `Exit` at the end where some could not be read. */
export async function runPrediction(options: PredictOptions, terminal: Terminal): Promise<void> {
  const { inputs, out, from } = options;
  await using cleanup = new AsyncDisposableStack();
  const { pictures, problems } = findPictures(inputs);
  for (const problem of problems) terminal.say(`error: ${problem}`);
  const total = pictures.length + problems.length;
  if (pictures.length === 0) throw new Error('predict: there is no picture to read');

  const read = await readCheckpoint(from);
  const { config, warnings } = loadConfig(options.cfg, options.opts, modelTasks(read));
  const checkpoint = config.TRAIN.EMA_DECAY > 0 ? averaged(read) : read;
  const wanted = chosenTasks(config.TASKS, options.tasks);
  const { device, plainKernels } = options;
  const chosen = { device, plainKernels, say: terminal.say };
  const gpu = cleanup.adopt(await openGpu(chosen), (open) => open.close());
  for (const warning of warnings) terminal.say(`warning: ${warning}`);
  const store = new ParameterStore(gpu, modelSpec(config));
  store.load(wholeWeights(config, checkpoint));
  const predictor = await Predictor.open(gpu, store, wanted);
  const { IMG_SIZE } = config.DATA;
  terminal.say(`model      "${from}": ${wanted.join(', ')} at ${IMG_SIZE}x${IMG_SIZE}`);

  const signal = terminal.interruption();
  let failed = problems.length;
  for (const [i, asked] of pictures.entries()) {
    if (signal.aborted) throw new Exit(130, `Interrupted: ${i - failed + problems.length} pictures are done`);
    terminal.status(`predicting ${i + 1}/${pictures.length} ${asked.path}`);
    try {
      await predictPicture(predictor, config, asked, out);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      failed++;
      terminal.say(`error: ${error.message}`);
    }
  }
  terminal.status(null);
  terminal.say(`output     ${total - failed} of ${total} pictures in "${out}"`);
  if (failed > 0) throw new Exit(1, `predict: ${failed} of ${total} could not be read`);
}

async function predictPicture(
  predictor: Predictor, { DATA, COMPAT }: Config, { path, name }: Asked, out: string,
): Promise<void> {
  const picture = await readPicture(path, { upright: true });
  const { width, height, data } = picture;
  const image = makeField(height, width, data);
  const sample = prepare({ id: name, size: [height, width], image, labels: new Map() }, DATA.IMG_SIZE);
  const input = new Uint8Array(sample.image.data.length);
  writeImage(sample.image, input, COMPAT.UINT8_WRAP ? 'wrap' : 'clamp');
  for (const [task, logits] of await predictor.predict(input)) {
    writePrediction(join(out, name), task, picture, predictionAt(task, logits, height, width));
  }
}

/** The tasks that the file has decoders for: what it holds is what the model is. */
function modelTasks({ path, model }: Checkpoint): { tasks: string } {
  const found = new Set([...model.keys()]
    .map((name) => /^decoders\.decoders\.(\w+)\./.exec(name)?.[1] as Task)
    .filter((task) => TASKS.includes(task)));
  if (found.size === 0) throw new Error(`predict: "${path}" must hold a whole model, it has no decoder`);
  return { tasks: [...found].join(',') };
}

function chosenTasks(known: readonly Task[], asked?: readonly string[]): readonly Task[] {
  if (!asked) return known;
  const unknown = asked.find((task) => !(known as readonly string[]).includes(task));
  if (unknown === undefined) return known.filter((task) => asked.includes(task));
  throw new Error(`--tasks: must be of the model's ${known.join(', ')}, got "${unknown}"`);
}

function wholeWeights(config: Config, { path, model }: Checkpoint): ReadonlyMap<string, HostTensor> {
  const { values, missing } = fitWeights(modelSpec(config), model, path);
  if (missing.length === 0) return values;
  throw new Error(`predict: "${path}" must hold every tensor of the model, ${missing.length} are missing, `
    + `such as "${missing[0]}" (does --cfg describe it?)`);
}
