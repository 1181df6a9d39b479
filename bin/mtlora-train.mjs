#!/usr/bin/env node
// The command line. Its sources are TypeScript as they stand, which Node 24 runs; an older Node hands
// over to the one in node_modules.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const file = process.platform === 'win32' ? 'node.exe' : 'node';
const node24 = fileURLToPath(new URL(`../node_modules/node/bin/${file}`, import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import('../src/cli.ts');
} else if (existsSync(node24)) {
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(node24, args, { stdio: 'inherit' });
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => { process.exitCode = code ?? 128 + constants.signals[signal]; });
} else {
  const fix = 'run "npm ci" in its folder, which brings it';
  process.stderr.write(`mtlora-train needs Node 24, got ${process.version}: ${fix}\n`);
  process.exitCode = 1;
}
