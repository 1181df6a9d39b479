import { Command } from 'commander';
import { expect, test, vi } from 'vitest';
import { scale } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { register } from '../../src/train/commands/devices.ts';
import { checkOps, measureSpeed } from '../../src/train/self_test.ts';
import { useGpu } from '../support/gpu.ts';
import { listen } from '../support/tiny_run.ts';

vi.mock('../../src/train/self_test.ts', { spy: true });

const gpu = useGpu();

/** What `devices` says until it ends, and its error. */
async function devices(...args: string[]): Promise<{ lines: string[]; error: unknown }> {
  const terminal = listen();
  const program = new Command();
  register(program, terminal);
  const error = await program.parseAsync(['devices', ...args], { from: 'user' })
    .then(() => null, (failure: unknown) => failure);
  return { lines: terminal.lines, error };
}

test('checkOps() holds matmul, layernorm and attention to f64, gradients too', async () => {
  const checks = await checkOps(gpu());
  const half = gpu().features.has('shader-f16') ? ['matmul f16'] : [];
  expect(checks.map(({ name }) => name)).toEqual(['matmul', ...half, 'layernorm', 'attention']);
  expect(checks.filter(({ pass }) => !pass)).toEqual([]);
  for (const { errors: { output, gradient } } of checks) {
    expect(output).toBeGreaterThan(1e-9);                 // f32 rounds: an error of 0 would be no comparison
    expect(gradient).toBeGreaterThan(1e-9);
  }
});

test('checkOps() fails where an op or its gradient is not what the definition says', async () => {
  const shapes = [[4, 8], [2, 8], [2]];
  const scaled = (by: number) => (...[x, w, b]: Float64Array[]): Float64Array =>
    Float64Array.from({ length: 8 }, (_, i) =>
      by * Array.from({ length: 8 }, (_, k) => x![Math.floor(i / 2) * 8 + k]! * w![i % 2 * 8 + k]!)
        .reduce((sum, term) => sum + term, b![i % 2]!));
  const [right, wrong, infinite] = await checkOps(gpu(), {
    right: { op: (x, w, b) => linear(x!, w!, b!), definition: scaled(1), shapes },
    wrong: { op: (x, w, b) => linear(x!, w!, b!), definition: scaled(1.001), shapes },
    infinite: { op: (x, w, b) => scale(linear(x!, w!, b!), 3e38), definition: scaled(1), shapes },
  });
  expect(right!.pass).toBe(true);
  expect(wrong!.pass).toBe(false);
  expect(wrong!.errors.output).toBeCloseTo(1e-3, 5);
  expect([infinite!.pass, infinite!.errors.output]).toEqual([false, Infinity]);
});

test('measureSpeed() says what a matmul and a copy do in a second', async () => {
  const speeds = await measureSpeed(gpu());
  expect(speeds.map(({ name, unit }) => `${name} ${unit}`)).toEqual(['matmul GFLOP/s', 'copy GB/s']);
  for (const { value } of speeds) expect(value).toBeGreaterThan(0.05);
});

test('devices describes an adapter, and tests it unless told not to', async () => {
  const { lines, error } = await devices('--no-test', '--device', '0');
  expect(error).toBeNull();
  expect(lines.map((line) => line.trim().split(/\s+/)[0]))
    .toEqual(['0:', 'kind', 'driver', 'limits', 'workgroup', 'features', 'kernels']);
  expect(lines[3]).toMatch(/^ {3}limits {5}\d+ MiB a tensor, \d+ MiB a buffer, \d+ buffers a kernel$/);
});

test('devices ends with exit code 1 where an adapter computes wrongly', async () => {
  const speed = { name: 'copy', value: 2512.3, unit: 'GB/s', of: '32 MiB' };
  vi.mocked(measureSpeed).mockResolvedValueOnce([speed]);
  const allowed = { output: 1e-5, gradient: 1e-4 };
  const failed = { name: 'layernorm', errors: { output: 0.5, gradient: 1e-7 }, allowed, pass: false };
  vi.mocked(checkOps).mockResolvedValueOnce([failed]);
  const { lines, error } = await devices('--device', '0');
  const says = /^devices: ".+" must compute what the definitions in f64 say/;
  expect(error).toMatchObject({ exitCode: 1, message: expect.stringMatching(says) });
  expect(lines.slice(-2)).toEqual([
    '   copy       2,510 GB/s, 32 MiB',
    '   layernorm  FAIL  relative error output 5.0e-1 of 1e-5, gradient 1.0e-7 of 1e-4 allowed',
  ]);
});

test('devices goes on behind an adapter that cannot be tested, and names it', async () => {
  vi.mocked(measureSpeed).mockRejectedValueOnce(new Error('the device was lost'));
  const { lines, error } = await devices('--device', '0');
  expect(lines.at(-1)).toBe('   test       FAIL  the device was lost');
  expect(error).toMatchObject({ exitCode: 1 });
  expect((await devices('--device', 'voodoo')).error).toMatchObject({ name: 'GpuError' });
});
