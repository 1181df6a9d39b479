// Folding low-rank branches into the linears that they adapt:
//
//   y = x Wᵀ + b + s (x Aᵀ) Bᵀ  =  x W'ᵀ + b      W' = W + s B A
//
// `afterMerge` in spec.ts says where every output of a layer contains the shared update. There it is folded;
// branches that no output depends on are left out; the others stay as explicit factors.
import { toFloat32, type HostTensor } from '../data/host_tensor.ts';
import { isHeld, linearName, parameterTable, siteName } from './names.ts';
import { adapterAt, type ModelSpec, type Site } from './spec.ts';

type Tensors = ReadonlyMap<string, HostTensor>;
type Place = readonly [stage: number, block: number, site: Site];

/** Whether any linear of the model carries branches. */
export function hasBranches(spec: ModelSpec): boolean {
  return placesOf(spec).some((place) => adapterAt(spec, ...place) !== null);
}

/** A layer whose shared output adds a norm of its tasks': no linear map, and in need of every task. */
export function additiveSite(spec: ModelSpec): string | null {
  const found = placesOf(spec).find((place) => adapterAt(spec, ...place)?.mode === 'addition');
  return found ? siteName(...found) : null;
}

/**
 * The parameters of a model that carries fewer branches, of the same or fewer tasks.
 *
 * @param target `spec` merged, or without any branch: then it computes the shared stream of `spec`
 * @param values the parameters and buffers of the model that `spec` describes
 */
export function mergeWeights(spec: ModelSpec, target: ModelSpec, values: Tensors): Map<string, HostTensor> {
  const linears = new Map<string, HostTensor>(placesOf(spec).flatMap((place) => {
    const [from, to] = [linearName(spec, ...place), linearName(target, ...place)];
    const bias = values.get(`${from}.bias`);
    const weight = linearWeight(spec, target, place, values);
    return [[`${to}.weight`, weight] as const, ...bias ? [[`${to}.bias`, bias] as const] : []];
  }));
  const held = parameterTable(target).filter(isHeld);
  return new Map(held.map(({ name }) => [name, linears.get(name) ?? valueOf(values, name)]));
}

function linearWeight(spec: ModelSpec, target: ModelSpec, place: Place, values: Tensors): HostTensor {
  const name = siteName(...place);
  const w = valueOf(values, `${linearName(spec, ...place)}.weight`);
  const [before, after] = [adapterAt(spec, ...place), adapterAt(target, ...place)];
  if (!before?.shared || before.rank === 0 || after?.shared) return w;
  if (after && before.mode === 'matrix') return w;         // only the tasks' outputs of this layer are used
  const scale = before.trainableScale
    ? toFloat32(valueOf(values, `${name}.lora_shared_scale`))[0]! : before.scale;
  const [a, b] = ['A', 'B'].map((factor) => valueOf(values, `${name}.lora_shared_${factor}`));
  return fold(w, a!, b!, scale);
}

/** W + s B A, summed in f64. w [out, in], a [r, in], b [out, r] */
function fold(w: HostTensor, a: HostTensor, b: HostTensor, scale: number): HostTensor {
  const [rank, input] = a.shape as [number, number];
  const [down, up, data] = [toFloat32(a), toFloat32(b), toFloat32(w).slice()];
  const row = new Float64Array(input);
  for (let o = 0; o < b.shape[0]!; o++) {
    row.set(data.subarray(o * input, (o + 1) * input));
    for (let k = 0; k < rank; k++) {
      const factor = scale * up[o * rank + k]!;
      for (let i = 0; i < input; i++) row[i]! += factor * down[k * input + i]!;
    }
    data.set(row, o * input);
  }
  return { dtype: 'F32', shape: w.shape, data };
}

function valueOf(values: Tensors, name: string): HostTensor {
  const found = values.get(name);
  if (!found) throw new Error(`merge: no value for "${name}"`);
  return found;
}

function placesOf({ depths }: ModelSpec): Place[] {
  const last = depths.length - 1;
  return depths.flatMap((depth, stage) => {
    const blocks = Array.from({ length: depth }, (_, block) =>
      (['qkv', 'proj', 'fc1', 'fc2'] as const).map((site): Place => [stage, block, site]));
    return [...blocks.flat(), ...stage < last ? [[stage, 0, 'reduction'] as const] : []];
  });
}
