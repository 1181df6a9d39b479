// Makes configs/demo_backbone.safetensors of a checkpoint of configs/demo_pretrain.yaml: its backbone, in 16
// bits.
// How that checkpoint came about stands in the configuration.
import { join } from 'node:path';
import { writeSafetensors } from '../src/data/safetensors.ts';
import { toFloat32, type HostTensor } from '../src/data/host_tensor.ts';
import { readCheckpoint } from '../src/train/checkpoint.ts';
import { loadConfig, modelSpec } from '../src/train/config.ts';
import { exportedState } from '../src/train/export.ts';
import { fitWeights } from '../src/train/weights.ts';

const CONFIGS = join(import.meta.dirname, '../configs');
const TARGET = join(CONFIGS, 'demo_backbone.safetensors');

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('demo_backbone.ts: give a checkpoint of configs/demo_pretrain.yaml');
const spec = modelSpec(loadConfig(join(CONFIGS, 'demo_pretrain.yaml')).config);
const weights = fitWeights(spec, (await readCheckpoint(file)).model, file);
const backbone = [...exportedState(spec, weights, file, { backboneOnly: true })]
  .filter(([name]) => !/relative_position_index|attn_mask/.test(name));        // follow from the sizes
writeSafetensors(TARGET, new Map(backbone.map(([name, tensor]) => [name, inHalf(tensor)])), {
  origin: 'a plain Swin trained on synthetic scenes, see configs/demo_pretrain.yaml',
});
console.log(`wrote "${TARGET}": ${backbone.length} tensors`);

function inHalf(tensor: HostTensor): HostTensor {
  const bits = new Uint16Array(Float16Array.from(toFloat32(tensor)).buffer);
  return { dtype: 'F16', shape: tensor.shape, data: bits };
}
