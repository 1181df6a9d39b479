// What kind of golden data a folder holds, and what holds it to what is computed here.
import { existsSync, globSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Gpu } from '../../gpu/device.ts';
import { isBlockCase, verifyBlocks } from './blocks.ts';
import { isCheckpointCase, verifyCheckpoints } from './checkpoints.ts';
import { isDataFolder, verifyData } from './data.ts';
import { isDecoderCase, verifyDecoders } from './decoders.ts';
import { readCases } from './golden.ts';
import { isLinearCase, verifyLinear } from './linear.ts';
import { isLossCase, verifyLosses } from './losses.ts';
import { isMetricCase, verifyMetrics } from './metrics.ts';
import { isMicroFolder, verifyMicro } from './micro.ts';
import { isModelFolder, verifyModels } from './models.ts';
import { isOptimCase, verifyOptim } from './optim.ts';
import type { Check } from './report.ts';

type Kind = {
  readonly name: string;
  /** Told by a case of the folder's lists of cases, or by the folder's files. */
  readonly isCase?: (value: object) => boolean;
  readonly isFolder?: (folder: string) => boolean;
  readonly verify: (gpu: Gpu, folder: string) => Promise<Check[]>;
};

const KINDS: readonly Kind[] = [
  { name: 'mtlora-linear', isCase: isLinearCase, verify: verifyLinear },
  { name: 'blocks', isCase: isBlockCase, verify: verifyBlocks },
  { name: 'decoders', isCase: isDecoderCase, verify: verifyDecoders },
  { name: 'losses', isCase: isLossCase, verify: verifyLosses },
  { name: 'metrics', isCase: isMetricCase, verify: (_, folder) => verifyMetrics(folder) },
  { name: 'optim', isCase: isOptimCase, verify: verifyOptim },
  {
    name: 'checkpoints', isCase: isCheckpointCase,
    isFolder: (folder) => existsSync(join(folder, 'reader.json')),
    verify: (_, folder) => verifyCheckpoints(folder),
  },
  { name: 'data', isFolder: isDataFolder, verify: (_, folder) => verifyData(folder) },
  { name: 'model', isFolder: isModelFolder, verify: verifyModels },
  { name: 'micro model', isFolder: isMicroFolder, verify: verifyMicro },
];

/** Files that hold a list of cases. */
const LISTS = ['cases.json', 'schedules.json', 'delta_m.json'];

export type FolderReport = {
  readonly folder: string;
  readonly kind: string;
  readonly checks: readonly Check[];
};

export type VerifyOptions = {
  /** One bound for all relative errors in place of each kind's own. */
  readonly tolerance?: number | undefined;
  /** Told of each folder before and after. */
  readonly begin?: (folder: string) => void;
  readonly done?: (report: FolderReport) => void;
};

/** Holds what is computed here to the golden data of a folder, or of every folder in it. */
export async function verifyFolder(
  gpu: Gpu, folder: string, options: VerifyOptions = {},
): Promise<FolderReport[]> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new Error(`verify: no folder "${folder}"`);
  }
  const kind = kindOf(folder);
  if (kind) {
    options.begin?.(folder);
    const checks = (await kind.verify(gpu, folder)).map((check) => loosened(check, options.tolerance));
    const report = { folder, kind: kind.name, checks };
    options.done?.(report);
    return [report];
  }
  const inside = readdirSync(folder).sort().map((name) => join(folder, name));
  const reports: FolderReport[] = [];
  for (const path of inside.filter((each) => statSync(each).isDirectory())) {
    if (globSync('**/*.{safetensors,json}', { cwd: path }).length > 0) {
      reports.push(...await verifyFolder(gpu, path, options));
    }
  }
  if (reports.length > 0) return reports;
  throw new Error(`verify: "${folder}" must hold golden data, such as a cases.json with its tensors, got `
    + `[${readdirSync(folder).slice(0, 8).join(', ')}]`);
}

function kindOf(folder: string): Kind | undefined {
  const lists = LISTS.map((name) => join(folder, name)).filter((path) => existsSync(path));
  const cases = lists.flatMap((path) => readCases(path))
    .filter((each) => typeof each === 'object' && each !== null);
  return KINDS.find(({ isCase, isFolder }) =>
    (isCase && cases.some((each) => isCase(each as object))) || isFolder?.(folder));
}

// what is exact, or follows a rule of its own, stays as it is
function loosened(check: Check, tolerance: number | undefined): Check {
  if (tolerance === undefined || check.rule !== undefined || check.bound === 0) return check;
  return { ...check, bound: tolerance, pass: check.error <= tolerance };
}
