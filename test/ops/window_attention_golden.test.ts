// The reference code's attention takes windows that were cut out before; here they lie on their map.
// Its projections run on the host in f64, so that what is held to it is the attention alone.
import { test } from 'vitest';
import { expectClose } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable } from '../../src/autograd/tensor.ts';
import { windowAttention } from '../../src/ops/window_attention.ts';
import { loadFixture } from '../support/fixtures.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const LORA_SCALE = 4;

type Matrix = { readonly rows: number; readonly columns: number; readonly data: ArrayLike<number> };
type Golden = ReturnType<typeof loadFixture>;

const CASES = [
  { name: 'attn_ta', heads: 2, windowSize: 4, map: [4, 4], shift: 0 },
  { name: 'attn_ta_mask', heads: 4, windowSize: 4, map: [8, 8], shift: 2 },
  { name: 'attn_ta_w7_mask', heads: 1, windowSize: 7, map: [14, 14], shift: 3 },
  { name: 'attn_ta_noqkvbias', heads: 2, windowSize: 2, map: [2, 2], shift: 0 },
] as const;

for (const { name, heads, windowSize, map: [height, width], shift } of CASES) {
  test(`windowAttention() gives the outputs and gradients of the reference code in ${name}`, async () => {
    const golden = loadFixture('blocks', name);
    const x = matrix(golden, 'in.x');
    const [qkvWeight, projWeight] = [adapted(golden, 'qkv'), adapted(golden, 'proj')];
    const rows = x.rows;
    const channels = x.columns;
    const places = placesOf(rows, height, width, windowSize, shift);
    const toMap = (m: Matrix): Float32Array => Float32Array.from(scatter(m, places).data);
    const toWindows = (data: Float32Array, columns: number) => gather({ rows, columns, data }, places);

    const table = golden.tensor('param.relative_position_bias_table');
    const upstream = times(matrix(golden, 'upstream.out'), projWeight);
    const qkvShape = [rows / (height * width), height, width, 3 * channels];
    const qkv = trainable(lasting(gpu(), 'qkv', qkvShape, toMap(affine(x, qkvWeight, bias(golden, 'qkv')))));
    const biasTable = trainable(lasting(gpu(), 'table', table.shape, table.data));
    const seed = lasting(gpu(), 'seed', [rows, channels], toMap(upstream));
    const [y, dqkv, dtable] = await evaluate(gpu(), () => {
      const out = windowAttention(qkv, biasTable, { heads, windowSize, shift });
      const found = backward([[out, seed]]);
      return [out, found.get(qkv)!, found.get(biasTable)!];
    });
    for (const tensor of [qkv, biasTable, seed]) release(gpu(), tensor);

    const out = affine(toWindows(y!, channels), projWeight, bias(golden, 'proj'));
    const dx = times(toWindows(dqkv!, 3 * channels), qkvWeight);
    expectClose('out', out.data, golden.tensor('out.out').data, 2e-6);
    expectClose('dx', dx.data, golden.tensor('grad.x').data, 2e-6);
    expectClose('dtable', dtable!, golden.tensor('grad.relative_position_bias_table').data, 2e-6);
  });
}

// place[row] of the windows' rows on the map
function placesOf(rows: number, height: number, width: number, side: number, shift: number): number[] {
  return Array.from({ length: rows }, (_, row) => {
    const [window, token] = [Math.floor(row / side ** 2), row % side ** 2];
    const across = width / side;
    const perImage = across * height / side;
    const [image, at] = [Math.floor(window / perImage), window % perImage];
    const y = (Math.floor(at / across) * side + Math.floor(token / side) + shift) % height;
    const x = (at % across * side + token % side + shift) % width;
    return (image * height + y) * width + x;
  });
}

function scatter({ rows, columns, data }: Matrix, places: readonly number[]): Matrix {
  const out = new Float64Array(rows * columns);
  places.forEach((place, row) => {
    for (let c = 0; c < columns; c++) out[place * columns + c] = data[row * columns + c]!;
  });
  return { rows, columns, data: out };
}

function gather({ rows, columns, data }: Matrix, places: readonly number[]): Matrix {
  const out = new Float64Array(rows * columns);
  places.forEach((place, row) => {
    for (let c = 0; c < columns; c++) out[row * columns + c] = data[place * columns + c]!;
  });
  return { rows, columns, data: out };
}

function matrix(golden: Golden, name: string): Matrix {
  const { shape, data } = golden.tensor(name);
  const columns = shape.at(-1)!;
  return { rows: data.length / columns, columns, data };
}

function bias(golden: Golden, layer: string): ArrayLike<number> | null {
  return golden.under(`param.${layer}.linear`).find(([field]) => field === 'bias')?.[1].data ?? null;
}

/** W + scale · B A of a layer [out, in] */
function adapted(golden: Golden, layer: string): Matrix {
  const w = matrix(golden, `param.${layer}.linear.weight`);
  const a = matrix(golden, `param.${layer}.lora_shared_A`);
  const update = times(matrix(golden, `param.${layer}.lora_shared_B`), a);
  return { ...w, data: Float64Array.from(w.data, (v, i) => v + LORA_SCALE * update.data[i]!) };
}

/** x Wᵀ + bias */
function affine(x: Matrix, w: Matrix, shift: ArrayLike<number> | null): Matrix {
  const transposed = Array.from({ length: w.columns * w.rows }, (_, i) =>
    w.data[i % w.rows * w.columns + Math.floor(i / w.rows)]!);
  const y = times(x, { rows: w.columns, columns: w.rows, data: transposed });
  return { ...y, data: Float64Array.from(y.data, (v, i) => v + (shift?.[i % w.rows] ?? 0)) };
}

function times(a: Matrix, b: Matrix): Matrix {
  const data = new Float64Array(a.rows * b.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let k = 0; k < a.columns; k++) {
      const left = a.data[i * a.columns + k]!;
      for (let j = 0; j < b.columns; j++) data[i * b.columns + j]! += left * b.data[k * b.columns + j]!;
    }
  }
  return { rows: a.rows, columns: b.columns, data };
}
