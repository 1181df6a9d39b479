import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { writeSyntheticPascal } from '../../src/data/synth/write.ts';
import { loadConfig, type Config } from '../../src/train/config.ts';
import type { Terminal } from '../../src/train/terminal.ts';
import { fingerprint } from './tiny_model.ts';
import { readSafetensors } from '../../src/data/safetensors.ts';

const CLI = join(import.meta.dirname, '../../bin/mtlora-train.mjs');

/**
 * All of MTLoRA in little: dropout and drop path draw random numbers, so that a resumed run must draw the
 * same.
 */
const YAML = `
DATA: {IMG_SIZE: 32, BATCH_SIZE: 2, NUM_WORKERS: 0}
MODEL:
  NAME: tiny
  DROP_PATH_RATE: 0.3
  SWIN: {EMBED_DIM: 8, DEPTHS: [1, 2, 1, 1], NUM_HEADS: [1, 2, 2, 4], WINDOW_SIZE: 2}
  MTLORA:
    ENABLED: true
    R: [4]
    DROPOUT: [0.2]
    R_PER_TASK: {shared: [4], semseg: [2], sal: [2], normals: [2], human_parts: [2]}
  DECODER_CHANNELS: [4, 4, 4, 4]
TASKS: [semseg, sal, normals]
TRAIN: {EPOCHS: 3, WARMUP_EPOCHS: 1, BASE_LR: 0.5}
SAVE_FREQ: 1
EVAL_FREQ: 100
PRINT_FREQ: 1
`;

export type TinyRun = {
  /** A new folder of the test file's, gone after it. */
  folder(name: string): string;
  readonly yaml: string;
  /** A data set of 8 training and 3 validation pictures, to be read only. */
  readonly data: string;
  /** The command line of a run with its output below `output`. */
  args(output: string, ...more: string[]): string[];
  config(output: string, ...opts: string[]): Config;
  /** A data set of one's own, to be damaged. */
  copyOfData(): string;
};

/** Writes a small data set and a configuration for the file's tests; call at the top of a test file. */
export function useTinyRun(): TinyRun {
  let root = '';
  let count = 0;
  const path = (name: string): string => join(root, name);
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'mtlora-run-'));
    writeFileSync(path('tiny.yaml'), YAML);
    await writeSyntheticPascal({ root: path('data'), train: 8, val: 3, size: [40, 48], seed: 3 });
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return {
    folder(name) {
      const made = path(`${name}-${count++}`);
      mkdirSync(made);
      return made;
    },
    get yaml() { return path('tiny.yaml'); },
    get data() { return path('data'); },
    args: (output, ...more) =>
      ['--cfg', path('tiny.yaml'), '--pascal', path('data'), '--output', output, ...more],
    config: (output, ...opts) => loadConfig(path('tiny.yaml'), opts, { pascal: path('data'), output }).config,
    copyOfData() {
      const copy = path(`data-${count++}`);
      cpSync(path('data'), copy, { recursive: true });
      return copy;
    },
  };
}

/** Collects what is said; `stop()` is a Ctrl-C. */
export function listen(onLine: (line: string, stop: () => void) => void = () => undefined):
  Terminal & { readonly lines: string[] } {
  const controller = new AbortController();
  const lines: string[] = [];
  return {
    lines, interactive: false, args: ['--cfg', 'tiny.yaml'],
    say(line) {
      lines.push(line);
      onLine(line, () => controller.abort());
    },
    status: () => undefined,
    interruption: () => controller.signal,
  };
}

/** Runs the command line to its end. */
export function mtloraTrain(
  args: readonly string[],
): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

export function startMtloraTrain(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

export function readLog(folder: string): ({ kind: string; step: number } & Record<string, unknown>)[] {
  const file = join(folder, 'log.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** Every tensor of a checkpoint by its digest, the optimizer's among them. */
export function digests(file: string): string[] {
  return fingerprint(readSafetensors(file).tensors);
}
