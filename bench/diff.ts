// Compares two files of results: node bench/diff.ts BEFORE.json AFTER.json
//
// By on-CPU time where both have it, as that does not depend on what else ran; else by the least wall time.
import { readReport, short, table, type Report, type Result } from './support/report.ts';

const [before, after] = process.argv.slice(2);
if (!before || !after) {
  console.error('diff: wants two files of results: node bench/diff.ts BEFORE.json AFTER.json');
  process.exit(1);
}
const [old, now] = [readReport(before), readReport(after)];
for (const [file, { machine }] of [[before, old], [after, now]] as const) {
  console.log(`${file}: ${machine.adapter}, commit ${machine.commit}, ${machine.date}`);
}
if (old.machine.adapter !== now.machine.adapter) {
  console.log('the adapters differ: read no speed-up out of this');
}

const key = ({ bench, name, variant }: Result): string => [bench, name, variant].join(' · ');
const known = new Map(old.results.map((result) => [key(result), result]));
const pairs = now.results.filter((result) => known.has(key(result)))
  .map((result) => [known.get(key(result))!, result] as const);
console.log(table(['result', 'before', 'after', 'ms of', 'change', ''], pairs.map(([was, is]) => {
  const onCpu = was.cpuMs !== null && is.cpuMs !== null;
  const [from, to] = onCpu ? [was.cpuMs, is.cpuMs] : [was.minMs, is.minMs];
  const ratio = to! / from!;
  const noise = 0.03 + (onCpu ? 0 : was.spread + is.spread);
  const verdict = ratio < 1 - noise ? 'faster' : ratio > 1 + noise ? 'SLOWER' : '';
  return [key(is), short(from!), short(to!), onCpu ? 'CPU' : 'wall', `${short(ratio)}×`, verdict];
})));
tellLone('only before', old, now);
tellLone('only after', now, old);

function tellLone(what: string, one: Report, other: Report): void {
  const there = new Set(other.results.map(key));
  const lone = one.results.map(key).filter((each) => !there.has(each));
  if (lone.length > 0) console.log(`${what}: ${lone.length} results, such as ${lone[0]}`);
}
