import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { Machine } from './machine.ts';
import type { Timing } from './measure.ts';

/** A measured line: which bench, which case of it, which variant. The three together name it in a diff. */
export type Result = {
  readonly bench: string;
  readonly name: string;
  readonly variant: string;
  readonly minMs: number;
  readonly medianMs: number;
  readonly spread: number;
  readonly cpuMs: number | null;
  readonly flops?: number;
  readonly bytes?: number;
  /** Whatever else the bench found out. */
  readonly more?: Readonly<Record<string, number | string | null>>;
};

export type Report = {
  readonly machine: Machine;
  /** What shares are of. */
  readonly peaks: Readonly<Record<string, number | string>>;
  readonly results: Result[];
};

export function resultOf(
  bench: string, name: string, variant: string, { wall, cpu }: Timing, more: Partial<Result> = {},
): Result {
  return {
    bench, name, variant, minMs: wall.min, medianMs: wall.median, spread: wall.spread,
    cpuMs: cpu?.min ?? null, ...more,
  };
}

export function writeReport(file: string, report: Report): void {
  report.machine.load.push(loadavg()[0]!);
  writeJson(file, report);
}

/** Numbers with the digits that were measured. */
export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, (_, each: unknown) => rounded(each), 1)}\n`);
}

export function readReport(file: string): Report {
  return JSON.parse(readFileSync(file, 'utf8')) as Report;
}

const rounded = (value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;

/** Columns aligned, numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, c) => Math.max(...all.map((row) => [...row[c] ?? ''].length)));
  const numeric = header.map((_, c) => rows.every((row) => /^([-–+\d.]|$)/.test(row[c] ?? '')));
  const line = (row: readonly string[]): string => row.map((cell, c) =>
    numeric[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)).join('  ').trimEnd();
  return [line(header), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Three digits or so. */
export function short(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

export const percent = (share: number): string => `${short(100 * share)} %`;
export const mib = (bytes: number): string => `${short(bytes / 2 ** 20)} MiB`;
