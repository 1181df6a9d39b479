// What window attention and the norms cost on this device, at the sizes of Swin-T's stages at 448², batch 1.
// `node bench/attention.ts`: each form is held to the plain one before it is timed.
import { cpuUsage } from 'node:process';
import { expectClose, normals } from '../src/autograd/gradcheck.ts';
import { backward } from '../src/autograd/tape.ts';
import { lasting, trainable, type Tensor } from '../src/autograd/tensor.ts';
import { openGpu, type Gpu } from '../src/gpu/device.ts';
import { compile } from '../src/gpu/executable.ts';
import { keep } from '../src/gpu/program.ts';
import { kernelForm, withKernelForm, type KernelForm } from '../src/ops/kernel_form.ts';
import { layernorm } from '../src/ops/layernorm.ts';
import { windowAttention } from '../src/ops/window_attention.ts';

const SAMPLES = 9;
const REPEATS = 4;

type Case = {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly dy: Tensor;
  readonly op: () => Tensor;
};

const gpu = await openGpu({ unchecked: true });
console.log(`${gpu.adapter.name}, ${gpu.deviceClass}, subgroups of ${gpu.subgroupSize}`);
for (const [windows, heads, shift] of [
  [64, 3, 0], [64, 3, 3], [256, 3, 3], [64, 6, 3], [16, 12, 3], [4, 24, 3],
] as const) {
  await bench(attention(windows, heads, shift));
}
for (const [rows, channels] of [
  [12544, 96], [3136, 192], [3136, 384], [784, 384], [784, 768], [196, 1536],
] as const) {
  await bench(norm(rows, channels));
}
gpu.close();

function attention(windows: number, heads: number, shift: number): Case {
  const side = 7 * Math.sqrt(windows);
  const qkv = random('qkv', [1, side, side, 96 * heads]);
  const table = random('table', [169, heads]);
  return {
    name: `attention, ${windows} windows, ${heads} heads, shift ${shift}`,
    inputs: [qkv, table],
    dy: random('dy', [1, side, side, 32 * heads]),
    op: () => windowAttention(qkv, table, { heads, windowSize: 7, shift }),
  };
}

function norm(rows: number, channels: number): Case {
  const inputs = [random('x', [rows, channels]), random('w', [channels]), random('b', [channels])];
  const [x, w, b] = inputs;
  return {
    name: `layernorm [${rows}, ${channels}]`, inputs,
    dy: random('dy', [rows, channels]), op: () => layernorm(x!, w!, b!),
  };
}

function random(label: string, shape: number[]): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length }, normals(length));
  return trainable(lasting(gpu, label, shape, values));
}

async function bench({ name, inputs, dy, op }: Case): Promise<void> {
  const forward = (): Tensor[] => [op()];
  const both = (): Tensor[] => {
    const y = op();
    const found = backward([[y, dy]]);
    return [y, ...inputs.map((x) => found.get(x)!)];
  };
  const form = kernelForm(gpu);
  for (const [what, body] of [['forward', forward], ['forward + backward', both]] as const) {
    const plain = await measure(gpu, 'plain', body);
    const chosen = await measure(gpu, form, body);
    chosen.values.forEach((values, i) => expectClose(`${name}, output ${i}`, values, plain.values[i]!, 1e-5));
    console.log(`${name}, ${what}: ${times(chosen)} in ${form} form, ${times(plain)} in plain form`);
  }
}

type Measured = { readonly ms: number; readonly cpuMs: number; readonly values: Float32Array[] };

function times({ ms, cpuMs }: Measured): string {
  return `${ms.toFixed(2)} ms (${cpuMs.toFixed(2)} ms of CPU)`;
}

/** The least time of a run, on the wall and on all cores together, and what it computed. */
async function measure(device: Gpu, form: KernelForm, body: () => Tensor[]): Promise<Measured> {
  const { executable, result } = await compile(device, form, () => withKernelForm(form, () => {
    const outputs = body();
    keep(...outputs);
    return outputs;
  }));
  executable.run();
  const values = (await executable.read(result)).map((bytes) => new Float32Array(bytes));
  let [ms, cpuMs] = [Infinity, Infinity];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const [start, startCpu] = [performance.now(), cpuUsage()];
    for (let i = 0; i < REPEATS; i++) executable.run();
    await device.idle();
    const { user, system } = cpuUsage(startCpu);
    ms = Math.min(ms, (performance.now() - start) / REPEATS);
    cpuMs = Math.min(cpuMs, (user + system) / 1000 / REPEATS);
  }
  executable.destroy();
  return { ms, cpuMs, values };
}
