// What trains. The release decides by substrings of the name, side effects included: `norm` covers the patch
// embedding's norm and patch merging's, so freezing the patch embedding freezes only its convolution.
import type { ModelSpec } from './spec.ts';

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
