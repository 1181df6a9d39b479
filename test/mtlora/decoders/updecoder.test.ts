import { test } from 'vitest';
import { updecoderHead } from '../../../src/mtlora/decoders/updecoder.ts';
import { checkHead, recordedState } from '../../support/decoder_fixture.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

for (const mode of ['train', 'eval'] as const) {
  test(`updecoderHead() agrees with the recorded one in ${mode}`, () =>
    checkHead(gpu(), updecoderHead, 'updecoder', mode, recordedState('updecoder'),
      { tolerance: 5e-6, zero: ['conv_layers.0.bias'] }));
}
