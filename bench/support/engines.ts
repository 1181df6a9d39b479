import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './machine.ts';
import { startPeer, type Peer } from './peer.ts';

export type Engine = { readonly name: string; readonly peer: Peer };

const FOLDER = join(ROOT, 'bench/peers');

/** The other WebGPU engines, installed on first use. What cannot start is told and left out. */
export async function startEngines(): Promise<Engine[]> {
  if (!existsSync(join(FOLDER, 'node_modules'))) {
    console.log('installing the peers into bench/peers/node_modules (about 300 MB, once)');
    const stdio = ['ignore', 'ignore', 'inherit'] as const;
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER, stdio: [...stdio] });
  }
  const engines: Engine[] = [];
  for (const script of ['jax.mjs', 'tfjs.mjs']) {
    try {
      const peer = await startPeer(process.execPath, [join(FOLDER, script)]);
      engines.push({ name: String(peer.about['name']), peer });
    } catch (error) {
      console.log(`left out: ${(error as Error).message}`);
    }
  }
  return engines;
}
