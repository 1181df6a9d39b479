import { create, globals } from 'webgpu';
import { driverEnvironment, reexecWithDriver } from './driver.ts';
import { firstSentence, GpuError } from './errors.ts';
import { capturingStderr } from './stderr.ts';

Object.assign(globalThis, globals);

// Dawn crashes the process once what create() returned is collected: these hold it for the process's life.
const instances: GPU[] = [];

const INSTANCE_OPTIONS = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

// what Dawn says of every adapter with more dynamic offsets than it can use
const HARMLESS = /^Warning: maxDynamic\w+ artificially reduced from \d+ to \d+ to fit .*\n/gm;

export type AdapterSummary = {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  readonly software: boolean;
};

export type Found = { readonly adapter: GPUAdapter; readonly summary: AdapterSummary };

/**
 * The adapters that Dawn finds here, real GPUs first; at least one. Where there is none but a cached software
 * driver, the process starts again with that.
 *
 * @throws GpuError where there is none
 */
export async function findAdapters(): Promise<readonly Found[]> {
  const { result: requested, text } = capturingStderr(requestAdapters);
  const found = new Map<string, Found>();
  for (const adapter of await Promise.all(requested)) {
    if (!adapter) continue;
    const summary = summarise(adapter);
    if (!found.has(summary.name)) found.set(summary.name, { adapter, summary });
  }
  if (found.size > 0) {
    process.stderr.write(text.replace(HARMLESS, ''));
    return [...found.values()].sort((a, b) => Number(a.summary.software) - Number(b.summary.software));
  }
  if (driverEnvironment()) reexecWithDriver();
  const reason = text === '' ? '' : ` (${firstSentence(text)})`;
  throw new GpuError(`no WebGPU adapter found${reason}: install a Vulkan driver (Debian 12: apt-get install `
    + '-t bookworm-backports mesa-vulkan-drivers libvulkan1), or run "npm run setup" once, which sets up a '
    + 'software one');
}

/** The adapter that part of its name or its number chooses; by default the first. */
export function chooseAdapter(found: readonly Found[], wanted: string | undefined): Found {
  if (wanted === undefined) return found[0]!;
  const hit = /^\d+$/.test(wanted)
    ? found[Number(wanted)]
    : found.find(({ summary }) => summary.name.toLowerCase().includes(wanted.toLowerCase()));
  if (hit) return hit;
  const names = found.map(({ summary }, i) => `${i}: "${summary.name}"`).join(', ');
  throw new GpuError(`--device: must be the number or part of the name of one of ${names}, got "${wanted}"`);
}

// Dawn gives one adapter a request: the fast one, the default and the fallback, which may be the same
function requestAdapters(): Promise<GPUAdapter | null>[] {
  const gpu = create(INSTANCE_OPTIONS);
  instances.push(gpu);
  const requests: GPURequestAdapterOptions[] = [
    { powerPreference: 'high-performance' }, { powerPreference: 'low-power' }, { forceFallbackAdapter: true },
  ];
  return requests.map((request) => gpu.requestAdapter(request));
}

function summarise({ info }: GPUAdapter): AdapterSummary {
  const name = info.device || info.description || 'unnamed adapter';
  const software = info.isFallbackAdapter || /llvmpipe|swiftshader|lavapipe|microsoft basic/i.test(name);
  return { name, vendor: info.vendor, architecture: info.architecture, driver: info.description, software };
}
