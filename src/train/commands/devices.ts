import { chooseAdapter, findAdapters } from '../../gpu/adapters.ts';
import { openGpu, type Gpu } from '../../gpu/device.ts';
import { kernelForm, type KernelForm } from '../../ops/kernel_form.ts';
import { checkOps, measureSpeed, type Check, type Speed } from '../self_test.ts';
import { Exit, type Register, type Terminal } from './command.ts';
import { addDevice, addExamples } from './options.ts';

const EXAMPLES = [
  ['every adapter, each tested for some seconds', 'devices'],
  ['what there is, at once', 'devices --no-test'],
  ['one of them', 'devices --device nvidia'],
] as const;

const FORMS: Readonly<Record<KernelForm, string>> = {
  plain: 'plain: run anywhere',
  panel: 'panel: for software Vulkan',
  tile: 'tile: for GPUs',
};

type Options = { readonly device?: string; readonly test: boolean };

export const register: Register = (program, terminal) => {
  const command = addExamples(program.command('devices'), EXAMPLES)
    .description('List the adapters that --device chooses from, their limits, and test speed and correctness')
    .option('--no-test', 'do not run the test, which takes about 5 seconds an adapter');
  addDevice(command).action(async ({ device, test }: Options) => {
    const found = await findAdapters();
    const chosen = device === undefined ? found : [chooseAdapter(found, device)];
    const wrong: string[] = [];
    for (const adapter of chosen) {
      const { name } = adapter.summary;
      const number = found.indexOf(adapter);
      terminal.say(`${number}: ${name}`);
      if (!await isSound(String(number), test, terminal)) wrong.push(`"${name}"`);
    }
    if (wrong.length === 0) return;
    throw new Exit(1, `devices: ${wrong.join(' and ')} must compute what the definitions in f64 say, and does`
      + ' not: update the driver, or choose another adapter with --device');
  });
};

/** An adapter that does not even run the test must not keep the others from theirs. */
async function isSound(device: string, test: boolean, terminal: Terminal): Promise<boolean> {
  try {
    const gpu = await openGpu({ device, unchecked: true });
    try {
      for (const line of describeDevice(gpu)) terminal.say(`   ${line}`);
      return !test || await passes(gpu, terminal);
    } finally {
      gpu.close();
    }
  } catch (error) {
    terminal.status(null);
    terminal.say(`   test       FAIL  ${(error as Error).message}`);
    return false;
  }
}

function describeDevice(gpu: Gpu): string[] {
  const { adapter: { vendor, architecture, driver, software }, limits, features, subgroupSize } = gpu;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const used = [...features].filter((feature) => feature !== 'core-features-and-limits');
  return [
    `kind       ${software ? `software, on the CPU: ${vendor}` : `GPU: ${vendor} ${architecture}`}`,
    `driver     ${driver}, by ${BACKENDS[process.platform] ?? 'Vulkan'}`,
    `limits     ${mib(limits.maxStorageBufferBindingSize)} a tensor, ${mib(limits.maxBufferSize)} a buffer, `
      + `${limits.maxStorageBuffersPerShaderStage} buffers a kernel`,
    `workgroup  ${limits.maxComputeInvocationsPerWorkgroup} threads, `
      + `${limits.maxComputeWorkgroupStorageSize / 1024} KiB shared, subgroups of ${subgroupSize}`,
    `features   ${used.toSorted().join(', ') || 'none of those that kernels use'}`,
    `kernels    ${FORMS[kernelForm(gpu)]}`,
  ];
}

/** What Dawn drives a GPU by; elsewhere Vulkan. */
const BACKENDS: Readonly<Record<string, string>> = { win32: 'Direct3D 12', darwin: 'Metal' };

async function passes(gpu: Gpu, terminal: Terminal): Promise<boolean> {
  terminal.status('measuring its speed');
  for (const speed of await measureSpeed(gpu)) terminal.say(`   ${describeSpeed(speed)}`);
  terminal.status('holding it to definitions in f64');
  const checks = await checkOps(gpu);
  terminal.status(null);
  for (const check of checks) terminal.say(`   ${describeCheck(check)}`);
  return checks.every(({ pass }) => pass);
}

function describeSpeed({ name, value, unit, of }: Speed): string {
  const three = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  const digits = value.toLocaleString('en-US', three);
  return `${name.padEnd(10)} ${digits} ${unit}, ${of}`;
}

function describeCheck({ name, errors, allowed, pass }: Check): string {
  const told = (['output', 'gradient'] as const).map((of) =>
    `${of} ${errors[of].toExponential(1)} of ${allowed[of].toExponential(0)}`);
  return `${name.padEnd(10)} ${pass ? 'PASS' : 'FAIL'}  relative error ${told.join(', ')} allowed`;
}
