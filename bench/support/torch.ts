import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Gpu } from '../../src/gpu/device.ts';
import { cores, ROOT } from './machine.ts';
import type { Case } from './model.ts';
import { startPeer, type Peer } from './peer.ts';

type Torch = {
  readonly name: string;
  readonly peer: Peer;
  readonly about: Readonly<Record<string, number>>;
};

const SCRIPT = join(ROOT, 'bench/peers/torch_step.py');

const ON_CUDA = [
  ['f32', '--precision', 'f32'], ['TF32', '--precision', 'tf32'], ['bf16', '--precision', 'bf16'],
  ['bf16, compiled', '--precision', 'bf16', '--compile'],
] as const;

/**
 * The same step of Swin-T in PyTorch, in processes that stand by for one: where the engine has a software
 * device on the CPU, with one thread and with all; else on CUDA.
 */
export async function startTorch(each: Case, deviceClass: Gpu['deviceClass']): Promise<Torch[]> {
  const found = findPython();
  if (!found) {
    console.log('PyTorch: no python3 here imports torch '
      + '(Debian: apt-get install python3-torch libopenblas0-pthread)');
    return [];
  }
  const sizes = { img: each.img, batch: each.batch, tasks: each.tasks.join() };
  const args = [SCRIPT, ...Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)])];
  const started: Torch[] = [];
  const start = async (name: string, more: readonly string[], threads: number): Promise<void> => {
    const count = { OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };
    const peer = await startPeer(found.python, [...args, ...more, '--threads', String(threads)], count);
    const savedBytes = Number(peer.about['savedBytes']);
    const whole = `PyTorch ${String(peer.about['torch'])}, ${name}`;
    started.push({ name: whole, peer, about: { threads, savedBytes } });
  };
  if (deviceClass === 'gpu' && found.cuda) {
    for (const [name, ...more] of ON_CUDA) await start(name, ['--device', 'cuda', ...more], cores);
  } else {
    await start('1 thread', [], 1);
    if (cores > 1) await start(`${cores} threads`, [], cores);
  }
  return started;
}

function findPython(): { python: string; cuda: boolean } | null {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      const code = 'import torch; print(torch.cuda.is_available())';
      const says = execFileSync(python, ['-c', code], { stdio: ['ignore', 'pipe', 'ignore'] });
      return { python, cuda: says.toString().trim() === 'True' };
    } catch {
      continue;
    }
  }
  return null;
}
