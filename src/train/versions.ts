import { readFileSync } from 'node:fs';
import type { Gpu } from '../gpu/device.ts';

export const PACKAGE_VERSION = String((JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: unknown }).version);

/** What a run was made with, for its log and its checkpoints. */
export function versions({ adapter }: Gpu): Record<string, string> {
  return {
    mtlora: PACKAGE_VERSION,
    node: process.version,
    adapter: adapter.name,
    driver: adapter.driver,
  };
}
