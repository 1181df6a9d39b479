import { table } from '../params_report.ts';
import type { FolderReport } from './index.ts';
import type { Check } from './report.ts';

// a check is called by its case, then by what it compares
const caseOf = ({ name }: Check): string => name.split(' ', 1)[0]!;
const tensorOf = ({ name }: Check): string => name.split(' ').slice(1).join(' ');

/** How much of its bound a check uses up. */
function strain({ pass, error, bound }: Check): number {
  return (pass ? 0 : 1e300) + (bound > 0 ? error / bound : error);
}

function row(check: Check, all: boolean): string[] {
  const { maxAbs, error, bound, pass, rule } = check;
  const short = (value: number): string => value === 0 ? '0' : value.toExponential(1);
  const errors = [short(maxAbs), rule ? '' : short(error), short(bound)];
  return [tensorOf(check), ...errors, pass ? 'pass' : 'FAIL', all || !pass ? rule ?? '' : ''];
}

const HEADER = ['largest error', 'absolute', 'relative', 'bound', '', ''];

/**
 * A line for each case with the tensor that uses up most of its bound, and one for each that fails; or every
 * tensor.
 */
export function formatReport({ folder, kind, checks }: FolderReport, { all = false } = {}): string {
  const cases = [...Map.groupBy(checks, caseOf)];
  const rows = cases.flatMap(([name, members]) => {
    const sorted = all ? members : members.toSorted((a, b) => strain(b) - strain(a));
    const shown = all ? sorted : sorted.filter((check, i) => i === 0 || !check.pass);
    const head = [name, String(members.length)];
    return shown.map((check, i) => [...i === 0 ? head : ['', ''], ...row(check, all)]);
  });
  const failed = checks.filter(({ pass }) => !pass).length;
  return [
    `${folder} (${kind}): ${checks.length} checks, ${failed === 0 ? 'all pass' : `${failed} FAIL`}`,
    table([['case', 'checks', ...HEADER], ...rows], [0, 2, 6, 7]),
  ].join('\n');
}

export function formatSummary(reports: readonly FolderReport[], adapter: string): string {
  const checks = reports.flatMap((report) => report.checks);
  const failed = checks.filter(({ pass }) => !pass).length;
  const folders = `${reports.length} folder${reports.length === 1 ? '' : 's'}`;
  const held = `${checks.length} checks in ${folders} on ${adapter}`;
  return failed === 0 ? `verified: ${held}, all pass` : `${failed} of ${held} fail`;
}

/** Every check as JSON; what is not finite as text. */
export function jsonReport(reports: readonly FolderReport[], adapter: string): string {
  const folders = reports.map(({ folder, kind, checks }) => ({
    folder, kind, pass: checks.every(({ pass }) => pass),
    checks: checks.map((check) => ({
      case: caseOf(check), tensor: tensorOf(check), largestAbsoluteError: check.maxAbs,
      ...check.rule === undefined ? { relativeError: check.error } : { rule: check.rule },
      bound: check.bound, pass: check.pass,
    })),
  }));
  const whole = { adapter, pass: folders.every(({ pass }) => pass), folders };
  return JSON.stringify(whole, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value, 2);
}
