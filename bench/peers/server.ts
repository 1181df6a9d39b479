// What the peers' processes share: WebGPU as in a browser, the layer's inputs, answers to the bench.
import { createInterface } from 'node:readline';
import { create, globals } from 'webgpu';
import { settled } from '../../src/gpu/wait.ts';
import { hostInputs, type HostInputs, type LoraCase } from '../support/lora_case.ts';
import { driverCpuMs } from '../support/threads.ts';

/** A peer's layer on given inputs. */
export type Layer = {
  /** Submits one run; resolves once the device is done with it. */
  run(what: 'forward' | 'both'): Promise<void>;
  /** The outputs of streams [G, m, n]; gradients of x [G or 1, m, k], of a [R, k] and of bt [R, n]. */
  values(): Promise<Record<'y' | 'dx' | 'da' | 'dbt', Float32Array>>;
  free(): void;
};

// Dawn ends the process once what create() gave is collected
const instance = create([]);

/** Puts WebGPU where browsers have it. */
export function installWebGpu(): void {
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: instance, configurable: true });
}

/** Answers `prepare {case}`, `forward`, `both` and `values [[tensor, index]…]`, a line of JSON each. */
export function serve(
  about: Record<string, unknown>, make: (inputs: HostInputs, each: LoraCase) => Layer,
): void {
  let layer: Layer | null = null;
  const answer = async (line: string): Promise<object> => {
    const [word, rest] = [line.split(' ', 1)[0]!, line.slice(line.indexOf(' ') + 1)];
    if (word === 'prepare') {
      layer?.free();
      const each = JSON.parse(rest) as LoraCase;
      layer = make(hostInputs(each), each);
      return {};
    }
    if (word === 'values') {
      const values = await layer!.values();
      const wanted = JSON.parse(rest) as [keyof typeof values, number][];
      return { values: wanted.map(([name, index]) => values[name][index]) };
    }
    const [cpu, start] = [driverCpuMs(), performance.now()];
    await settled(layer!.run(word as 'forward' | 'both'));
    const wallMs = performance.now() - start;
    const after = driverCpuMs();
    return { wallMs, cpuMs: cpu === null || after === null ? null : after - cpu };
  };
  console.log(JSON.stringify(about));
  let last = Promise.resolve();
  createInterface({ input: process.stdin }).on('line', (line) => {
    last = last.then(async () => console.log(JSON.stringify(await answer(line))));
  }).on('close', () => process.exit(0));
}
