// Single ops at Swin-T's shapes: node bench/ops.ts [NAME…] [--quick | --all] [--json FILE]
import { attentionCases } from './cases/attention.ts';
import { decoderCases } from './cases/decoder.ts';
import { lossCases } from './cases/losses.ts';
import { matmulCases } from './cases/matmul.ts';
import { optimizerCases } from './cases/optimizer.ts';
import { geluCases, layernormCases, mergingCases } from './cases/rows.ts';
import { openBench } from './support/machine.ts';
import { runOp, type OpCase } from './support/op_bench.ts';
import { readOptions } from './support/options.ts';
import { measurePeaks } from './support/peaks.ts';
import { writeReport, type Report } from './support/report.ts';

const options = readOptions();
const BENCHES: Readonly<Record<string, () => OpCase[]>> = {
  matmul: () => matmulCases(options.quick ? ['quick'] : options.all ? ['usual', 'all'] : ['usual']),
  attention: () => attentionCases(!options.quick),
  layernorm: () => layernormCases(!options.quick),
  merging: () => mergingCases(!options.quick),
  gelu: () => geluCases(!options.quick),
  decoder: () => decoderCases(options.all),
  losses: () => lossCases(options.all),
  adamw: () => optimizerCases(!options.quick),
};

const names = options.names.length > 0 ? options.names : Object.keys(BENCHES);
const unknown = names.find((name) => !BENCHES[name]);
if (unknown !== undefined) {
  console.error(`ops: must be one of ${Object.keys(BENCHES).join(', ')}, got "${unknown}"`);
  process.exit(1);
}
const { gpu, machine } = await openBench(options.device);
console.log(`${machine.adapter}, ${machine.cores} cores, commit ${machine.commit}`);
const peaks = await measurePeaks(gpu);
const report: Report = { machine, peaks, results: [] };
try {
  for (const name of names) {
    console.log(`\n${name}`);
    for (const each of BENCHES[name]!()) {
      const rounds = options.quick ? 5 : 12;
      report.results.push(...await runOp(gpu, name, each, peaks, { rounds, limitMs: 30_000 }));
    }
    if (options.json) writeReport(options.json, report);
  }
} finally {
  gpu.close();
}
