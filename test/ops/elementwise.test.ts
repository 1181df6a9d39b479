import { test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { add, gelu, relu, scale } from '../../src/ops/elementwise.ts';
import { erf } from '../support/erf.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const SHAPES = [[1], [3, 7], [49, 96], [257]];

for (const shape of SHAPES) {
  test(`add() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), add, (a, b) => a!.map((v, i) => v + b![i]!), [shape, shape]));

  test(`scale() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x) => scale(x!, -1.75), (a) => a!.map((v) => -1.75 * v), [shape]));

  test(`gelu() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), gelu, (a) => a!.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))), [shape]));

  test(`relu() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), relu, (a) => a!.map((v) => Math.max(v, 0)), [shape], { epsilon: 1e-7 }));
}

test('gelu() agrees with its definition from -12 to 12', () => {
  const values = Float32Array.from({ length: 2401 }, (_, i) => (i - 1200) / 100);
  const definition = (a: Float64Array): Float64Array => a.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));
  return gradcheck(gpu(), gelu, definition, [[2401]], { values: [values] });
});
