import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../../data/safetensors.ts';
import { toFloat32, type HostTensor } from '../../data/host_tensor.ts';
import { evaluate } from '../../autograd/run.ts';
import type { Shape } from '../../autograd/shape.ts';
import { lasting, release, type Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { forward } from '../../mtlora/model.ts';
import { ParameterStore } from '../../mtlora/store.ts';
import { modelSpec, type Config } from '../config.ts';
import { compileTrainStep } from '../step.ts';
import { parseCase, readJson } from './golden.ts';
import { channelsFirst, everyPixel } from './layout.ts';
import { compareLoss } from './losses.ts';
import { checkFacts, configOf, MODEL_CASE, type ModelCase } from './model_facts.ts';
import { compare, compareElements, compareList, compareNumber, type Check } from './report.ts';

type Tensors = ReadonlyMap<string, HostTensor>;

const BOUNDS = { output: 3e-5, gradient: 1e-3, loss: 1e-5, gradNorm: 1e-4 };

/** Holds a model of `fixtures/model-tiny`: its outputs, losses, gradients and updates to the golden ones. */
export async function verifyModel(gpu: Gpu, folder: string, name: string): Promise<Check[]> {
  const path = (suffix: string): string => join(folder, `${name}.${suffix}`);
  const golden = parseCase(MODEL_CASE, readJson(path('json')), path('json'));
  const config = configOf(golden);
  const io = readSafetensors(path('io.safetensors')).tensors;
  const state = readSafetensors(path('state.safetensors')).tensors;
  const store = new ParameterStore(gpu, modelSpec(config));
  try {
    store.load(state);
    return [
      ...checkFacts(golden, config, store.spec),
      ...await checkForward(gpu, store, golden, io, false),
      ...await checkForward(gpu, store, golden, io, true),
      ...await checkSteps(gpu, store, { golden, config, io, state, path }),
    ];
  } finally {
    store.destroy();
  }
}

async function checkForward(
  gpu: Gpu, store: ParameterStore, golden: ModelCase, io: Tensors, training: boolean,
): Promise<Check[]> {
  const image = hostInput(gpu, io, 'in.image');
  const kept: { name: string; tensor: Tensor; nchw: boolean }[] = [];
  const values = await evaluate(gpu, () => {
    const { stages, heads, logits } = forward(store, image, { training, wholeSharedStream: true });
    if (!training) {
      stages.forEach(({ shared, tasks }, i) => {
        kept.push({ name: `eval.stage.${i}.shared`, tensor: shared, nchw: false });
        if (tasks) kept.push({ name: `eval.stage.${i}`, tensor: tasks, nchw: false });
      });
      for (const [task, tensor] of heads) kept.push({ name: `eval.decoder.${task}`, tensor, nchw: true });
    }
    const mode = training ? 'train' : 'eval';
    for (const [task, tensor] of logits) kept.push({ name: `${mode}.out.${task}`, tensor, nchw: true });
    return kept.map(({ tensor }) => tensor);
  });
  release(gpu, image);
  const checks = kept.flatMap(({ name, tensor: { shape }, nchw }, i) =>
    checkOutput(golden, io, { name, shape, value: nchw ? channelsFirst(values[i]!, shape) : values[i]! }));
  const mode = training ? 'train.' : 'eval.';
  const stored = [...io.keys()].filter((name) => name.startsWith(mode));
  const compared = checks.map(({ name }) => name.slice(golden.name.length + 1));
  return [compareList(`${golden.name} ${mode}outputs`, compared.sort(), stored.sort()), ...checks];
}

type Output = { readonly name: string; readonly shape: Shape; readonly value: Float32Array };

// whole, by every K-th pixel, or the stacked streams of a stage task by task
function checkOutput(golden: ModelCase, io: Tensors, { name, shape, value }: Output): Check[] {
  const whole = io.get(name);
  if (whole) return [compare(`${golden.name} ${name}`, value, toFloat32(whole), BOUNDS.output)];
  const sub = [...io.keys()].find((stored) => stored.startsWith(`${name}#sub`));
  if (sub) {
    const [b, h, w, c] = shape as [number, number, number, number];
    const some = everyPixel(value, [b, c, h, w], Number(sub.slice(`${name}#sub`.length)));
    return [compare(`${golden.name} ${sub}`, some, toFloat32(io.get(sub)!), BOUNDS.output)];
  }
  const each = value.length / golden.tasks.length;
  return golden.tasks.filter((task) => io.has(`${name}.${task}`)).map((task) => {
    const t = golden.tasks.indexOf(task);
    const want = toFloat32(io.get(`${name}.${task}`)!);
    const own = value.subarray(t * each, (t + 1) * each);
    return compare(`${golden.name} ${name}.${task}`, own, want, BOUNDS.output);
  });
}

type Steps = {
  golden: ModelCase; config: Config; io: Tensors; state: Tensors; path: (suffix: string) => string;
};

async function checkSteps(
  gpu: Gpu, store: ParameterStore, { golden, config, io, state, path }: Steps,
): Promise<Check[]> {
  store.load(state);                              // the forward in train mode moved the running statistics
  const step = await compileTrainStep(gpu, store, config, golden.batch);
  const batch = {
    image: toFloat32(io.get('in.image')!),
    labels: Object.fromEntries(golden.tasks.map((task) => [task, toFloat32(io.get(`in.label.${task}`)!)])),
  };
  const checks: Check[] = [];
  const count = existsSync(path('step3.safetensors')) ? 3 : 1;
  for (let k = 0; k < count; k++) {
    step.run([batch], { step: k, seed: 0, lr: golden.lrUsed[k]! });
    const report = await step.report();
    const want = golden.loss[k]!;
    for (const [task, loss] of [...report.tasks, ['total', report.total] as const]) {
      const label = `${golden.name} step ${k} loss ${task}`;
      checks.push(compareLoss(label, loss, want[task], BOUNDS.loss * (k + 1) ** 2));
    }
    checks.push(compareNumber(`${golden.name} step ${k} gradient norm`, report.gradNorm, golden.gradNorm[k]!,
      BOUNDS.gradNorm * 100 ** Math.min(k, 1)));
    if (k === 0) {
      const gradients = readSafetensors(path('grads.safetensors')).tensors;
      checks.push(...checkGradients(golden, await store.readGradients(), gradients));
    }
    if (existsSync(path(`step${k + 1}.safetensors`))) {
      const after = readSafetensors(path(`step${k + 1}.safetensors`)).tensors;
      const mine = await store.read();
      checks.push(...checkParameters(golden, mine, after, k + 1));
      if (k === 0 && flipped(golden, mine, after)) store.load(after);
    }
  }
  step.destroy();
  return checks;
}

function checkGradients(golden: ModelCase, got: Tensors, want: Tensors): Check[] {
  const zero = new Set(golden.zeroGradByTheory);
  const largest = Math.max(...[...want.values()].map((tensor) => lengthOf(toFloat32(tensor))));
  const names = [...want.keys()];
  return [
    compareList(`${golden.name} gradients`, [...got.keys()].sort(), names.toSorted()),
    ...names.filter((name) => got.has(name)).map((name) => {
      const [mine, theirs] = [toFloat32(got.get(name)!), toFloat32(want.get(name)!)];
      const label = `${golden.name} grad.${name}`;
      if (!zero.has(name)) return compare(label, mine, theirs, BOUNDS.gradient);
      const bound = 1e-5 * largest;
      return compareElements(label, mine, new Float32Array(mine.length), { bound, share: 1, limit: bound });
    }),
  ];
}

function lengthOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

// AdamW's first steps are sign-like: an element whose gradient is noise may differ by twice the rates so far
function checkParameters(golden: ModelCase, got: Tensors, want: Tensors, steps: number): Check[] {
  const zero = new Set(golden.zeroGradByTheory);
  const moved = golden.lrUsed.slice(0, steps).reduce((a, b) => a + b, 0);
  const compared = [...want].filter(([name]) => !zero.has(name) && !name.endsWith('num_batches_tracked'));
  return compared.map(([name, tensor]) => {
    const label = `${golden.name} step${steps}.${name}`;
    const mine = got.get(name);
    if (!mine) return compareList(label, [], [name]);
    const [a, b] = [toFloat32(mine), toFloat32(tensor)];
    if (/running_(mean|var)$/.test(name)) return compare(label, a, b, steps === 1 ? BOUNDS.output : 1e-3);
    return compareElements(label, a, b, { bound: 0.02 * moved, share: 0.99, limit: 2.1 * moved });
  });
}

// An element whose gradient is noise may have gone the other way, which from here on would set the run apart
// by more than rounding does: then the next steps start from the golden parameters, with the moments of this
// run.
function flipped(golden: ModelCase, got: Tensors, want: Tensors): boolean {
  const zero = new Set(golden.zeroGradByTheory);
  return [...want].some(([name, tensor]) => {
    const mine = got.get(name);
    if (!mine || zero.has(name) || !golden.parameters.includes(name)) return false;
    const [a, b] = [toFloat32(mine), toFloat32(tensor)];
    return a.some((value, i) => Math.abs(value - b[i]!) > golden.lrUsed[0]!);
  });
}

function hostInput(gpu: Gpu, tensors: Tensors, name: string): Tensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`verify: the file has no tensor "${name}"`);
  return lasting(gpu, name, tensor.shape, toFloat32(tensor));
}
