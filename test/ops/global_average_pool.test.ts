import { test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { globalAveragePool } from '../../src/ops/global_average_pool.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

const CASES = [[1, 1, 1, 1], [2, 7, 7, 21], [3, 5, 1, 4], [2, 28, 28, 6]] as const;
for (const [images, height, width, channels] of CASES) {
  const shape = [images, height, width, channels];
  test(`globalAveragePool() agrees with its definition and its derivative at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x) => globalAveragePool(x!), (x) => {
      const y = new Float64Array(images * channels);
      x!.forEach((v, i) => {
        y[Math.floor(i / channels / height / width) * channels + i % channels]! += v / height / width;
      });
      return y;
    }, [shape]));
}
