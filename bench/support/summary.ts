import { percent, short, type Report, type Result } from './report.ts';

// of a step's kernels and parts, what the page leaves to the JSON
const LEAST_SHARE = 0.005;

/** A report as a page to read: what it was measured on, then a table for each bench. */
export function summarise({ machine, peaks, results }: Report): string {
  const { adapter, driver, commit, date, cpu, cores, node, load } = machine;
  const { gflops, gbs, matmulGflops } = peaks as Record<string, number>;
  const busy = [Math.min(...load), Math.max(...load)].map(short).join(' to ');
  const lines = [
    `# ${adapter}`, '',
    `${date}, commit ${commit}. ${driver}. ${cpu}, ${cores} cores, Node ${node}, load ${busy}.`, '',
    ...gflops ? [`Peak: ${short(gflops)} GFLOP/s out of registers, ${short(matmulGflops!)} in the engine's `
      + `matmul, ${short(gbs!)} GB/s copying.`, ''] : [],
    'ms: the least of all rounds, which other processes may have disturbed. CPU ms: on all of the driver\'s '
      + 'threads, which they have not. GFLOP/s and GB/s: from CPU ms over all cores where there are any, '
      + 'else from ms.', '',
  ];
  for (const [bench, some] of Map.groupBy(results, (result) => result.bench)) {
    const worth = some.filter(({ more }) => Number(more?.['share'] ?? 1) >= LEAST_SHARE);
    lines.push(`## ${bench}`, '', ...tableOf(worth, cores, gflops), '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function tableOf(results: readonly Result[], cores: number, peak: number | undefined): string[] {
  const extras = [...new Set(results.flatMap(({ more }) => Object.keys(more ?? {})))]
    .filter((name) => name !== 'idleMs' && name !== 'error' && name !== 'threads');
  const header = ['case', 'variant', 'ms', '±', 'CPU ms', 'GFLOP/s', 'of peak', 'GB/s', ...extras];
  const rows = results.map(({ name, variant, minMs, spread, cpuMs, flops, bytes, more }) => {
    const ms = cpuMs === null ? minMs : cpuMs / cores;
    return [
      name, variant, short(minMs), percent(spread), cpuMs === null ? '' : short(cpuMs),
      flops ? short(flops / ms / 1e6) : '', flops && peak ? percent(flops / ms / 1e6 / peak) : '',
      bytes ? short(bytes / ms / 1e6) : '', ...extras.map((extra) => cell(more?.[extra])),
    ];
  });
  const used = header.map((_, c) => rows.some((row) => row[c] !== ''));
  const line = (row: readonly string[]): string => `| ${row.filter((_, c) => used[c]).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

const cell = (value: number | string | null | undefined): string =>
  typeof value === 'number' ? (Number.isInteger(value) ? String(value) : short(value)) : value ?? '';
