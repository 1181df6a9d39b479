import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isHostTensor, toFloat32, type HostTensor } from '../../data/host_tensor.ts';
import { Inert } from '../../data/pickle_machine.ts';
import { readPth } from '../../data/pth.ts';
import { readGolden, readJson, type Golden } from './golden.ts';
import { compareExact, compareList, failure, type Check } from './report.ts';

const DTYPES: Readonly<Record<string, string>> = {
  float32: 'F32', float16: 'F16', bfloat16: 'BF16', float64: 'F64', int64: 'I64', int32: 'I32', int16: 'I16',
  int8: 'I8', uint8: 'U8', bool: 'BOOL',
};

type Described = {
  readonly dtypes: Readonly<Record<string, string>>;
  readonly shapes: Readonly<Record<string, number[]>>;
  /** Of the tensors in the file's storages, which only its reader sees. */
  readonly strides?: unknown;
};

/** Holds the reader to what `reader.json` and `reader_expected.safetensors` say of every `reader_*.pth`. */
export async function verifyReader(folder: string): Promise<Check[]> {
  const { dtypes, shapes, strides: _, ...plain } = readJson(join(folder, 'reader.json')) as Described;
  const expected = readGolden(folder, 'reader_expected');
  const checks: Check[] = [];
  for (const file of readdirSync(folder).filter((name) => /^reader_.*\.pth$/.test(name)).sort()) {
    try {
      const root = new Map(await readPth(join(folder, file)) as Map<string, unknown>);
      const model = root.get('model') as Map<string, HostTensor>;
      root.delete('model');
      const tensors = checkTensors(file, model, { dtypes, shapes }, expected);
      checks.push(...checkValues(file, root, plain), ...tensors);
    } catch (error) {
      checks.push(failure(`${file} is read`, error));
    }
  }
  return checks;
}

function checkTensors(
  file: string, model: ReadonlyMap<string, HostTensor>, { dtypes, shapes }: Described, expected: Golden,
): Check[] {
  return [
    compareList(`${file} names`, [...model.keys()], Object.keys(dtypes)),
    ...[...model].flatMap(([name, tensor]) => {
      const [label, want] = [`${file} ${name}`, expected.tensor(name)];
      const half = tensor.dtype === 'F16' || tensor.dtype === 'BF16';
      const got: HostTensor = half ? { ...tensor, dtype: 'F32', data: toFloat32(tensor) } : tensor;
      return [
        compareList(`${label} dtype and shape`, [tensor.dtype, ...tensor.shape],
          [DTYPES[dtypes[name]!], ...shapes[name]!]),
        compareExact(label, got, want),
      ];
    }),
  ];
}

/** Holds each plain value of a file to JSON of the same key. */
export function checkValues(label: string, got: ReadonlyMap<string, unknown>, want: object): Check[] {
  return Object.entries(want).map(([key, value]) =>
    compareList(`${label} ${key}`, [canonical(plainValue(got.get(key)))], [canonical(value)]));
}

/**
 * What a pickle held as JSON writes it: dicts as objects, tuples and sets as lists, large integers as text.
 */
export function plainValue(value: unknown): unknown {
  if (value instanceof Inert) return plainValue(value.items);
  if (isHostTensor(value)) return [...value.data].map(Number);
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (value instanceof Set) return [...value].map(plainValue);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value as Map<unknown, unknown>].map(([key, each]) =>
    [String(key), plainValue(each)]));
}

// keys in an order of their own, and what JSON has no number for as the files write it
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'number' && !Number.isFinite(each)) return String(each);
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1));
  }) ?? 'nothing';
}
