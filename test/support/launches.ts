import { empty, type Tensor } from '../../src/autograd/tensor.ts';
import { dispatch } from '../../src/gpu/program.ts';

/** Appends y = a + b to the traced program: a launch with two inputs and an output. */
export function launchAdd(a: Tensor, b: Tensor, y: Tensor = empty(a.shape, 'sum')): Tensor {
  const count = y.shape.reduce((n, dim) => n * dim, 1);
  dispatch('elementwise/add', { a, b, y }, { threads: Math.ceil(count / 4), params: { count, value: 0 } });
  return y;
}

/** Appends y = value to the traced program: a launch without inputs. */
export function launchFill(floats: number, value = 1, label = 'filled'): Tensor {
  const y = empty([floats], label);
  const params = { count: floats, value };
  dispatch('elementwise/fill', { y }, { threads: Math.ceil(floats / 4), params });
  return y;
}
