import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { cores, ROOT } from './machine.ts';
import type { Case } from './model.ts';
import { startPeer, type Peer } from './peer.ts';

const SCRIPT = join(ROOT, 'bench/peers/torch_step.py');

type Torch = { readonly name: string; readonly peer: Peer; readonly about: Readonly<Record<string, number>> };

/** Eager PyTorch on the CPU, with one thread and with all: processes that stand by for a step. */
export async function startTorch(each: Case): Promise<Torch[]> {
  const python = findPython();
  if (!python) {
    console.log('PyTorch: no python3 here imports torch '
      + '(Debian: apt-get install python3-torch libopenblas0-pthread)');
    return [];
  }
  const found: Torch[] = [];
  for (const threads of cores > 1 ? [1, cores] : [1]) {
    const sizes = { img: each.img, batch: each.batch, tasks: each.tasks.join(), threads };
    const args = [SCRIPT, ...Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)])];
    const count = String(threads);
    const peer = await startPeer(python, args, { OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count });
    const name = `PyTorch ${String(peer.about['torch'])}, ${threads} thread${threads > 1 ? 's' : ''}`;
    const savedBytes = Number(peer.about['savedBytes']);
    found.push({ name, peer, about: { threads, savedBytes } });
  }
  return found;
}

function findPython(): string | null {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
      return python;
    } catch {
      continue;
    }
  }
  return null;
}
