// What the commands have in common that turn one model file into another.
import { existsSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { TASKS } from '../../mtlora/spec.ts';
import { averaged, readCheckpoint, type Checkpoint } from '../checkpoint.ts';
import { loadConfig, type Config } from '../config.ts';
import { addOpts, listOption } from './options.ts';

export type ModelOptions = {
  cfg: string; from: string; to: string; tasks?: string; ema?: boolean; opts?: string[];
};

export function addModelOptions(command: Command): Command {
  return addOpts(command
    .requiredOption('--cfg <file>', 'configuration (YAML) of the model')
    .requiredOption('--from <file>', 'checkpoint to read (.pth, .safetensors)')
    .requiredOption('--to <file>', 'file to write (.pth, .safetensors)', target)
    .option('--ema', 'the averages of a run\'s checkpoint, which the run evaluates, not its weights')
    .addOption(listOption('--tasks <list>', 'the model\'s tasks, where the configuration does not give them',
      TASKS)));
}

/** Reads the configuration, and refuses to write over what is read. */
export function readModelConfig({ cfg, from, to, tasks, opts = [] }: ModelOptions):
  { config: Config; warnings: string[] } {
  if (existsSync(to) && resolve(from) === resolve(to)) {
    throw new Error(`--to must be another file than --from, got "${to}" twice`);
  }
  return loadConfig(cfg, opts, tasks === undefined ? {} : { tasks });
}

/** Reads the model: with --ema its averages, which must be there. */
export async function readModel({ from, ema = false }: ModelOptions): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(from);
  if (!ema) return checkpoint;
  if (checkpoint.run?.averages) return averaged(checkpoint);
  throw new Error(`--ema: "${from}" must hold averages beside the weights, as checkpoints of runs with --ema `
    + 'do (its best.safetensors is of the averages already)');
}

function target(path: string): string {
  if (!['.pth', '.safetensors'].includes(extname(path))) {
    throw new InvalidArgumentError('It must end in .pth or .safetensors.');
  }
  return path;
}
