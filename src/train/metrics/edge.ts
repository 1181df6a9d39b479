// Edges: balanced cross-entropy averaged over all pixels of the data set.
//
//   l = x (y − [x ≥ 0]) − log(1 + e^−|x|)         loss = −mean( w y l + (1 − w) (1 − y) l )
import { expectBatch, sigmoid } from './meter.ts';
import type { Batch, Meter } from './meter.ts';

const EDGE_WEIGHT = 0.95;

/** `official`: takes the probability for the logit, as the release's meter does. */
export function edgeMeter({ official = false } = {}): Meter {
  let [pixels, sum] = [0, 0];

  function update(batch: Batch): void {
    expectBatch('edgeMeter', batch, 1);
    const { logits, labels } = batch;
    for (let i = 0; i < logits.length; i++) {
      const x = official ? sigmoid(logits[i]!) : logits[i]!;
      const softplus = Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
      sum += labels[i]! >= 0.5 ? EDGE_WEIGHT * (softplus - x) : (1 - EDGE_WEIGHT) * softplus;
    }
    pixels += logits.length;
  }
  return { update, scores: () => ({ loss: sum / pixels }) };
}
