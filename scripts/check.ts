// `npm run check`: what can be said of the code without running it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { forbiddenImports, oversized, shaderTextInSource } from './rules.ts';

const ROOT = join(import.meta.dirname, '..');

const broken = [...forbiddenImports(ROOT), ...oversized(ROOT), ...shaderTextInSource(ROOT)];
for (const sentence of broken) console.error(sentence);

const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint');
const lint = spawnSync(process.execPath, [oxlint], { cwd: ROOT, stdio: 'inherit' });
process.exitCode = broken.length > 0 || lint.status !== 0 ? 1 : 0;
