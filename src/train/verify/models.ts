import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Gpu } from '../../gpu/device.ts';
import { parameterTable, sizeOf } from '../../mtlora/names.ts';
import { loadConfig, modelSpec } from '../config.ts';
import { paramsReport } from '../params_report.ts';
import { eachOf } from './golden.ts';
import { verifyModel } from './model.ts';
import { verifyPth } from './model_files.ts';
import { compareNumber, failure, type Check } from './report.ts';

const COUNTS = 'official_param_counts.json';
const ROOT = join(import.meta.dirname, '../../..');

const COUNT_CASE = z.strictObject({
  /** Within this project, where the release's configurations have their places. */
  config: z.string(),
  tasks: z.array(z.string()),
  database: z.enum(['PASCALContext', 'NYUD']),
  total: z.int(), trainable: z.int(), lora: z.int(), decoder: z.int(), tensors: z.int(),
  trainableTensors: z.int(),
  loraShared: z.int(), loraTasks: z.int(), norm: z.int(), patchEmbed: z.int(), relativePositionBias: z.int(),
  downsampleReduction: z.int(), downsampler: z.int(),
});
type CountCase = z.infer<typeof COUNT_CASE>;

/** The files of a folder that end so, without that end. */
function stemsOf(folder: string, end: string): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(end));
  return files.map((name) => name.slice(0, -end.length)).sort();
}

const casesIn = (folder: string): string[] => stemsOf(folder, '.state.safetensors');
const pthIn = (folder: string): string[] => stemsOf(folder, '.pth');

export function isModelFolder(folder: string): boolean {
  return casesIn(folder).length > 0 || existsSync(join(folder, COUNTS))
    || pthIn(folder).some((stem) => existsSync(join(folder, `${stem}.json`)));
}

/** Holds whole models, their checkpoints and the counts of parameters to the cases of a folder. */
export async function verifyModels(gpu: Gpu, folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  const attempt = async (label: string, verify: () => Promise<Check[]>): Promise<void> => {
    try {
      checks.push(...await verify());
    } catch (error) {
      checks.push(failure(`${label} runs`, error));
    }
  };
  for (const name of casesIn(folder)) await attempt(name, () => verifyModel(gpu, folder, name));
  for (const stem of pthIn(folder)) await attempt(`${stem}.pth`, () => verifyPth(folder, stem));
  const counts = join(folder, COUNTS);
  return existsSync(counts) ? [...checks, ...await eachOf(counts, COUNT_CASE, verifyCounts)] : checks;
}

const WHOLE = ['total', 'trainable', 'lora', 'decoder', 'tensors', 'trainableTensors'] as const;

// The release counts by what a name contains: branches of the task "normals" are among its norms.
const CONTAINING: Readonly<Record<'loraShared' | 'loraTasks' | 'norm' | 'patchEmbed' | 'relativePositionBias'
  | 'downsampleReduction' | 'downsampler', (name: string) => boolean>> = {
  loraShared: (name) => name.includes('lora_shared'),
  loraTasks: (name) => name.includes('lora_tasks'),
  norm: (name) => name.startsWith('backbone') && name.includes('norm'),
  patchEmbed: (name) => name.includes('patch_embed'),
  relativePositionBias: (name) => name.includes('relative_position_bias_table'),
  downsampleReduction: (name) => name.includes('downsample.reduction') && !name.includes('lora'),
  downsampler: (name) => name.startsWith('downsampler'),
};

function verifyCounts(given: CountCase): Check[] {
  const data = given.database === 'NYUD' ? { nyud: 'nyud' } : { pascal: 'pascal' };
  const { config } = loadConfig(join(ROOT, given.config), [], { tasks: given.tasks.join(','), ...data });
  const spec = modelSpec(config);
  const report = paramsReport(spec);
  const trainable = parameterTable(spec).filter((entry) => entry.kind === 'param' && entry.trainable);
  const label = given.config.replace(/^.*\/|\.yaml$/g, '');
  const whole = WHOLE.map((key) =>
    compareNumber(`${label} ${key}`, report[key], given[key], 0));
  const parts = Object.entries(CONTAINING).map(([key, contains]) => {
    const counted = trainable.filter(({ name }) => contains(name));
    const count = counted.reduce((sum, entry) => sum + sizeOf(entry), 0);
    return compareNumber(`${label} ${key}`, count, given[key as keyof typeof CONTAINING], 0);
  });
  return [...whole, ...parts];
}
