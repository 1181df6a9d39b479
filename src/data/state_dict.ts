import { isHostTensor } from './host_tensor.ts';
import type { HostTensor } from './host_tensor.ts';
import { Inert } from './pickle_machine.ts';
import { readPth } from './pth.ts';
import { readSafetensors } from './safetensors.ts';

/** The keys under which training code keeps a model's tensors, in the order they are looked for. */
const KEYS = ['model', 'state_dict'] as const;

/** The model's tensors by name, of a .safetensors file or of a .pth, .pt or .bin that torch.save wrote. */
export async function loadStateDict(path: string): Promise<Map<string, HostTensor>> {
  if (path.toLowerCase().endsWith('.safetensors')) return readSafetensors(path).tensors;
  return stateDictOf(path, await readPth(path));
}

/** The model's tensors in what `readPth` made of the file at `path`. */
export function stateDictOf(path: string, root: unknown): Map<string, HostTensor> {
  const candidates = root instanceof Map ? [...KEYS.map((key) => root.get(key) as unknown), root] : [];
  const found = candidates.map(tensorsOf).find((tensors) => tensors.size > 0);
  if (found) return found;
  throw new Error(`Cannot load checkpoint "${path}": no tensors under "model", "state_dict" or at its top, ` +
    `${contents(root)}`);
}

function tensorsOf(value: unknown): Map<string, HostTensor> {
  const entries = value instanceof Map ? [...value as Map<unknown, unknown>] : [];
  return new Map(entries.filter((entry): entry is [string, HostTensor] => isHostTensor(entry[1])));
}

function contents(root: unknown): string {
  if (root instanceof Inert) return `it is one object of class "${root.global}"`;
  const keys = root instanceof Map ? [...root.keys()].filter((key) => typeof key === 'string') : [];
  return `its keys are [${keys.slice(0, 10).join(', ')}]`;
}
