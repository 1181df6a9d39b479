import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SheetRow } from '../../src/train/contact_sheet.ts';
import { formatConfig } from '../../src/train/config.ts';
import type { Config } from '../../src/train/config.ts';
import { tinyConfig } from './tiny_model.ts';

export const START = {
  kind: 'start', step: 0, time: '2026-01-02T03:04:05.000Z', steps_per_epoch: 4, args: ['--cfg', 'a<b.yaml'],
  mtlora: '9.8.7', node: 'v24', adapter: 'A card', driver: 'A driver',
};

export const trainLine = (step: number, total: number): object => ({
  kind: 'train', step, epoch: Math.ceil(step / 4) - 1, lr: 1e-3 / step,
  loss: { total, semseg: total / 2, normals: total / 4 },
  grad_norm: 7, images_per_second: 12.5, seconds_per_step: 0.25, data_wait: 0.5,
});

export const evaluationLine = (step: number, mIoU: number, mean: number, gain: number | null): object => ({
  kind: 'evaluation', step, images: 3, loss: { total: 3, tasks: { semseg: 1, normals: 0.5 } },
  scores: { semseg: { mIoU }, normals: { mean, rmse: mean + 2 } }, delta_m: gain,
});

/** Writes what a run of the tiny model leaves behind: configuration and log. */
export function writeRun(folder: string, lines: readonly object[], config: Config = tinyConfig()): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.yaml'), formatConfig(config));
  writeFileSync(join(folder, 'log.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return folder;
}

/** A sample whose maps are flat: semseg class 15, normals to the front. */
export function flatRow(size = 8): SheetRow {
  const flat = (value: number, channels = 1): Float32Array =>
    new Float32Array(channels * size * size).fill(value);
  const maps = new Map([['semseg', flat(15)], ['normals', flat(0.5, 3)]] as const);
  return { size, image: new Uint8Array(3 * size * size), labels: maps, predictions: maps };
}
