import { dispatch, tracing, type Program } from '../gpu/program.ts';
import { awaitMaker, isRecording, runAwaiting, setRecording, withoutGrad, type Deferred } from './recall.ts';
import { size } from './shape.ts';
import { empty, makeTensor, type Tensor } from './tensor.ts';

/** Gradients of an op's inputs, in their order, out of those of its outputs; null where there is none. */
export type Backward<Outputs> = (dy: Outputs) => readonly (Tensor | Deferred | null)[];

type Entry = {
  readonly scopes: readonly string[];
  readonly outputs: readonly Tensor[];
  /** What the op's gradients add to those of which tensors. */
  readonly play: (dys: readonly (Tensor | null)[]) => Iterable<readonly [Tensor, Tensor | Deferred]>;
};

const tapes = new WeakMap<Program, Entry[]>();

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
  const needed = isRecording() && inputs.some(({ requiresGrad }) => requiresGrad);
  if (!needed) return outputs.map((output) => makeTensor(output.shape, output.storage, false, output.dtype));
  const marked = outputs.map((output) => makeTensor(output.shape, output.storage, true, output.dtype));
  push(op, marked, (dys) => {
    const dxs = backward(dys);
    return inputs.flatMap((x, i) => {
      const dx = dxs[i];
      if (!dx || !x.requiresGrad) return [];
      const checked = (found: Tensor): Tensor => {
        expectGradient(`${op}: the gradient of input ${i}`, found, x);
        return found;
      };
      return [[x, 'make' in dx ? { ...dx, make: () => checked(dx.make()) } : checked(dx)] as const];
    });
  });
  return marked;
}

function expectGradient(what: string, dx: Tensor, x: Tensor): void {
  if (size(dx.shape) !== size(x.shape)) {
    throw new Error(`${what} must be [${x.shape.join(', ')}], got [${dx.shape.join(', ')}]`);
  }
  if (dx.dtype !== x.dtype) throw new Error(`${what} must be ${x.dtype}, got ${dx.dtype}`);
}

/**
 * Activation checkpointing: runs `body` without keeping what its backward would need, and runs it again when
 * its gradient is asked for. Trades a second forward for memory; draws the same random numbers again.
 *
 * @returns the outputs of `body`, all of which need a gradient
 */
export function checkpoint(name: string, body: () => readonly Tensor[]): Tensor[] {
  if (!isRecording()) return [...body()];
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

function push(op: string, outputs: readonly Tensor[], play: Entry['play']): void {
  const program = tracing(op);
  tapeOf(program).push({ scopes: [...program.scopes], outputs, play });
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
  const ahead = new Set(tape.flatMap(({ outputs }) => outputs));
  for (let entry = tape.pop(); entry; entry = tape.pop()) {
    playEntry(program, entry, gradients, ahead);
    for (const output of entry.outputs) {
      ahead.delete(output);
      runAwaiting(output);
    }
  }
  return gradients;
}

function playEntry(
  program: Program, { outputs, scopes, play }: Entry, gradients: Map<Tensor, Tensor>, ahead: Set<Tensor>,
): void {
  const dys = outputs.map((output) => gradients.get(output) ?? null);
  if (dys.every((dy) => dy === null)) return;
  for (const output of outputs) gradients.delete(output);
  inScopes(program, scopes, () => {
    for (const [x, dx] of play(dys)) {
      const add = (found: Tensor): void => addGradient(gradients, x, found);
      if ('make' in dx) {
        const make = (): void => inScopes(program, scopes, () => add(dx.make()));
        // what an op has made needs its gradient before that is played back
        if (ahead.has(x) || !awaitMaker(dx.x, ahead, make)) make();
      } else {
        add(dx);
      }
    }
  });
}

function inScopes(program: Program, scopes: readonly string[], body: () => void): void {
  const outer = program.scopes.splice(0, program.scopes.length, ...scopes);
  withoutGrad(body);
  program.scopes.splice(0, program.scopes.length, ...outer);
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
