// The micro model's image, labels and weights: a hash of a tensor's name and of an element's place.
import { size, type Shape } from '../../autograd/shape.ts';
import type { HostTensor } from '../../data/host_tensor.ts';
import type { Task } from '../../mtlora/spec.ts';
import type { Ready } from '../inputs.ts';
import { fnv1a } from './formula.ts';

const IGNORE = 255;

/** Whole numbers below 2³², one for each of `count` elements. */
function hashes(name: string, count: number): Uint32Array {
  const seed = fnv1a(name);
  return Uint32Array.from({ length: count }, (_, i) => {
    let h = seed + Math.imul(i + 1, 2654435761) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 2246822519) >>> 0;
    return (h ^ (h >>> 13)) >>> 0;
  });
}

/** Numbers from −1 to 1. */
function units(name: string, count: number): Float64Array {
  return Float64Array.from(hashes(name, count), (h) => 2 * h / 2 ** 32 - 1);
}

/** A parameter or a running statistic. */
export function microTensor(name: string, shape: Shape): HostTensor {
  const [amplitude, offset] = rangeOf(name, shape);
  const data = Float32Array.from(units(name, size(shape)), (u) => offset + amplitude * u);
  return { dtype: 'F32', shape, data };
}

function rangeOf(name: string, shape: Shape): [amplitude: number, offset: number] {
  if (name.endsWith('relative_position_bias_table')) return [0.5, 0];
  if (name.endsWith('running_var')) return [0.1, 1];
  if (name.endsWith('running_mean') || name.endsWith('.bias')) return [0.1, 0];
  if (shape.length === 1 && name.endsWith('.weight')) return [0.1, 1];
  return [1 / Math.sqrt(size(shape.slice(1))), 0];
}

/** Two images of 64 × 64 pixels with the labels of these tasks. */
export function microBatch(tasks: readonly Task[]): Ready {
  const image = Float32Array.from(units('input.image', 2 * 3 * 64 * 64), (u) => 2 * u);
  return { image, labels: Object.fromEntries(tasks.map((task) => [task, labelsOf(task)])) };
}

function labelsOf(task: Task): Float32Array {
  const [images, area] = [2, 64 * 64];
  if (task === 'normals') return normals(images, area);
  const h = hashes(`golden.label.${task}`, images * area);
  const missing = { semseg: 7, human_parts: 4, sal: 0 } as Partial<Record<Task, number>>;
  const classes = { semseg: 21, human_parts: 7, sal: 2 } as Partial<Record<Task, number>>;
  const every = missing[task] ?? 0;
  return Float32Array.from(h, (value) =>
    every > 0 && (value >>> 8) % every === 0 ? IGNORE : value % (classes[task] ?? 2));
}

function normals(images: number, area: number): Float32Array {
  const u = units('golden.label.normals', images * 3 * area);
  const mask = hashes('golden.mask.normals', images * area);
  const labels = new Float32Array(u.length);
  for (let image = 0; image < images; image++) {
    for (let pixel = 0; pixel < area; pixel++) {
      const places = [0, 1, 2].map((axis) => (3 * image + axis) * area + pixel);
      const length = Math.hypot(...places.map((at) => u[at]!));
      const none = mask[image * area + pixel]! % 5 === 0;
      for (const at of places) labels[at] = none ? IGNORE : u[at]! / length;
    }
  }
  return labels;
}
