// Start values of parameters, each drawn from a stream of random numbers that its name chooses.
import { keyOf, philox, uniform } from '../data/philox.ts';
import { size } from '../autograd/shape.ts';
import type { Init, Parameter } from './names.ts';

/** A parameter's start value; the order in which parameters are asked for does not matter. */
export function initialValues({ name, shape, init }: Parameter, seed: number): Float32Array {
  const values = new Float32Array(size(shape));
  if (init.kind === 'constant') return values.fill(init.value);
  if (init.kind !== 'uniform' && init.kind !== 'normal') {
    throw new Error(`parameters: "${name}" is computed, not drawn`);
  }
  const stream = hash(name);
  for (let i = 0; i < values.length; i += 4) {
    values.set(draw4(init, i / 4, stream, seed).slice(0, values.length - i), i);
  }
  return values;
}

type Random = Extract<Init, { kind: 'uniform' | 'normal' }>;

/** Four values at once, as the generator gives; normals by Box and Muller, drawn again beyond the cut. */
function draw4(init: Random, counter: number, stream: number, seed: number): number[] {
  for (let attempt = 0; ; attempt++) {
    const words = philox([counter, attempt, stream, 0x1417], keyOf(seed)).map(uniform);
    if (init.kind === 'uniform') return words.map((u) => init.bound * (2 * u - 1));
    const normals = [0, 2].flatMap((k) => {
      const radius = Math.sqrt(-2 * Math.log(1 - words[k]!));
      const angle = 2 * Math.PI * words[k + 1]!;
      return [radius * Math.cos(angle) * init.std, radius * Math.sin(angle) * init.std];
    });
    if (normals.every((value) => Math.abs(value) <= init.cut)) return normals;
  }
}

/** FNV-1a of a name: the number of its stream of random numbers. */
function hash(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}
