// What backward reads of the forward pass: kept, or made again; and whether a pass over the tape records.
import type { Tensor } from './tensor.ts';

let recording = true;

/** Whether ops are put on the tape. */
export function isRecording(): boolean {
  return recording;
}

/** Runs `body` without recording: nothing in it gets a gradient. */
export function withoutGrad<T>(body: () => T): T {
  return setRecording(false, body);
}

/** Runs `body` with or without recording. */
export function setRecording<T>(on: boolean, body: () => T): T {
  const outer = recording;
  recording = on;
  try {
    return body();
  } finally {
    recording = outer;
  }
}

const recipes = new WeakMap<Tensor, () => Tensor>();
const givers = new WeakSet<Tensor>();

/**
 * Marks an op's output as cheaper to compute again, by the kernels that `again` appends, than to keep.
 *
 * @param options.handsOver whether the op's backward gives it to those who wait, see `deferred`
 * @returns `y`
 */
export function recomputable(y: Tensor, again: () => Tensor, { handsOver = false } = {}): Tensor {
  recipes.set(y, again);
  if (handsOver) givers.add(y);
  return y;
}

/** Whether `recall(x)` makes x again. */
export function isRecomputable(x: Tensor): boolean {
  return recipes.has(x);
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

const origins = new WeakMap<Tensor, Tensor>();

/** As `recomputable`, for another view of `x`: only where `x` is. */
export function recomputableAs(y: Tensor, x: Tensor, view: (x: Tensor) => Tensor): Tensor {
  if (!recipes.has(x)) return y;
  origins.set(y, x);
  return recomputable(y, () => view(recall(x)));
}

/** A gradient that reads `x`, see `deferred`. */
export type Deferred = { readonly x: Tensor; readonly make: () => Tensor };

/**
 * A gradient that `make` computes of `recall(x)`. Where the op that made x hands it over, it is made only
 * once that op has brought back its own gradient: x is made again in one pass over the same data.
 */
export function deferred(x: Tensor, make: () => Tensor): Deferred {
  return { x, make };
}

const awaited = new WeakMap<Tensor, (() => void)[]>();

/** Has `make` run once the op that made x is played back. @returns whether there is something to wait for */
export function awaitMaker(x: Tensor, ahead: ReadonlySet<Tensor>, make: () => void): boolean {
  const origin = originOf(x);
  if (!ahead.has(origin) || !givers.has(origin)) return false;
  awaited.set(origin, [...awaited.get(origin) ?? [], make]);
  return true;
}

/** Runs what waits for `y`, whose op has been played back. */
export function runAwaiting(y: Tensor): void {
  for (const make of awaited.get(y) ?? []) make();
  awaited.delete(y);
}

/** Whether gradients wait for `y`, an output of the op that is played back. */
export function isAwaited(y: Tensor): boolean {
  return awaited.has(y);
}

/** Gives what `recall(y)` would make again. */
export function handOver(y: Tensor, again: Tensor): void {
  recalled.set(y, again);
}

function originOf(x: Tensor): Tensor {
  const origin = origins.get(x);
  return origin ? originOf(origin) : x;
}
