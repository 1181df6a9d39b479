// What of a run's log TensorBoard shows, under which tags.
import { contactSheet, type SheetRow } from './contact_sheet.ts';
import type { Summary } from './monitor.ts';
import type { Metrics } from './results.ts';
import type { LogEntry } from './run_folder.ts';
import type { EventFile } from './tensorboard.ts';

export function boardEntry(board: EventFile, entry: LogEntry): void {
  if (entry.kind === 'train') board.scalars(entry.step, trainScalars(entry as unknown as Summary));
  if (entry.kind === 'evaluation') board.scalars(entry.step, scores(entry as unknown as Metrics));
}

export function boardPictures(board: EventFile, step: number, rows: readonly SheetRow[]): void {
  if (rows.length > 0) board.picture(step, 'predictions', contactSheet(rows));
}

function trainScalars(summary: Summary): Record<string, number> {
  const { grad_norm: norm, loss_scale: scale } = summary;
  return {
    ...tagged('loss', summary.loss),
    ...tagged('loss_weight', summary.weights ?? {}),
    'optimizer/lr': summary.lr,
    ...norm !== null && { 'optimizer/grad_norm': norm },
    ...scale !== undefined && { 'optimizer/loss_scale': scale },
    'speed/images_per_second': summary.images_per_second,
    'speed/data_wait': summary.data_wait,
  };
}

function scores({ loss, scores: found, delta_m: gain }: Metrics): Record<string, number> {
  return {
    'validation_loss/total': loss.total,
    ...tagged('validation_loss', loss.tasks),
    ...Object.fromEntries(Object.entries(found).flatMap(([task, values]) =>
      Object.entries(tagged(task, values)))),
    ...gain === null ? {} : { delta_m: gain },
  };
}

function tagged(group: string, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${group}/${name}`, value]));
}
