import { chooseAdapter, findAdapters, type AdapterSummary } from './adapters.ts';
import { cacheFolder } from './driver.mjs';
import { firstSentence, GpuError } from './errors.ts';
import { Guard } from './guard.ts';
import { Memory } from './memory.ts';
import { readTuning, type TuningTable } from './tuning_table.ts';
import { Verdicts } from './verdicts.ts';
import { settled } from './wait.ts';

const LIMITS = [
  'maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupSizeY', 'maxComputeWorkgroupStorageSize',
  'maxStorageBuffersPerShaderStage', 'maxUniformBufferBindingSize', 'minStorageBufferOffsetAlignment',
  'minUniformBufferOffsetAlignment',
] as const;

const FEATURES = [
  'shader-f16', 'subgroups', 'subgroup-size-control', 'chromium-experimental-subgroup-matrix',
  'timestamp-query',
] as const;

/** What kind of hardware runs the kernels; tuning tables are keyed by it. */
type DeviceClass = 'software' | 'gpu';

/** A shape that matrix units multiply: [m, k] by [k, n], in f16 with sums in f32. */
export type MatrixShape = { readonly m: number; readonly n: number; readonly k: number };

/** An open device with its limits and memory. Holds until `close()`. */
export type Gpu = {
  readonly device: GPUDevice;
  readonly adapter: AdapterSummary;
  readonly deviceClass: DeviceClass;
  readonly subgroupSize: number;
  /** What the device's matrix units can do; nothing where its subgroups vary in size. */
  readonly matrices: readonly MatrixShape[];
  readonly features: ReadonlySet<string>;
  readonly limits: GPUSupportedLimits;
  readonly memory: Memory;
  /** Whether kernels run in their plain form only. */
  readonly plainKernels: boolean;
  /** Constants that were found fast on such a device; null where the usual ones are to be used. */
  readonly tuning: TuningTable | null;
  /** Tries fast kernels before a program uses them; null where whoever opened the device does that. */
  readonly guard: Guard | null;
  /** Throws the first error that the device reported since the last call; once it is lost, always. */
  check(): void;
  /** Waits until all submitted work is done, then checks. */
  idle(): Promise<void>;
  close(): void;
};

export type OpenOptions = {
  /** Part of an adapter's name, or its number in `listAdapters()`. Default: the fastest real GPU. */
  readonly device?: string | undefined;
  /** Run kernels in their plain form only: slow, and what others are checked against. */
  readonly plainKernels?: boolean | undefined;
  /** Use fast kernels unchecked: for tests and benches, which hold them to definitions themselves. */
  readonly unchecked?: boolean;
  /** Where verdicts on kernels are kept; by default the project's folder in the user's cache. */
  readonly cache?: string;
  /** Told what was checked, and which kernels were found wrong; by default only those, as a warning. */
  readonly say?: (line: string) => void;
};

/** The adapters that Dawn finds here, real GPUs first. @throws GpuError where there is none */
export async function listAdapters(): Promise<AdapterSummary[]> {
  return (await findAdapters()).map(({ summary }) => summary);
}

/**
 * Opens a device with the adapter's own limits and every feature that the kernels can use.
 *
 * @throws GpuError where there is no adapter, or none that `device` names
 */
export async function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  const { adapter, summary } = chooseAdapter(await findAdapters(), options.device);
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  });
  return watch(device, summary, adapter.info, options);
}

/** Experimental in Dawn, so not among the types. */
type MatrixConfig = Readonly<Record<'componentType' | 'resultComponentType', string>>
  & Readonly<Record<'M' | 'N' | 'K', number>>;

function matricesOf(info: GPUAdapterInfo): MatrixShape[] {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  if (info.subgroupMinSize !== info.subgroupMaxSize) return [];
  return [...subgroupMatrixConfigs]
    .filter((each) => each.componentType === 'f16' && each.resultComponentType === 'f32')
    .map(({ M: m, N: n, K: k }) => ({ m, n, k }));
}

function checksOf(adapter: AdapterSummary, options: OpenOptions): Pick<Gpu, 'guard' | 'tuning'> {
  const { plainKernels, unchecked, say, cache = cacheFolder() } = options;
  if (plainKernels || unchecked) return { guard: null, tuning: null };
  const info = (line: string): void => say?.(`kernels    ${line}`);
  const warn = (line: string): void =>
    say ? say(`kernels    warning: ${line}`) : process.emitWarning(line);
  return {
    guard: new Guard(new Verdicts(adapter, cache, warn), info, warn),
    tuning: readTuning(adapter, cache, warn),
  };
}

function watch(
  device: GPUDevice, adapter: AdapterSummary, info: GPUAdapterInfo, options: OpenOptions,
): Gpu {
  const reported: string[] = [];
  let ended: string | null = null;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();                      // Dawn would print it
    const { error } = event as GPUUncapturedErrorEvent;
    const advice = error instanceof GPUOutOfMemoryError ? ': use a smaller batch or image' : '';
    reported.push(`${firstSentence(error.message)}${advice}`);
  });
  void device.lost.then(({ reason, message }) => {
    ended ??= `the device was lost (${reason}: ${message}): start again from the last checkpoint`;
  });
  const check = (): void => {
    const first = ended ?? reported[0];
    reported.length = 0;
    if (first !== undefined) throw new GpuError(`${adapter.name}: ${first}`);
  };
  const work = { ms: 0 };
  return {
    device, adapter, check,
    subgroupSize: info.subgroupMinSize ?? 1,
    matrices: matricesOf(info),
    deviceClass: adapter.software ? 'software' : 'gpu',
    features: device.features,
    limits: device.limits,
    memory: new Memory(device),
    plainKernels: options.plainKernels ?? false,
    ...checksOf(adapter, options),
    async idle() {
      await settled(device.queue.onSubmittedWorkDone(), work);
      check();
    },
    close() {
      ended ??= 'the device was closed';
      device.destroy();
    },
  };
}
