import { dispatch, tracing, type Program } from '../gpu/program.ts';
import { size } from './shape.ts';
import { empty, makeTensor, type Tensor } from './tensor.ts';

/** Gradients of an op's inputs, in their order, out of those of its outputs; null where there is none. */
export type Backward<Outputs> = (dy: Outputs) => readonly (Tensor | null)[];

type Entry = {
  readonly scopes: readonly string[];
  readonly outputs: readonly Tensor[];
  /** What the op's gradients add to those of which tensors. */
  readonly play: (dys: readonly (Tensor | null)[]) => Iterable<readonly [Tensor, Tensor]>;
};

const tapes = new WeakMap<Program, Entry[]>();
let recording = true;

/**
 * Puts an op with one output on the tape, if anything upstream of it is trainable.
 *
 * @returns `output`, marked as needing a gradient where it does
 */
export function record(
  op: string, inputs: readonly Tensor[], output: Tensor, backward: Backward<Tensor>,
): Tensor {
  return recordMany(op, inputs, [output], ([dy]) => backward(dy!))[0]!;
}

/** As `record`, for several outputs: `backward` gets null for an output that the loss does not depend on. */
export function recordMany(
  op: string, inputs: readonly Tensor[], outputs: readonly Tensor[],
  backward: Backward<readonly (Tensor | null)[]>,
): Tensor[] {
  const needed = recording && inputs.some(({ requiresGrad }) => requiresGrad);
  if (!needed) return outputs.map((output) => makeTensor(output.shape, output.storage, false, output.dtype));
  const marked = outputs.map((output) => makeTensor(output.shape, output.storage, true, output.dtype));
  push(op, marked, (dys) => {
    const dxs = backward(dys);
    return inputs.flatMap((x, i) => {
      const dx = dxs[i];
      if (!dx || !x.requiresGrad) return [];
      if (size(dx.shape) !== size(x.shape)) {
        const [want, got] = [x.shape.join(', '), dx.shape.join(', ')];
        throw new Error(`${op}: the gradient of input ${i} must be [${want}], got [${got}]`);
      }
      if (dx.dtype !== x.dtype) {
        throw new Error(`${op}: the gradient of input ${i} must be ${x.dtype}, got ${dx.dtype}`);
      }
      return [[x, dx] as const];
    });
  });
  return marked;
}

/**
 * Activation checkpointing: runs `body` without keeping what its backward would need, and runs it again when
 * its gradient is asked for. Trades a second forward for memory; draws the same random numbers again.
 *
 * @returns the outputs of `body`, all of which need a gradient
 */
export function checkpoint(name: string, body: () => readonly Tensor[]): Tensor[] {
  if (!recording) return [...body()];
  const program = tracing(name);
  const firstStream = program.randomStreams;
  const outputs = withoutGrad(body).map((y) => makeTensor(y.shape, y.storage, true, y.dtype));
  push(name, outputs, (dys) => {
    const outer = tapeOf(program);
    const streams = program.randomStreams;
    tapes.set(program, []);
    program.randomStreams = firstStream;
    const again = setRecording(true, body);
    program.randomStreams = streams;
    const seeds = again.flatMap((y, i) => dys[i] && y.requiresGrad ? [[y, dys[i]] as const] : []);
    const found = playBack(program, seeds);
    tapes.set(program, outer);
    return found;
  });
  return outputs;
}

const recipes = new WeakMap<Tensor, () => Tensor>();

/**
 * Marks an op's output as cheaper to compute again, by the kernels that `again` appends, than to keep.
 *
 * @returns `y`
 */
export function recomputable(y: Tensor, again: () => Tensor): Tensor {
  recipes.set(y, again);
  return y;
}

const recalled = new WeakMap<Tensor, Tensor>();

/** What backward reads of an op's input: the tensor itself, or one made again where it is recomputable. */
export function recall(x: Tensor): Tensor {
  const again = recipes.get(x);
  if (!again) return x;
  const made = recalled.get(x) ?? withoutGrad(again);
  recalled.set(x, made);
  return made;
}

/** As `recomputable`, for another view of `x`: only where `x` is. */
export function recomputableAs(y: Tensor, x: Tensor, view: (x: Tensor) => Tensor): Tensor {
  return recipes.has(x) ? recomputable(y, () => view(recall(x))) : y;
}

function push(op: string, outputs: readonly Tensor[], play: Entry['play']): void {
  const program = tracing(op);
  tapeOf(program).push({ scopes: [...program.scopes], outputs, play });
}

/** Runs `body` without recording: nothing in it gets a gradient. */
export function withoutGrad<T>(body: () => T): T {
  return setRecording(false, body);
}

function setRecording<T>(on: boolean, body: () => T): T {
  const outer = recording;
  recording = on;
  try {
    return body();
  } finally {
    recording = outer;
  }
}

type Seeds = readonly (readonly [Tensor, Tensor | null])[];

/** The gradients that a backward pass found, by tensor. */
export type Gradients = { get(tensor: Tensor): Tensor | null };

/**
 * Plays the tape back once and empties it.
 *
 * @param seeds outputs with the gradient that each starts from; a loss [] without one starts from 1
 */
export function backward(seeds: Seeds): Gradients {
  const gradients = playBack(tracing('backward'), seeds);
  return { get: (tensor) => gradients.get(tensor) ?? null };
}

// what is left in the end are the gradients of tensors that no op of the tape made
function playBack(program: Program, seeds: Seeds): Map<Tensor, Tensor> {
  const tape = tapeOf(program);
  const gradients = new Map<Tensor, Tensor>();
  for (const [output, dy] of seeds) addGradient(gradients, output, dy ? storedAs(dy, output) : ones(output));
  for (let entry = tape.pop(); entry; entry = tape.pop()) {
    const dys = entry.outputs.map((output) => gradients.get(output) ?? null);
    if (dys.every((dy) => dy === null)) continue;
    for (const output of entry.outputs) gradients.delete(output);
    const outer = program.scopes.splice(0, program.scopes.length, ...entry.scopes);
    for (const [x, dx] of setRecording(false, () => entry.play(dys))) addGradient(gradients, x, dx);
    program.scopes.splice(0, program.scopes.length, ...outer);
  }
  return gradients;
}

// the one place where gradients of a tensor with several uses are summed
function addGradient(gradients: Map<Tensor, Tensor>, x: Tensor, dx: Tensor): void {
  const known = gradients.get(x);
  if (!known) {
    gradients.set(x, makeTensor(x.shape, dx.storage, false, dx.dtype));
    return;
  }
  const sum = empty(x.shape, 'gradient sum', x.dtype);
  const count = size(x.shape);
  const launch = { items: Math.ceil(count / 4), params: { count, value: 0 }, flops: count };
  dispatch('elementwise/add', { a: known, b: dx, y: sum }, launch);
  gradients.set(x, sum);
}

function storedAs(dy: Tensor, { shape, dtype }: Tensor): Tensor {
  if (dy.dtype === dtype) return dy;
  const count = size(shape);
  const y = empty(shape, 'output gradient', dtype);
  dispatch('elementwise/copy', { a: dy, y }, { threads: Math.ceil(count / 4), params: { count, value: 0 } });
  return y;
}

function ones(like: Tensor): Tensor {
  const dy = empty(like.shape, 'loss gradient', like.dtype);
  const count = size(like.shape);
  dispatch('elementwise/fill', { y: dy }, { items: Math.ceil(count / 4), params: { count, value: 1 } });
  return dy;
}

function tapeOf(program: Program): Entry[] {
  let tape = tapes.get(program);
  if (!tape) tapes.set(program, tape = []);
  return tape;
}
