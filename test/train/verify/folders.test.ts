// The golden data of the PyTorch release that a clone carries, kind by kind.
import { expect, test } from 'vitest';
import { verifyFolder } from '../../../src/train/verify/index.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const COMPILING = 300_000;      // on a software device whose shader cache is empty

const FOLDERS: readonly [folder: string, kind: string, checks: number][] = [
  ['mtlora-linear', 'mtlora-linear', 470], ['blocks', 'blocks', 667], ['decoders', 'decoders', 427],
  ['losses', 'losses', 101], ['metrics', 'metrics', 160], ['optim', 'optim', 629],
  ['swin-checkpoint', 'checkpoints', 461], ['data', 'data', 217],
];

for (const [folder, kind, count] of FOLDERS) {
  test(`verifyFolder() finds the release's numbers in ${folder}`, async () => {
    const [report] = await verifyFolder(gpu(), `test/fixtures/${folder}`);
    expect(report!.kind).toBe(kind);
    expect(report!.checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(report!.checks).toHaveLength(count);
  }, COMPILING);
}
