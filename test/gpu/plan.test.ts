import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { empty, lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import { dropDeadDispatches } from '../../src/gpu/dead.ts';
import { describePlan, planProgram, type Plan } from '../../src/gpu/plan.ts';
import { keep, scope, trace, type Program } from '../../src/gpu/program.ts';
import type { Bound, Storage } from '../../src/gpu/storage.ts';
import { forward } from '../../src/mtlora/model.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { CONFIG_SCHEMA } from '../../src/train/config_schema.ts';
import { labelTensors, multiTaskLoss } from '../../src/train/loss.ts';
import { optimizerStep } from '../../src/train/optimizer.ts';
import { savedByAutograd } from '../../bench/support/activations.ts';
import { kernelForm } from '../../src/ops/kernel_form.ts';
import { launchAdd, launchFill } from '../support/launches.ts';
import { releasedSpec } from '../support/released.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

function planOf(body: () => void): { plan: Plan; program: Program } {
  const { program } = trace(gpu(), 'planned', body);
  return { plan: planProgram(program), program };
}

const slotOf = (plan: Plan, { storage }: Bound): number =>
  plan.slots.findIndex(({ tenants }) => tenants.some((tenant) => tenant.storage === storage));

test('planProgram() gives a chain of equal tensors two buffers in turn', () => {
  const { plan } = planOf(() => {
    let x = launchFill(1024);
    for (let i = 0; i < 9; i++) x = launchAdd(x, x);
    keep(x);
  });
  expect(plan).toMatchObject({ tensors: 10, dispatches: 10, totalBytes: 40960, peakBytes: 8192 });
  expect(plan.slots.map(({ tenants }) => tenants.length)).toEqual([5, 5]);
});

test('planProgram() puts a tensor into the smallest buffer that is free and holds it', () => {
  const made: Tensor[] = [];
  const { plan } = planOf(() => {
    const [large, middle, small] = [launchFill(1024), launchFill(512), launchFill(256)];
    launchAdd(large, middle, empty([16]));
    const inMiddle = launchFill(300);                        // large and middle are free, small is not
    made.push(large, middle, small, inMiddle);
    keep(small, inMiddle);
  });
  const [large, middle, small, inMiddle] = made.map((tensor) => slotOf(plan, tensor));
  expect(new Set([large, middle, small]).size).toBe(3);
  expect(inMiddle).toBe(middle);
});

test('planProgram() gives the place of what is kept to no later tensor', () => {
  let kept: Tensor;
  const { plan } = planOf(() => {
    kept = launchFill(64);
    keep(kept, launchFill(64), launchFill(64));
  });
  expect(plan.slots).toHaveLength(3);
  expect(plan.kept.has(kept!.storage)).toBe(true);
});

test('planProgram() plans nothing for what outlives the program', () => {
  const x = lasting(gpu(), 'x', [64]);
  const { plan } = planOf(() => keep(launchAdd(x, x)));
  expect(plan).toMatchObject({ tensors: 1, peakBytes: 256, totalBytes: 256, trafficBytes: 3 * 256 });
  release(gpu(), x);
});

test('planProgram() names the launch that reads a tensor which nothing has written', () =>
  expect(() => planOf(() => scope('block', () => launchAdd(empty([8], 'never written'), launchFill(8)))))
    .toThrow('block elementwise/add: "a" (never written [8]) is read before it is written'));

test('planProgram() names a kept tensor that nothing writes', () =>
  expect(() => planOf(() => keep(empty([8], 'never written'))))
    .toThrow('never written [8]: is kept, but nothing writes it'));

// each launch adds two of the tensors so far, `back` steps ago, to a new one of some size
const PROGRAMS = fc.array(fc.record({
  size: fc.integer({ min: 1, max: 300 }), a: fc.nat(20), b: fc.nat(20), kept: fc.boolean(),
}), { minLength: 1, maxLength: 60 });

test('planProgram() puts small tensors side by side where a large one was', () => {
  const made: Tensor[] = [];
  const { plan } = planOf(() => {
    keep(launchFill(1));
    launchFill(1024);                                        // nobody reads it: free from here on
    made.push(launchFill(65), launchFill(64), launchFill(61));
    keep(...made);
  });
  const next = Math.ceil(260 / gpu().limits.minStorageBufferOffsetAlignment)
    * gpu().limits.minStorageBufferOffsetAlignment;
  expect(plan.slots.map(({ bytes, tenants }) => [bytes, tenants.map(({ at }) => at)])).toEqual([
    [4096, [0, 0, next, next + 256]], [16, [0]],
  ]);
  expect(made.map((tensor) => slotOf(plan, tensor))).toEqual([0, 0, 0]);
});

test('planProgram() never lays over each other what lives at once, nor inputs beside an output', () => {
  fc.assert(fc.property(PROGRAMS, (launches) => {
    const { plan, program } = planOf(() => {
      const made = [launchFill(7), launchFill(11)];
      for (const { size, a, b, kept } of launches) {
        const y = launchAdd(made.at(-1 - a % made.length)!, made.at(-1 - b % made.length)!, empty([size]));
        made.push(y);
        if (kept) keep(y);
      }
    });
    for (const { bytes, tenants } of plan.slots) {
      expect(bytes).toBe(Math.max(...tenants.map(({ storage }) => storage.bytes)));
      tenants.forEach((a, i) => {
        expect(a.at % gpu().limits.minStorageBufferOffsetAlignment).toBe(0);
        expect(a.at + a.storage.bytes).toBeLessThanOrEqual(bytes);
        for (const b of tenants.slice(i + 1)) {
          const [[firstA, lastA], [firstB, lastB]] = [spanOf(program, a.storage), spanOf(program, b.storage)];
          if (lastA < firstB || lastB < firstA) continue;
          expect(a.at + a.storage.bytes <= b.at || b.at + b.storage.bytes <= a.at).toBe(true);
        }
      });
    }
    for (const { uses } of program.dispatches) {
      const [written] = uses.filter(({ access }) => access === 'read_write');
      for (const read of uses.filter(({ access }) => access === 'read')) {
        expect(slotOf(plan, read)).not.toBe(slotOf(plan, written!));
      }
    }
    const atPeak = plan.atPeak.reduce((sum, { storage }) => sum + storage.bytes, 0);
    expect(plan.peakBytes).toBeGreaterThanOrEqual(atPeak);
  }), { seed: 1, numRuns: 60 });
});

function spanOf({ dispatches, kept }: Program, storage: Storage): readonly [number, number] {
  const uses = dispatches.flatMap(({ uses: of }, i) => of.some((use) => use.storage === storage) ? [i] : []);
  return [uses[0]!, kept.has(storage) ? dispatches.length : uses.at(-1)!];
}

test('describePlan() tells tensors, bytes and work, and what fills the memory when it is fullest', () => {
  const { plan } = planOf(() => {
    const a = scope('first', () => launchFill(2 ** 18, 1, 'large'));
    const b = scope('second', () => launchFill(2 ** 17, 1, 'small'));
    keep(launchAdd(a, b, empty([16])));
  });
  expect(describePlan('step', plan, { largest: 2 })).toEqual([
    'step: 3 dispatches, 0.00 GFLOP, 3.0 MiB moved',
    'step: 3 tensors of 1.5 MiB in 3 buffers of 1.5 MiB (peak)',
    'step: at the peak 1.0 MiB of "large [262144]" by first elementwise/fill',
    'step: at the peak 0.5 MiB of "small [131072]" by second elementwise/fill',
  ]);
  expect(describePlan('step', plan)).toHaveLength(2);
});

test('planProgram() fits a Swin-T training step into half of what PyTorch keeps for it', () => {
  const opts = ['DATA.IMG_SIZE', '224', 'TASKS', '[semseg, normals, sal, human_parts]'];
  const store = new ParameterStore(gpu(), releasedSpec('mtlora_tiny_448_r64_scale4_pertask', ...opts));
  const image = lasting(gpu(), 'images', [1, 3, 224, 224]);
  const labels = labelTensors(gpu(), store.spec.tasks.map(({ name }) => name), 1, 224);
  const skipped = lasting(gpu(), 'skipped steps', [1], [0], 'u32');
  const { program } = trace(gpu(), 'training step', () => {
    const { logits } = forward(store, image, { training: true });
    const { total } = multiTaskLoss(logits, labels);
    store.placeGradients(backward([[total, null]]));
    keep(total, optimizerStep(gpu(), store.arena, skipped, CONFIG_SCHEMA.parse({}).TRAIN));
  });
  dropDeadDispatches(program);
  const plan = planProgram(program);
  const live = plan.atPeak.reduce((sum, { storage }) => sum + storage.bytes, 0);
  const joins = kernelForm(gpu()) === 'panel';
  expect(plan.dispatches).toBeLessThanOrEqual(joins ? 400 : 700);
  expect(plan.peakBytes / 2 ** 20).toBeLessThan(200);
  // as launches differ between devices, so does what lives at once
  if (joins) expect(plan.peakBytes / savedByAutograd(store.spec, 1)).toBeLessThan(0.5);
  expect(plan.peakBytes / live).toBeLessThan(1.15);          // what the slots waste
  store.destroy();
  for (const tensor of [image, skipped, ...labels.values()]) release(gpu(), tensor);
});
