// What checkpoints are called in a run's folder.
import { basename } from 'node:path';

/** `ckpt_epoch_<e>` after epoch e as a whole; `…_step_<s>` where the run was interrupted after s updates. */
export function checkpointName(epoch: number, interruptedAt: number | null): string {
  return `ckpt_epoch_${epoch}${interruptedAt === null ? '' : `_step_${interruptedAt}`}.safetensors`;
}

export function isInterruption(name: string): boolean {
  return /_step_\d+\.safetensors$/.test(name);
}

/** Names of checkpoints among `files`, the furthest first. */
export function sortCheckpoints(files: readonly string[]): string[] {
  const found = files.flatMap((file) => {
    const [, epoch, step] = /^ckpt_epoch_(\d+)(?:_step_(\d+))?\.safetensors$/.exec(basename(file)) ?? [];
    if (epoch === undefined) return [];
    return [{ file, epoch: Number(epoch), step: step === undefined ? Infinity : Number(step) }];
  });
  found.sort((a, b) => b.epoch - a.epoch || (a.step === b.step ? 0 : b.step - a.step));
  return found.map(({ file }) => file);
}
