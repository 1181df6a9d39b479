import { readFileSync } from 'node:fs';
import type { Gpu } from '../gpu/device.ts';

const MANIFEST = new URL('../../package.json', import.meta.url);

export const PACKAGE_VERSION = (JSON.parse(readFileSync(MANIFEST, 'utf8')) as { version: string }).version;

/** What a run was made with, for its log and its checkpoints. */
export function versions({ adapter }: Gpu): Record<string, string> {
  return {
    mtlora: PACKAGE_VERSION,
    node: process.version,
    adapter: adapter.name,
    driver: adapter.driver,
  };
}
