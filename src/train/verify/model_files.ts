// Checkpoints of the release: what it saved of a model alone, and of a run with its optimizer.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isHostTensor, type HostTensor } from '../../data/host_tensor.ts';
import { readPth } from '../../data/pth.ts';
import { loadStateDict } from '../../data/state_dict.ts';
import { parseCase, readGolden, readJson } from './golden.ts';
import { checkValues, plainValue } from './pth_files.ts';
import { compareExact, compareList, failure, type Check } from './report.ts';

const RUN = z.strictObject({
  topLevelKeys: z.array(z.string()),
  modelKeys: z.array(z.string()),
  optimizerStateIds: z.array(z.int()),
  param_groups: z.unknown(),
  lr_scheduler: z.unknown(),
  epoch: z.unknown().optional(), max_accuracy: z.unknown().optional(), scaler: z.unknown().optional(),
  /** Some fields of the pickled configuration, at whatever depth, or all of it. */
  configSample: z.record(z.string(), z.unknown()).default({}),
  config: z.unknown().optional(),
});

/** Holds the reading of `<stem>.pth` to `<stem>.json`, or to `<stem>.state.safetensors` for a model alone. */
export async function verifyPth(folder: string, stem: string): Promise<Check[]> {
  const state = await loadStateDict(join(folder, `${stem}.pth`));
  if (existsSync(join(folder, `${stem}.state.safetensors`))) {
    return checkTensors(`${stem}.pth`, state, folder, `${stem}.state`);
  }
  const root = await readPth(join(folder, `${stem}.pth`)) as Map<string, unknown>;
  const path = join(folder, `${stem}.json`);
  const want = parseCase(RUN, readJson(path), path);
  const optimizer = root.get('optimizer') as Map<string, unknown>;
  const states = optimizer.get('state') as Map<number, Map<string, unknown>>;
  const { topLevelKeys, modelKeys, optimizerStateIds, param_groups, configSample, config, ...plain } = want;
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
  const label = `${stem}.pth`;
  return [
    compareList(`${label} keys`, [...root.keys()], topLevelKeys),
    compareList(`${label} model keys`, [...state.keys()], modelKeys),
    compareList(`${label} optimizer state ids`, [...states.keys()], optimizerStateIds),
    ...checkValues(label, optimizer, { param_groups }),
    ...checkValues(label, root, config === undefined ? given : { ...given, config }),
    ...Object.entries(configSample).map(([key, value]) =>
      checkField(label, plainValue(root.get('config')), key, value)),
    ...checkTensors(label, flattened(state, states), folder, stem),
    ...checkSteps(label, state, folder, stem),
  ];
}

/** `model.<name>` and `optimizer.state.<id>.<field>`. */
function flattened(
  state: ReadonlyMap<string, HostTensor>, states: ReadonlyMap<number, ReadonlyMap<string, unknown>>,
): Map<string, HostTensor> {
  const moments = [...states].flatMap(([id, fields]) => [...fields].flatMap(([field, tensor]) =>
    isHostTensor(tensor) ? [[`optimizer.state.${id}.${field}`, tensor] as const] : []));
  return new Map([...[...state].map(([name, tensor]) => [`model.${name}`, tensor] as const), ...moments]);
}

function checkTensors(
  label: string, got: ReadonlyMap<string, HostTensor>, folder: string, file: string,
): Check[] {
  const golden = readGolden(folder, file);
  return golden.names.map((name) => {
    const tensor = got.get(name);
    if (!tensor) return failure(`${label} ${name}`, new Error('the file has no such tensor'));
    return compareExact(`${label} ${name}`, tensor, golden.tensor(name));
  });
}

// the weights are those after the last step that is recorded
function checkSteps(
  label: string, state: ReadonlyMap<string, HostTensor>, folder: string, stem: string,
): Check[] {
  const file = `${stem.split('.ckpt')[0]}.step3`;
  if (!existsSync(join(folder, `${file}.safetensors`))) return [];
  return checkTensors(`${label} step3`, state, folder, file);
}

function checkField(label: string, config: unknown, key: string, value: unknown): Check {
  const found = valuesOf(config, key);
  const wanted = JSON.stringify(value);
  const same = found.some((each) => JSON.stringify(each) === wanted);
  const shown = found.map((each) => JSON.stringify(each)).join(' and ') || 'nothing';
  return compareList(`${label} config ${key}`, [same ? wanted : shown], [wanted]);
}

function valuesOf(config: unknown, key: string): unknown[] {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return [];
  return Object.entries(config).flatMap(([name, value]) =>
    [...name === key ? [value] : [], ...valuesOf(value, key)]);
}
