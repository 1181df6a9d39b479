import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { toFloat32, type HostTensor } from '../../data/host_tensor.ts';
import { loadStateDict } from '../../data/state_dict.ts';
import { parameterTable, type Parameter } from '../../mtlora/names.ts';
import { mapCheckpoint, type Mapping } from '../../swin/checkpoint.ts';
import { positionIndex, shiftMask } from '../../swin/window_buffers.ts';
import { modelSpec } from '../config.ts';
import { CONFIG_SCHEMA } from '../config_schema.ts';
import { eachCase, readGolden, type Golden } from './golden.ts';
import { verifyReader } from './pth_files.ts';
import { compareElements, compareExact, compareList, failure, type Check } from './report.ts';

/** What the README of these files allows of resized tables, absolute; the rest is exact. */
const RESIZED = 2e-5;
const BACKBONE = 'backbone.';

const CHECKPOINT_CASE = z.strictObject({
  name: z.string(),
  ckpt: z.strictObject({
    patch: z.int(), embed: z.int(), depths: z.array(z.int()), heads: z.array(z.int()),
    img: z.int(), window: z.int(),
  }),
  img: z.int(),
  window: z.int(),
  mtlora: z.record(z.string(), z.unknown()),
  tasks: z.array(z.string()),
  /** Tables of another window are resized, as with MODEL.UPDATE_RELATIVE_POSITION. */
  update: z.boolean().default(false),
  expectError: z.boolean().default(false),
  fileKeys: z.array(z.string()),
  missingKeys: z.array(z.string()).default([]),
  unexpectedKeys: z.array(z.string()).default([]),
  backboneKeys: z.array(z.string()).optional(),
  origin: z.record(z.string(), z.unknown()).optional(),
  error: z.string().optional(),
});
type CheckpointCase = z.infer<typeof CHECKPOINT_CASE>;
type Loaded = Mapping<HostTensor>;

/** Holds the mapping of stock checkpoints, and the reader of `.pth` files, to the cases of a folder. */
export async function verifyCheckpoints(folder: string): Promise<Check[]> {
  const cases = existsSync(join(folder, 'cases.json'))
    ? await eachCase(folder, CHECKPOINT_CASE, (given) => verifyCase(given, folder)) : [];
  return existsSync(join(folder, 'reader.json')) ? [...cases, ...await verifyReader(folder)] : cases;
}

export function isCheckpointCase(value: object): boolean {
  return 'ckpt' in value && 'fileKeys' in value;
}

async function verifyCase(given: CheckpointCase, folder: string): Promise<Check[]> {
  const { name, update } = given;
  const table = parameterTable(modelSpec(configOf(given))).filter((entry) => entry.name.startsWith(BACKBONE));
  const source = await loadStateDict(join(folder, `${name}.pth`));
  const keys = compareList(`${name} file keys`, [...source.keys()], given.fileKeys);
  const options = { backbone: true, strictTables: !update };
  if (given.expectError) return [keys, refused(given, () => mapCheckpoint(source, table, options))];
  const mapping = mapCheckpoint(source, table, options);
  const missing = mapping.missing.map((each) => each.slice(BACKBONE.length));
  return [
    keys,
    ...given.backboneKeys ? [compareList(`${name} backbone keys`, table.map(bare), given.backboneKeys)] : [],
    compareList(`${name} missing keys`, unless(missing, update), unless(given.missingKeys, update)),
    compareList(`${name} unexpected keys`, mapping.unexpected.toSorted(), given.unexpectedKeys.toSorted()),
    ...checkLoaded(name, table, mapping, readGolden(folder, `${name}.loaded`)),
  ];
}

function configOf(
  { ckpt, img, window, mtlora, tasks, update }: CheckpointCase,
): ReturnType<typeof CONFIG_SCHEMA.parse> {
  return CONFIG_SCHEMA.parse({
    TASKS: tasks, DATA: { IMG_SIZE: img },
    MODEL: {
      SWIN: {
        PATCH_SIZE: ckpt.patch, EMBED_DIM: ckpt.embed, DEPTHS: ckpt.depths, NUM_HEADS: ckpt.heads,
        WINDOW_SIZE: window,
      },
      MTLORA: { ENABLED: true, ...mtlora }, UPDATE_RELATIVE_POSITION: update,
    },
  });
}

const bare = ({ name }: Parameter): string => name.slice(BACKBONE.length);

// with tables resized the release drops every position index of the file; here one that fits is taken, and
// equal
function unless(names: readonly string[], update: boolean): string[] {
  return names.filter((name) => !update || !name.endsWith('relative_position_index')).sort();
}

// with one of the tensors that the release names
function refused({ name, error: said = '' }: CheckpointCase, load: () => unknown): Check {
  const named = [...said.matchAll(/size mismatch for ([^:]+):/g)].map(([, tensor]) => tensor!);
  try {
    load();
    return failure(`${name} is refused`, new Error('it was loaded, which the release refuses'));
  } catch (error) {
    const { message } = error as Error;
    const told = named.length === 0 || named.some((tensor) => message.includes(tensor));
    return { ...compareList(`${name} is refused`, [told], [true]), rule: message };
  }
}

function checkLoaded(
  name: string, table: readonly Parameter[], { values, resized }: Loaded, want: Golden,
): Check[] {
  const tables = new Set(resized.map((each) => each.name));
  const entries = new Map(table.map((entry) => [bare(entry), entry]));
  return want.names.map((each) => {
    const label = `${name} ${each}`;
    const entry = entries.get(each);
    const got = entry && (values.get(entry.name) ?? constant(entry));
    if (!got) return failure(label, new Error('the model has no such tensor, or nothing filled it'));
    if (!tables.has(entry.name)) return compareExact(label, got as HostTensor, want.tensor(each));
    const limits = { bound: RESIZED, share: 1, limit: RESIZED };
    return compareElements(label, toFloat32(got as HostTensor), want.values(each), limits);
  });
}

function constant({ init, shape }: Parameter): HostTensor | undefined {
  if (init.kind === 'positionIndex') return { dtype: 'I64', shape, data: positionIndex(init.window) };
  if (init.kind !== 'shiftMask') return undefined;
  return { dtype: 'F32', shape, data: shiftMask(init.side, init.window, init.shift) };
}
