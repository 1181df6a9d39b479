import { expect, test } from 'vitest';
import type { Decoding } from '../../src/data/batch.ts';
import { InlineDecoders, WorkerDecoders } from '../../src/data/decoders.ts';
import type { Decoders } from '../../src/data/decoders.ts';
import { FileError } from '../../src/data/file.ts';

const ROOT = 'test/fixtures/data/pascal-mini';
const JOB = { slot: 0, position: 0, index: 0, epoch: 0 };

/** What a loader would hand to its decoders. */
function decoding(id: string, slots: SharedArrayBuffer[]): Decoding {
  const dataset = { kind: 'pascal', root: ROOT, split: 'train', tasks: ['sal'] } as const;
  const chain = { size: 8, train: false, seed: 0, overshoot: 'clamp', warpFill: 'zero' } as const;
  return { ...chain, dataset, ids: [id], batchSize: 1, slots };
}

const KINDS: [name: string, open: (from: Decoding) => Decoders][] = [
  ['InlineDecoders', (from) => new InlineDecoders(from)],
  ['WorkerDecoders', (from) => new WorkerDecoders(1, from)],
];

test.each(KINDS)('run() of %s fills the slot and gives the size of the file', async (_, open) => {
  const slot = new SharedArrayBuffer(4 * 4 * 64);
  const decoders = open(decoding('2008_000001', [slot]));
  expect(await decoders.run(JOB)).toEqual([48, 64]);
  const saliency = new Uint8Array(slot, 3 * 64);
  expect(new Set(saliency)).toEqual(new Set([0, 1]));
  await decoders.close();
});

test.each(KINDS)('run() of %s tells a bad file from a defect', async (_, open) => {
  const missing = open(decoding('none', [new SharedArrayBuffer(4096)]));
  const none = new FileError(`${ROOT}/JPEGImages/none.jpg`, 'no such file');
  await expect(missing.run(JOB)).rejects.toThrow(none);
  // No loader makes a slot that is too small for its batch.
  const defect = open(decoding('2008_000001', [new SharedArrayBuffer(8)]));
  const error: unknown = await defect.run(JOB).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(FileError);
  await Promise.all([missing.close(), defect.close()]);
});

test('run() of WorkerDecoders rejects once they are closed', async () => {
  const decoders = new WorkerDecoders(1, decoding('2008_000001', [new SharedArrayBuffer(4096)]));
  const running = expect(decoders.run(JOB)).rejects.toThrow('The data loader is closed');
  await decoders.close();
  await running;
  await expect(decoders.run(JOB)).rejects.toThrow('The data loader is closed');
});

test('close() of WorkerDecoders lets a worker end what it has begun', async () => {
  const slot = new SharedArrayBuffer(4 * 4 * 64);
  const decoders = new WorkerDecoders(1, decoding('2008_000001', [slot]));
  const running = expect(decoders.run(JOB)).rejects.toThrow('The data loader is closed');
  await decoders.close();
  await running;
  expect(new Set(new Uint8Array(slot, 3 * 64))).toEqual(new Set([0, 1]));
});
