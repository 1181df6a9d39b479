import { size, type Shape } from '../../autograd/shape.ts';
import type { HostTensor } from '../../data/host_tensor.ts';

/** FNV-1a, 32 bits, of a name. */
export function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * The values of a tensor that a file leaves out because its name determines them: offset + amplitude (2u −
 * 1), with u a hash of name and element.
 *
 * @param name the whole name, prefix included
 */
export function formulaTensor(name: string, shape: Shape): HostTensor {
  if (name.endsWith('num_batches_tracked')) {
    return { dtype: 'I64', shape, data: new BigInt64Array(size(shape)) };
  }
  const [amplitude, offset] = rangeOf(name, shape);
  const hash = fnv1a(name);
  const stream = mix(hash ^ 0x9e3779b9);
  const data = Float32Array.from({ length: size(shape) }, (_, i) => {
    const u = (mix(mix(i + hash) ^ stream) >>> 8) / 2 ** 24;
    return offset + amplitude * (2 * u - 1);
  });
  return { dtype: 'F32', shape, data };
}

function rangeOf(name: string, shape: Shape): [amplitude: number, offset: number] {
  if (name.endsWith('running_mean')) return [0.2, 0];
  if (name.endsWith('running_var')) return [0.5, 1];
  if (shape.length === 1) return name.endsWith('.weight') ? [0.2, 1] : [0.1, 0];
  return [Math.sqrt(3 / size(shape.slice(1))), 0];
}
