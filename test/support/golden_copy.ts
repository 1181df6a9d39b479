import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { readSafetensors, writeSafetensors } from '../../src/data/safetensors.ts';
import { folderWith } from './folder.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

type Case = Record<string, unknown> & { name: string };

/** A copy of one case of `test/fixtures/<folder>`, to be damaged; `change` alters what it says of itself. */
export function copyCase(
  folder: string, name: string, change: (given: Case) => Case = (given) => given,
): string {
  const root = folderWith();
  const cases = JSON.parse(readFileSync(join(FIXTURES, folder, 'cases.json'), 'utf8')) as Case[];
  const given = cases.find((each) => each.name === name)!;
  cpSync(join(FIXTURES, folder, `${name}.safetensors`), join(root, `${name}.safetensors`));
  writeFileSync(join(root, 'cases.json'), JSON.stringify([change(given)]));
  return root;
}

/** Rewrites one tensor of a file of golden data. */
export function changeTensor(
  file: string, name: string, change: (tensor: HostTensor) => HostTensor | null,
): void {
  const { tensors } = readSafetensors(file);
  const changed = change(tensors.get(name)!);
  if (changed) tensors.set(name, changed);
  else tensors.delete(name);
  writeSafetensors(file, tensors);
}

/** The tensor with its first element moved by a thousandth of the largest. */
export function nudged(tensor: HostTensor): HostTensor {
  const data = Float32Array.from(tensor.data as Float32Array);
  const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  data[0]! += largest / 1000;
  return { ...tensor, dtype: 'F32', data };
}
