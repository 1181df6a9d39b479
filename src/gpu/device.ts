import { create, globals } from 'webgpu';
import { driverEnvironment, reexecWithDriver } from './driver.ts';
import { GpuError } from './errors.ts';
import { Memory } from './memory.ts';
import { settled } from './wait.ts';

Object.assign(globalThis, globals);

// Dawn crashes the process once what create() returned is collected: these hold it for the life of the process.
const instances: GPU[] = [];

const LIMITS = [
  'maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY', 'maxComputeWorkgroupStorageSize', 'maxStorageBuffersPerShaderStage',
  'maxUniformBufferBindingSize', 'minStorageBufferOffsetAlignment', 'minUniformBufferOffsetAlignment',
] as const;

const FEATURES = [
  'shader-f16', 'subgroups', 'subgroup-size-control', 'timestamp-query', 'chromium-experimental-subgroup-matrix',
] as const;

const INSTANCE_OPTIONS = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

/** What kind of hardware runs the kernels; tuning tables are keyed by it. */
export type DeviceClass = 'software' | 'gpu';

export type AdapterSummary = {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  readonly software: boolean;
};

/** An open device with its limits and memory. Holds until `close()`. */
export type Gpu = {
  readonly device: GPUDevice;
  readonly adapter: AdapterSummary;
  readonly deviceClass: DeviceClass;
  readonly subgroupSize: number;
  readonly features: ReadonlySet<string>;
  readonly limits: GPUSupportedLimits;
  readonly memory: Memory;
  /** Throws the first error that the device reported since the last call. */
  check(): void;
  /** Waits until all submitted work is done, then checks. */
  idle(): Promise<void>;
  close(): void;
};

export type OpenOptions = {
  /** Part of an adapter's name, or its number in `listAdapters()`. Default: the fastest real GPU. */
  readonly device?: string | undefined;
};

/** The adapters that Dawn finds here, real GPUs first. */
export async function listAdapters(): Promise<AdapterSummary[]> {
  return (await findAdapters()).map(({ summary }) => summary);
}

/**
 * Opens a device with the adapter's own limits and every feature that the kernels can use.
 *
 * @throws GpuError where there is no adapter, or none that `device` names
 */
export async function openGpu({ device: wanted }: OpenOptions = {}): Promise<Gpu> {
  const found = await findAdapters();
  if (found.length === 0) {
    if (driverEnvironment()) reexecWithDriver();
    throw new GpuError('No WebGPU adapter found: install a Vulkan driver (Debian 12: apt-get install '
      + '-t bookworm-backports mesa-vulkan-drivers libvulkan1), or run "npm run demo" once, which sets up a software one');
  }
  const { adapter, summary } = choose(found, wanted);
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  });
  return watch(device, summary, adapter.info.subgroupMinSize ?? 1);
}

function watch(device: GPUDevice, adapter: AdapterSummary, subgroupSize: number): Gpu {
  const errors: string[] = [];
  let closed = false;
  device.addEventListener('uncapturederror', (event) => {
    errors.push((event as GPUUncapturedErrorEvent).error.message);
  });
  void device.lost.then((info) => {
    if (!closed) errors.push(`the device was lost (${info.reason}: ${info.message}): start again from the last checkpoint`);
  });
  const check = (): void => {
    const first = errors[0];
    errors.length = 0;
    if (first !== undefined) throw new GpuError(`${adapter.name}: ${first}`);
  };
  return {
    device, adapter, subgroupSize, check,
    deviceClass: adapter.software ? 'software' : 'gpu',
    features: device.features,
    limits: device.limits,
    memory: new Memory(device),
    async idle() {
      await settled(device.queue.onSubmittedWorkDone());
      check();
    },
    close() {
      closed = true;
      device.destroy();
    },
  };
}

type Found = { adapter: GPUAdapter; summary: AdapterSummary };

// Dawn gives one adapter a request: ask for the fast one, the default and the fallback, and keep the different ones.
async function findAdapters(): Promise<Found[]> {
  const gpu = create(INSTANCE_OPTIONS);
  instances.push(gpu);
  const found = new Map<string, Found>();
  const requests: GPURequestAdapterOptions[] = [
    { powerPreference: 'high-performance' }, { powerPreference: 'low-power' }, { forceFallbackAdapter: true },
  ];
  for (const request of requests) {
    const adapter = await gpu.requestAdapter(request);
    if (!adapter) continue;
    const summary = summarise(adapter);
    if (!found.has(summary.name)) found.set(summary.name, { adapter, summary });
  }
  return [...found.values()].sort((a, b) => Number(a.summary.software) - Number(b.summary.software));
}

function summarise({ info }: GPUAdapter): AdapterSummary {
  const name = info.device || info.description || 'unnamed adapter';
  const software = info.isFallbackAdapter || /llvmpipe|swiftshader|lavapipe|microsoft basic/i.test(name);
  return { name, vendor: info.vendor, architecture: info.architecture, driver: info.description, software };
}

function choose(found: readonly Found[], wanted: string | undefined): Found {
  const names = found.map(({ summary }, i) => `${i}: "${summary.name}"`).join(', ');
  if (wanted === undefined) return found[0]!;
  const hit = /^\d+$/.test(wanted)
    ? found[Number(wanted)]
    : found.find(({ summary }) => summary.name.toLowerCase().includes(wanted.toLowerCase()));
  if (!hit) throw new GpuError(`--device: must name one of ${names}, got "${wanted}"`);
  return hit;
}
