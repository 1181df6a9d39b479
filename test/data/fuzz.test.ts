import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { readPth } from '../../src/data/pth.ts';
import { readSafetensors, writeSafetensors } from '../../src/data/safetensors.ts';
import { seeded } from '../support/seeded.ts';

// A damaged file ends in its true value or in one sentence; never in a crash, a hang or, where the format has
// a checksum, a wrong value.
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
const READER = 'test/fixtures/swin-checkpoint/reader';
const SENTENCE = /^Cannot read "[^"]+": [^\n]+$/;

/** One to four damages: a bit flipped, a byte replaced, bytes removed, doubled, or set to 0 or 255. */
function mutate(original: Uint8Array, pick: (limit: number) => number): Uint8Array {
  let bytes = [...original];
  for (let count = 1 + pick(4); count > 0; count--) {
    const at = pick(bytes.length);
    const end = Math.min(at + 1 + pick(8), bytes.length);
    const damage = pick(6);
    if (damage === 0) bytes[at]! ^= 1 << pick(8);
    else if (damage === 1) bytes[at] = pick(256);
    else if (damage === 2) bytes.splice(at, end - at);
    else if (damage === 3) bytes.splice(at, 0, ...bytes.slice(at, end));
    else bytes.fill(damage === 4 ? 0 : 255, at, end);
    if (bytes.length === 0) bytes = [0];
  }
  return Uint8Array.from(bytes);
}

type Outcome = { value: unknown } | { message: string };

async function outcome(read: () => unknown): Promise<Outcome> {
  try {
    return { value: await read() };
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return { message: (error as Error).message };
  }
}

type Format = { name: string; original: Uint8Array; checked: boolean; read: (path: string) => unknown };

function safetensorsFile(): Uint8Array {
  const path = join(folder, 'original.safetensors');
  const { tensors } = readSafetensors(`${READER}_expected.safetensors`);
  writeSafetensors(path, tensors, { epoch: '3' });
  return readFileSync(path);
}

const FORMATS: Format[] = [
  { name: 'zip', original: readFileSync(`${READER}_zip.pth`), checked: true, read: readPth },
  { name: 'legacy', original: readFileSync(`${READER}_legacy.pth`), checked: false, read: readPth },
  { name: 'safetensors', original: safetensorsFile(), checked: true, read: readSafetensors },
];

for (const { name, original, checked, read } of FORMATS) {
  test(`reading a damaged ${name} file gives its value or a sentence`, { timeout: 60_000 }, async () => {
    const path = join(folder, name);
    writeFileSync(path, original);
    const truth = await read(path);
    const pick = seeded(7);
    let refused = 0;
    for (let round = 0; round < 800; round++) {
      writeFileSync(path, mutate(original, pick));
      const result = await outcome(() => read(path));
      if ('message' in result) {
        refused++;
        expect(result.message, `round ${round}`).toMatch(SENTENCE);
      } else if (checked) expect(result.value, `round ${round}`).toEqual(truth);
    }
    expect(refused).toBeGreaterThan(300);
  });

  test(`reading a ${name} file cut at any byte gives a sentence`, { timeout: 60_000 }, async () => {
    const path = join(folder, `cut-${name}`);
    for (let length = 0; length < original.length; length += 5) {
      writeFileSync(path, original.subarray(0, length));
      const result = await outcome(() => read(path));
      expect('message' in result && result.message, `${length} bytes`).toMatch(SENTENCE);
    }
  });
}
