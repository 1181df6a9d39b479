// `npm test`, `npm run demo`, `npm run bench`: does what set-up is missing, then runs with an adapter.
// Plain JavaScript, since it must start under Node 20 with nothing installed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { installPackages, nodePath } from './install.mjs';
import { chooseDriver } from './setup.mjs';
import { SetupError } from './setup_error.mjs';

const ROOT = join(import.meta.dirname, '..');
const COMMANDS = {
  setup: () => [],
  test: (args) => [
    ['node_modules/typescript/bin/tsc', '-p', '.'],
    ['node_modules/vitest/vitest.mjs', 'run', ...args],
  ],
  demo: (args) => [['bin/mtlora-train.mjs', 'demo', ...args]],
  bench: ([name = 'ops', ...args]) => [[benchFile(name), ...args]],
};

const say = (text) => process.stderr.write(`${text}\n`);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}

async function main([name, ...args]) {
  const command = COMMANDS[name];
  if (!command) {
    const known = Object.keys(COMMANDS).join(', ');
    throw new SetupError(`run.mjs: the command must be one of ${known}, got "${name ?? ''}"`);
  }
  installPackages(ROOT, say);
  const node = nodePath(ROOT);
  const { adapter, variables } = chooseDriver(node, say);
  say(`WebGPU adapter: ${adapter.name}${adapter.software ? ' (in software, on the CPU)' : ''}`);

  const path = `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}`;
  for (const step of command(args)) {
    const code = await run(node, step, { ...process.env, ...variables, PATH: path });
    if (code !== 0) return code;
  }
  return 0;
}

function benchFile(name) {
  const file = join('bench', `${name}.ts`);
  if (existsSync(join(ROOT, file))) return file;
  throw new SetupError(`bench: must name a file of bench/, such as ops, step or lora-matmul, got "${name}"`);
}

/** The child's exit code. Ctrl-C reaches the child by itself, which may save before it ends: this waits. */
function run(node, args, env) {
  const child = spawn(node, args, { cwd: ROOT, env, stdio: 'inherit' });
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}
