import { expectShape } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { forms, gemm } from './matmul.ts';

/**
 * A transposed convolution whose stride is its kernel, so that each input pixel fills a block of its own.
 *
 * @param x [B, H, W, C]
 * @param w [C, N, kh, kw]
 * @returns y [B, H·kh, W·kw, N]
 */
export function convTranspose2d(x: Tensor, w: Tensor): Tensor {
  const [inputs, channels, tall, wide] = w.shape as [number, number, number, number];
  const [images, height, width] = x.shape as [number, number, number];
  expectShape('convTranspose2d', 'x', x.shape, [images, height, width, inputs]);
  const [pixels, n] = [images * height * width, channels * tall * wide];
  const params = { images, height, width, channels, tall, wide };
  const launch = { params, threads: pixels * n };
  // w lies transposed, as [C, N·kh·kw]: x w is what forms call the input's gradient, and the other way round
  const { forward, input, weight } = forms(pixels, inputs, n);
  const col = empty([pixels, n], 'convTranspose2d columns', x.dtype);
  gemm(input(x, w, col));
  const y = empty([images, height * tall, width * wide, channels], 'convTranspose2d', x.dtype);
  dispatch('conv_transpose/spread', { col, y }, launch);

  return record('convTranspose2d', [x, w], y, (dy) => {
    const dcol = empty([pixels, n], 'convTranspose2d dcolumns', dy.dtype);
    dispatch('conv_transpose/collect', { dy, dcol }, launch);
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    if (dx) gemm(forward(dcol, w, dx));
    const dw = w.requiresGrad ? empty(w.shape, 'dw') : null;
    if (dw) gemm(weight(x, dcol, dw));
    return [dx, dw];
  });
}
