// Depth: root mean square error, of metres and of natural logarithms, over all valid pixels of the data set.
import { expectBatch, IGNORE } from './meter.ts';
import type { Batch, Meter } from './meter.ts';

/** Predictions are at least this, so that they have a logarithm. */
const MIN_DEPTH = 1e-9;

export function depthMeter(): Meter {
  let [valid, squares, logSquares] = [0, 0, 0];

  function update(batch: Batch): void {
    expectBatch('depthMeter', batch, 1);
    const { logits, labels } = batch;
    for (let i = 0; i < logits.length; i++) {
      const want = labels[i]!;
      if (want === IGNORE) continue;
      const got = Math.max(logits[i]!, MIN_DEPTH);
      valid++;
      squares += (want - got) ** 2;
      logSquares += (Math.log(want) - Math.log(got)) ** 2;
    }
  }
  return {
    update,
    scores: () => ({ rmse: Math.sqrt(squares / valid), log_rmse: Math.sqrt(logSquares / valid) }),
  };
}
