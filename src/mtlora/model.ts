import type { Dtype, Tensor } from '../autograd/tensor.ts';
import { scope } from '../gpu/program.ts';
import { cast } from '../ops/elementwise.ts';
import { resizeEach } from '../ops/resize.ts';
import { backbone, type BackboneMode, type StageOutput } from './backbone.ts';
import { decode } from './decoders/index.ts';
import type { Task } from './spec.ts';
import type { ParameterStore } from './store.ts';

export type Outputs = {
  /** Each stage's streams after its patch merging. */
  readonly stages: readonly StageOutput[];
  /** Each head's output at the size of the first feature map, [B, h, w, n]. */
  readonly heads: ReadonlyMap<Task, Tensor>;
  /** Raw logits or vectors of each task at the image's size, [B, S, S, n]. */
  readonly logits: ReadonlyMap<Task, Tensor>;
};

export type ModelMode = BackboneMode & {
  /** How all between the image and the logits, and its gradients, is stored; f32 by default. */
  readonly activations?: Dtype;
};

/**
 * The multi-task model (figure 2 of the paper): one pass of the adapted backbone, then a decoder a task.
 *
 * @param image [B, channels, S, S], normalised
 */
export function forward(store: ParameterStore, image: Tensor, mode: ModelMode): Outputs {
  const { imgSize, inChannels } = store.spec;
  const [, channels, height, width] = image.shape;
  if (channels !== inChannels || height !== imgSize || width !== imgSize) {
    throw new Error(`model: image must be [B, ${inChannels}, ${imgSize}, ${imgSize}], `
      + `got [${image.shape.join(', ')}]`);
  }
  const stages = scope('backbone', () => backbone(store, cast(image, mode.activations ?? 'f32'), mode));
  const heads = scope('decoders', () => decode(store, stages, mode));
  const large = scope('upsample', () => resizeEach([...heads.values()], imgSize, imgSize));
  const logits = new Map([...heads.keys()].map((task, i) => [task, large[i]!]));
  return { stages, heads, logits };
}
