import type { Tensor } from '../autograd/tensor.ts';
import { tracing, type Program } from '../gpu/program.ts';
import { kernelForm } from './kernel_form.ts';
import { gemms, type Gemm } from './matmul.ts';

/** Products into y that nobody needs before the end: the next layer's launch does them along. */
export type Waiting = { readonly what: string; readonly jobs: readonly Gemm[]; readonly y: Tensor };
const waitingOf = new WeakMap<Program, Waiting>();

/** Has products wait for `takeWaiting`, for what reads y, or for the end of the program. */
export function wait(products: Waiting): void {
  const program = tracing('mtlora_linear');
  launchWaiting(program);
  waitingOf.set(program, products);
  program.pending.set(products.y.storage, () => launchWaiting(program));
  if (kernelForm(program.gpu) !== 'panel') launchWaiting(program);
}

/** What waits, if that is one product: few kinds of launches are made of it, as each is to be compiled. */
export function takeWaiting(program: Program): Waiting | null {
  const waiting = waitingOf.get(program);
  if (waiting?.jobs.length !== 1) return null;
  forget(program, waiting);
  return waiting;
}

function launchWaiting(program: Program): void {
  const waiting = waitingOf.get(program);
  if (!waiting) return;
  forget(program, waiting);
  gemms(waiting.jobs, { apart: [waiting.y] });
}

function forget(program: Program, { y }: Waiting): void {
  waitingOf.delete(program);
  program.pending.delete(y.storage);
}
