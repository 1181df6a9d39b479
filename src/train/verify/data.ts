import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDataset, verifyDataset } from './datasets.ts';
import type { Check } from './report.ts';
import { verifyTransforms } from './transforms.ts';

function datasetsIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => isDataset(folder, name)).sort();
}

export function isDataFolder(folder: string): boolean {
  return existsSync(join(folder, 'transforms.json')) || datasetsIn(folder).length > 0;
}

/**
 * Holds the transforms, and the readers of the data sets that lie in the folder, to what is recorded of them.
 */
export async function verifyData(folder: string): Promise<Check[]> {
  const path = join(folder, 'transforms.json');
  const checks = existsSync(path) ? verifyTransforms(folder, path) : [];
  for (const name of datasetsIn(folder)) checks.push(...await verifyDataset(folder, name));
  return checks;
}
