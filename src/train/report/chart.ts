// Charts as SVG: lines over updates. Colours are of middle brightness, readable on light and dark paper.
import { escapeHtml } from './html.ts';

export type Series = {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Marks each point: for the few points of evaluations. */
  readonly dots?: boolean;
};

export type Chart = {
  readonly title: string;
  readonly series: readonly Series[];
  /** Values on a logarithmic scale; all must be above 0. */
  readonly log?: boolean;
  readonly better?: 'higher' | 'lower';
};

export const COLOURS = ['#3b82c4', '#e0803a', '#4a9d5b', '#c2528b', '#8a6fc9', '#9a8433', '#3aa3a3'] as const;
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [440, 220, 56, 12, 10, 24];
/** A line has no more points than this: of each piece of it the lowest and the highest. */
const MOST_POINTS = 400;

type Scale = (value: number) => number;

/** A figure with its title, legend and picture, whose points the page's script shows under the pointer. */
export function lineChart({ title, series, log = false, better }: Chart): string {
  const shown = series.filter(({ points }) => points.length > 0).map((one) => ({
    ...one, points: thinned(one.points.filter(([, y]) => Number.isFinite(y) && (!log || y > 0))),
  }));
  const points = shown.flatMap((one) => one.points);
  if (points.length === 0) return '';
  const xs = extent(points.map(([x]) => x));
  const map: Scale = log ? Math.log10 : (y) => y;
  const ys = padded(extent(points.map(([, y]) => map(y))));
  const x: Scale = (value) => LEFT + (value - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT);
  const y: Scale = (value) =>
    HEIGHT - BOTTOM - (map(value) - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - TOP - BOTTOM);
  const legend = shown.map(({ name }, i) =>
    `<span><i style="background:${COLOURS[i % COLOURS.length]}"></i>${escapeHtml(name)}</span>`).join('');
  const data = shown.map(({ name, points: all }) => ({ name, points: all.map(([px, py]) =>
    [round(x(px)), round(y(py)), px, py]) }));
  const hint = better ? ` <small>${better} is better</small>` : '';
  return `<figure class="chart"><figcaption>${escapeHtml(title)}${hint}</figcaption>`
    + `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}" `
    + `data-points="${escapeHtml(JSON.stringify(data))}">`
    + gridY(ys, log, y) + gridX(xs, x)
    + shown.map((one, i) => line(one, COLOURS[i % COLOURS.length]!, x, y)).join('')
    + `</svg><div class="legend">${legend}</div></figure>`;
}

function line({ points, dots }: Series, colour: string, x: Scale, y: Scale): string {
  const at = points.map(([px, py]) => [round(x(px)), round(y(py))] as const);
  const path = `<polyline points="${at.map((point) => point.join()).join(' ')}" fill="none" `
    + `stroke="${colour}" stroke-width="1.6" stroke-linejoin="round"/>`;
  const marks = dots || points.length === 1
    ? at.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="2.6" fill="${colour}"/>`) : [];
  return path + marks.join('');
}

function gridY(ys: readonly [number, number], log: boolean, y: Scale): string {
  return (log ? logTicks(ys) : ticks(ys, 5)).map((value) => {
    const at = round(y(value));
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`
      + `<text x="${LEFT - 6}" y="${at + 3.5}" text-anchor="end">${shortNumber(value)}</text>`;
  }).join('');
}

function gridX(xs: readonly [number, number], x: Scale): string {
  return ticks(xs, 6).map((tick) =>
    `<text x="${round(x(tick))}" y="${HEIGHT - 8}" text-anchor="middle">${shortNumber(tick)}</text>`)
    .join('');
}

/** The lowest and the highest of some values, apart even where all are one. */
export function extent(values: readonly number[]): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low < high) return [low, high];
  const room = Math.max(0.1 * Math.abs(low), 1e-6);
  return [low - room, high + room];
}

/** A range with room at both ends. */
export function padded([low, high]: readonly [number, number]): [number, number] {
  const room = 0.05 * (high - low);
  return [low - room, high + room];
}

/** Round numbers inside a range, about `count` of them. */
export function ticks([low, high]: readonly [number, number], count: number): number[] {
  const raw = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= raw)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)));
}

/** 1, 2 and 5 of each power of ten inside a range of logarithms; of many powers the powers alone. */
function logTicks([low, high]: readonly [number, number]): number[] {
  const factors = high - low > 2.5 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  return powers.flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

/** Of each piece of a long line the lowest and the highest point, so that no spike is lost. */
export function thinned(points: Series['points']): Series['points'] {
  if (points.length <= MOST_POINTS) return points;
  const pieces = MOST_POINTS / 2;
  return Array.from({ length: pieces }, (_, i) => {
    const piece = points.slice(Math.floor(i * points.length / pieces),
      Math.floor((i + 1) * points.length / pieces));
    const low = piece.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = piece.reduce((a, b) => (b[1] > a[1] ? b : a));
    return low[0] < high[0] ? [low, high] : low === high ? [low] : [high, low];
  }).flat();
}

export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

const round = (value: number): number => Math.round(10 * value) / 10;
