import { toFloat32 } from '../../src/data/host_tensor.ts';
import { readSafetensors } from '../../src/data/safetensors.ts';

export type GoldenTensor = { readonly shape: readonly number[]; readonly data: Float32Array };

/** A fixture file whose tensors are named `<prefix>.<field>`, all as f32. */
export function goldenData(path: string): {
  names: readonly string[];
  tensor: (name: string) => GoldenTensor;
  under: (prefix: string) => [field: string, tensor: GoldenTensor][];
} {
  const { tensors } = readSafetensors(path);
  const tensor = (name: string): GoldenTensor => {
    const found = tensors.get(name);
    if (!found) throw new Error(`no tensor "${name}" in ${path}`);
    return { shape: found.shape, data: toFloat32(found) };
  };
  return {
    names: [...tensors.keys()],
    tensor,
    under: (prefix) => [...tensors.keys()]
      .filter((name) => name.startsWith(`${prefix}.`) && !name.slice(prefix.length + 1).includes('.'))
      .map((name) => [name.slice(prefix.length + 1), tensor(name)]),
  };
}

/** Largest absolute difference; NaN where one is NaN, so that no bound holds. */
export function maxDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) throw new Error(`lengths differ: got ${got.length}, want ${want.length}`);
  let worst = 0;
  for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i]! - want[i]!));
  return worst;
}

export function meanDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) throw new Error(`lengths differ: got ${got.length}, want ${want.length}`);
  let sum = 0;
  for (let i = 0; i < got.length; i++) sum += Math.abs(got[i]! - want[i]!);
  return sum / got.length;
}
