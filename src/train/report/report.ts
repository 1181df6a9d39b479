// report.html: a run on one page, made of what its folder holds.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeBytes } from '../../data/file_bytes.ts';
import type { Profile } from '../../gpu/profile.ts';
import { criterionOf, scoreOf } from '../best_score.ts';
import { modelSpec } from '../config.ts';
import { readGallery, type Gallery } from '../gallery.ts';
import { macRows, paramsReport, partRows, taskRows } from '../params_report.ts';
import { mainScore, signed, TITLES } from '../results.ts';
import { skippedIn, skipTotals } from '../skips.ts';
import { lineChart, type Series } from './chart.ts';
import { escapeHtml, htmlTable } from './html.ts';
import { htmlPage } from './page.ts';
import { epochText, readRun, type RunRecord } from './run_record.ts';

const FILE = 'report.html';
/** A gallery shows no more evaluations than this: the first, the last and some between. */
const MOST_STRIPS = 8;

/** Writes a run's report into its folder. @returns its path */
export function writeReport(folder: string): string {
  const run = readRun(folder);
  const path = join(folder, FILE);
  writeBytes(path, [Buffer.from(reportHtml(run))]);
  return path;
}

export function reportHtml(run: RunRecord): string {
  const steps = evenly(run.evaluations.map(({ step }) => step), MOST_STRIPS);
  return htmlPage(`${run.config.MODEL.NAME} ${run.config.TAG}`, [
    head(run), tiles(run), results(run), skips(run), trainingCharts(run), scoreCharts(run),
    gallery(run, readGallery(run.path, run.config.TASKS, steps)), parameters(run), profile(run.path),
    configuration(run),
  ]);
}

function head({ config: { MODEL, TAG, DATA, TASKS }, starts, path }: RunRecord): string {
  const { time, adapter, driver } = starts.at(-1)!;
  const since = starts.length > 1 ? `, continued ${starts.length - 1} times, last ${time}` : '';
  const lines = [
    `${TASKS.map((task) => TITLES[task]).join(', ')} on ${DATA.DBNAME} at ${DATA.IMG_SIZE}×${DATA.IMG_SIZE}`,
    `${adapter}, ${driver}`, `${path}, started ${starts[0]!.time}${since}`,
  ];
  return `<h1>${escapeHtml(`${MODEL.NAME} / ${TAG}`)}</h1>${lines.map((line) =>
    `<p>${escapeHtml(line)}</p>`).join('')}`;
}

function tiles(run: RunRecord): string {
  const { config, train, evaluations, best } = run;
  const last = train.at(-1);
  const { total, trainable } = paramsReport(modelSpec(config));
  const { name } = criterionOf(config);
  const shown: [string, string][] = [
    ['updates', String(last?.step ?? 0)],
    ['epochs', last ? `${last.epoch + 1} of ${config.TRAIN.EPOCHS}` : `0 of ${config.TRAIN.EPOCHS}`],
    ['loss, last', last ? last.loss.total!.toFixed(3) : '–'],
    ['Δm, last evaluation', signed(evaluations.at(-1)?.delta_m ?? null) || '–'],
    [`best ${name}${best ? `, ${epochText(run, best.step)}` : ''}`,
      best ? scoreOf(criterionOf(config), best).toFixed(3) : '–'],
    ['trainable parameters', `${(trainable / 1e6).toFixed(2)} M of ${(total / 1e6).toFixed(2)} M`],
    ['images a second', last ? last.images_per_second.toFixed(1) : '–'],
  ];
  return `<div class="tiles">${shown.map(([label, value]) =>
    `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`).join('')}</div>`;
}

function results(run: RunRecord): string {
  const { evaluations, best, config: { TASKS } } = run;
  if (evaluations.length === 0) return '';
  const columns = [...new Set([evaluations[0]!, best, evaluations.at(-1)!])]
    .filter((found) => found !== null);
  const titles = columns.map((found) =>
    epochText(run, found.step) + (found === best && columns.length > 1 ? ' (best)' : ''));
  const rows = TASKS.map((task) => {
    const scores = columns.map((found) => mainScore(task, found.scores[task]!));
    return [TITLES[task], scores[0]!.name, ...scores.map(({ text }) => text), scores[0]!.better];
  });
  return `<h2>Results</h2>${htmlTable([
    ['task', 'score', ...titles, 'better is'], ...rows,
    ['loss, weighted sum', '', ...columns.map(({ loss }) => loss.total.toFixed(4)), 'lower'],
    ['Δm against single-task models', '', ...columns.map((found) => signed(found.delta_m) || '–'), 'higher'],
  ])}`;
}

/** Which samples the run did without, where there are any. */
function skips({ skips: entries }: RunRecord): string {
  if (entries.length === 0) return '';
  const [train, val] = [skippedIn(entries, 'train'), skippedIn(entries, 'val')];
  const problems = [...new Set([...train.keys(), ...val.keys()])];
  const totals = skipTotals(entries).map((line) => `<p>${escapeHtml(line)}</p>`);
  return `<h2>Samples left out</h2>${totals.join('')}`
    + htmlTable([['what was wrong', 'training', 'validation'], ...problems.map((problem) =>
      [problem, String(train.get(problem) ?? 0), String(val.get(problem) ?? 0)])]);
}

function trainingCharts({ train, evaluations, config: { TASKS } }: RunRecord): string {
  type Value<T> = (of: T) => number | undefined;
  const of = (name: string, value: Value<RunRecord['train'][number]>): Series =>
    ({ name, points: train.map((line) => [line.step, value(line) ?? NaN]) });
  const validation = (value: Value<RunRecord['evaluations'][number]>): Series => ({
    name: 'validation', dots: true, points: evaluations.map((found) => [found.step, value(found) ?? NaN]),
  });
  const losses = ['total', ...TASKS].map((name) => lineChart({
    title: name === 'total' ? 'loss, weighted sum' : `loss, ${TITLES[name as keyof typeof TITLES]}`,
    series: [of('training', ({ loss }) => loss[name]), validation(({ loss }) =>
      name === 'total' ? loss.total : loss.tasks[name as keyof typeof TITLES])],
  }));
  return section('Training', [
    ...losses,
    lineChart({ title: 'learned weights of the losses', log: true, series: train.at(-1)?.weights
      ? TASKS.map((task) => of(task, ({ weights }) => weights?.[task])) : [] }),
    lineChart({ title: 'learning rate', series: [of('learning rate', ({ lr }) => lr)] }),
    lineChart({
      title: 'gradient norm', log: true, series: [of('before clipping', (at) => at.grad_norm ?? undefined)],
    }),
    ...train.some((at) => at.loss_scale !== undefined)
      ? [lineChart({ title: 'loss scale', log: true, series: [of('scale', (at) => at.loss_scale)] })] : [],
    lineChart({ title: 'images a second', series: [of('images/s', (at) => at.images_per_second)] }),
    lineChart({ title: 'time spent waiting for data', series: [of('per cent', (at) => 100 * at.data_wait)] }),
  ]);
}

function scoreCharts({ evaluations, config: { TASKS } }: RunRecord): string {
  if (evaluations.length === 0) return '';
  const charts = TASKS.map((task) => {
    const { name, better } = mainScore(task, evaluations[0]!.scores[task]!);
    const points = evaluations.map(({ step, scores }) =>
      [step, mainScore(task, scores[task]!).value] as const);
    return lineChart({ title: `${TITLES[task]}, ${name}`, better, series: [{ name, points, dots: true }] });
  });
  const gains = evaluations.flatMap((found) =>
    found.delta_m === null ? [] : [[found.step, found.delta_m] as const]);
  const gain = lineChart({ title: 'Δm in per cent', better: 'higher',
    series: [{ name: 'Δm', points: gains, dots: true }] });
  return section('Evaluations', [...charts, gain]);
}

function gallery(run: RunRecord, found: Gallery | null): string {
  if (!found) return '';
  const strip = (path: string, caption: string): string =>
    `<figure><img alt="${escapeHtml(caption)}" src="data:image/png;base64,${
      readFileSync(path).toString('base64')}"><figcaption>${escapeHtml(caption)}</figcaption></figure>`;
  return [...found.tasks].map(([task, { label, strips }]) =>
    `<h2>${escapeHtml(TITLES[task])}</h2><div class="strips">${[
      strip(found.image, 'image'), strip(label, 'label'),
      ...strips.map(({ step, path }) => strip(path, epochText(run, step))),
    ].join('')}</div>`).join('');
}

function parameters({ config }: RunRecord): string {
  const report = paramsReport(modelSpec(config));
  return `<h2>Parameters and cost</h2><div class="side">${
    [partRows(report), taskRows(report), macRows(report)].map(htmlTable).join('')}</div>`;
}

/** What `--profile` left, if it ran. */
function profile(folder: string): string {
  const path = join(folder, 'profile.json');
  if (!existsSync(path)) return '';
  const { rows } = JSON.parse(readFileSync(path, 'utf8')) as Pick<Profile, 'rows'>;
  return `<h2>Kernels</h2>${htmlTable([
    ['kernel', 'variant', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s'],
    ...rows.map((row) => [row.kernel, row.variant, String(row.calls), row.ms.toFixed(3),
      `${(100 * row.share).toFixed(1)} %`, row.gflopsPerSecond.toFixed(1),
      row.gigabytesPerSecond.toFixed(2)]),
  ])}`;
}

function configuration({ yaml, starts }: RunRecord): string {
  const commands = starts.map(({ time, args, mtlora, node }) =>
    `${time}  mtlora-train ${args.join(' ')}  (mtlora ${mtlora}, node ${node})`);
  return `<h2>Configuration</h2><pre>${escapeHtml(commands.join('\n'))}</pre>`
    + `<details><summary>config.yaml</summary><pre>${escapeHtml(yaml)}</pre></details>`;
}

function section(title: string, charts: readonly string[]): string {
  return `<h2>${title}</h2><div class="charts">${charts.join('')}</div>`;
}

/** At most `count` of a list, the first and the last among them. */
function evenly<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.round(i * (list.length - 1) / (count - 1))]!);
}
