// The fused multi-task low-rank linear layer, forward and with its backward, beside what could run instead.
//
//   node bench/lora-matmul.ts [--quick | --all] [--peers] [--json FILE]
//
//   fused      mtloraLinear, as the model uses it
//   separate   the same of this engine's single ops: linear, two thin linears a branch, scale, add
//   plain      the frozen linear alone, forward and dX: what any adaptation costs at least
//   naive      the fused layer by the plain kernels, which the fast ones are held to
//   --peers    jax-js and TensorFlow.js on the same adapter, each in a process of its own
//
// Every variant is held to the definition in f64 before it is timed; those of a case are timed in turns.
import { openBench } from './support/machine.ts';
import { runCase } from './support/lora_bench.ts';
import type { LoraCase } from './support/lora_case.ts';
import { readOptions } from './support/options.ts';
import { measurePeaks } from './support/peaks.ts';
import { startEngines } from './support/engines.ts';
import { writeReport, type Report } from './support/report.ts';

const STAGES = [0, 1, 2, 3];
const FULL = { rank: 64, taskRank: 4, tasks: 4, own: true } as const;

// the widths of a Swin-T stage: proj, qkv, fc1, fc2
function shape(
  img: number, stage: number, [out, inner]: readonly [number, number],
): Pick<LoraCase, 'm' | 'k' | 'n'> {
  const channels = 96 * 2 ** stage;
  return { m: (img / 4 / 2 ** stage) ** 2, n: out * channels, k: inner * channels };
}

function everything(): LoraCase[] {
  return [224, 448].flatMap((img) => STAGES.flatMap((stage) => ([[1, 1], [3, 1], [4, 1], [1, 4]] as const)
    .flatMap((widths) => [16, 32, 64].flatMap((rank) => [1, 2, 3, 4, 5, 6].flatMap((tasks) => [false, true]
      .map((own) => ({ ...shape(img, stage, widths), rank, taskRank: 4, tasks, own })))))));
}

const representative: LoraCase[] = [
  ...STAGES.map((stage) => ({ ...shape(224, stage, [4, 1]), ...FULL })),
  { ...shape(224, 0, [1, 4]), ...FULL },
  { ...shape(224, 0, [1, 1]), ...FULL, own: false },
  { ...shape(224, 1, [3, 1]), ...FULL, own: false },
  ...[1, 6].map((tasks) => ({ ...shape(224, 1, [4, 1]), ...FULL, tasks })),
  ...[16, 32].map((rank) => ({ ...shape(224, 1, [4, 1]), ...FULL, rank })),
  { ...shape(448, 0, [4, 1]), ...FULL },
];

const options = readOptions(['peers']);
const { gpu, machine } = await openBench(options.device);
console.log(`${machine.adapter}, ${machine.cores} cores, commit ${machine.commit}`);
const peaks = await measurePeaks(gpu);
const report: Report = { machine, peaks, results: [] };
const engines = options.flags.has('peers') ? await startEngines() : [];
const cases = options.all ? everything() : options.quick ? representative.slice(0, 2) : representative;
try {
  for (const each of cases) {
    const rounds = options.quick ? 5 : 10;
    report.results.push(...await runCase(gpu, each, engines, peaks, { rounds, limitMs: 60_000 }));
    if (options.json) writeReport(options.json, report);
  }
} finally {
  for (const engine of engines) engine.peer.end();
  gpu.close();
}
