// The meters of a model's tasks.
import type { TaskSpec } from '../../mtlora/spec.ts';
import { depthMeter } from './depth.ts';
import { edgeMeter } from './edge.ts';
import { iouMeter } from './iou.ts';
import type { Meter } from './meter.ts';
import { normalsMeter } from './normals.ts';
import { saliencyMeter } from './saliency.ts';

export { deltaM, PAPER_BASELINES, TASK_SCORES } from './delta_m.ts';
export type { Batch, Meter, Scores } from './meter.ts';

/** A fresh meter for one evaluation; `official` reproduces the release's numbers, defects included. */
export function createMeter({ name, outputs }: Pick<TaskSpec, 'name' | 'outputs'>,
  { official = false } = {}): Meter {
  switch (name) {
    case 'semseg':
    case 'human_parts': return iouMeter(outputs);
    case 'sal': return saliencyMeter({ official });
    case 'normals': return normalsMeter({ official });
    case 'edge': return edgeMeter({ official });
    case 'depth': return depthMeter();
  }
}
