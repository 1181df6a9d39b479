import { globSync } from 'node:fs';
import { basename } from 'node:path';
import type { ModelSpec } from '../../src/mtlora/spec.ts';
import { loadConfig, modelSpec } from '../../src/train/config.ts';

/** `configs/…/<name>.yaml` for each released configuration. */
export const RELEASED: ReadonlyMap<string, string> =
  new Map(globSync('configs/{mtlora,swin}/**/*.yaml').map((file) => [basename(file, '.yaml'), file]));

/** The model of a released configuration, with `opts` on top. */
export function releasedSpec(name: string, ...opts: string[]): ModelSpec {
  const file = RELEASED.get(name);
  if (!file) throw new Error(`no released configuration "${name}"`);
  return modelSpec(loadConfig(file, opts).config);
}
