// What trains. The release decides by substrings of the name, side effects included: `norm` covers the patch
// embedding's norm and patch merging's, so freezing the patch embedding freezes only its convolution.
import { isSpecialized, keepsTaskOutputs, type ModelSpec } from './spec.ts';

export function isTrainable(spec: ModelSpec, name: string): boolean {
  if (!name.startsWith('backbone.')) return true;
  const { lora, freeze } = spec;
  if (!lora) return !freeze.backbone;
  if (!lora.freezePretrained) return true;
  return name.includes('lora_')
    || (name.includes('patch_embed') && !freeze.patchEmbed)
    || (name.includes('norm') && !freeze.layerNorm)
    || (name.includes('relative_position_bias_table') && !freeze.relativePositionBias)
    || (name.includes('downsample.reduction') && !freeze.downsampleReduction)
    || (name.includes('bias') && lora.bias === 'all');
}

/** Low-rank tensors that no loss depends on: they count as trainable, and never move. */
function isDeadBranch(spec: ModelSpec, name: string): boolean {
  const { lora, depths } = spec;
  if (!lora || lora.mode === 'lora_only') return false;
  const stage = depths.length - 1;
  const end = `backbone.layers.${stage}.blocks.${depths[stage]! - 1}.mlp.fc2.`;
  // The last shared output feeds nothing, unless it is part of every task's (matrixv2).
  if (name.startsWith(`${end}lora_shared`)) return lora.mode !== 'matrixv2';
  if (name.startsWith(`${end}lora_norm`)) return true;
  const [, at, block] = (/layers\.(\d+)\.blocks\.(\d+)/.exec(name) ?? []).map(Number);
  if (at === undefined || block === undefined) return false;
  if (/lora_task(s|_scale)/.test(name)) return !keepsTaskOutputs(spec, at, block);
  // In mode addition a layer with task branches has no shared pair for its factor.
  return name.endsWith('lora_shared_scale') && lora.mode === 'addition'
    && isSpecialized(spec, at, block) && !name.includes('attn.qkv');
}

/** Whether a tensor never gets a gradient although it trains. */
export function isNeverUpdated(spec: ModelSpec, name: string): boolean {
  return isTrainable(spec, name) && (name.includes('.conv_seg.') || isDeadBranch(spec, name));
}
