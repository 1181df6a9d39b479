import type { Gpu } from '../gpu/device.ts';
import { compile, type Live } from '../gpu/executable.ts';
import { keep } from '../gpu/program.ts';
import { decoded, type Tensor } from './tensor.ts';

/** Traces `body`, runs it once and reads the tensors that it returns: for tests, tools and one-off work. */
export async function evaluate(
  gpu: Gpu, body: () => readonly Tensor[], live: Live = {},
): Promise<Float32Array[]> {
  const { executable, result } = await compile(gpu, 'evaluate', () => {
    const outputs = body();
    keep(...outputs);
    return outputs;
  });
  try {
    executable.run(live);
    return (await executable.read(result)).map((bytes, i) => decoded(bytes, result[i]!));
  } finally {
    executable.destroy();
  }
}
