// Accuracy against trainable parameters, as figure 1 of the paper: a point for each run.
import { drawText, hasGlyph, textSize } from '../bitmap_font.ts';
import { COLOURS, extent, padded, shortNumber, ticks } from './chart.ts';
import { escapeHtml } from './html.ts';

export type Point = { readonly label: string; readonly trainable: number; readonly deltaM: number };

/** Draws a text: as SVG text, or dot by dot where the drawing must not depend on installed fonts. */
type Write = (text: string, x: number, y: number, anchor: 'start' | 'middle' | 'end') => string;

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [760, 480, 76, 24, 40, 56];
const INK = '#1d2127';
const LABEL_LINE = 16;

/** @param fonts whether whoever draws the SVG has fonts */
export function parametersPlot(points: readonly Point[], fonts: boolean): string {
  const write = fonts ? writeText : writeDots;
  const xs = padded(extent(points.map(({ trainable }) => trainable)));
  const ys = padded(extent([0, ...points.map(({ deltaM }) => deltaM)]));
  const x = (value: number): number => LEFT + (value - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number =>
    HEIGHT - BOTTOM - (value - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - TOP - BOTTOM);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" `
    + `viewBox="0 0 ${WIDTH} ${HEIGHT}"><rect width="100%" height="100%" fill="#fff"/>`
    + ticks(xs, 6).map((tick) => rule(x(tick), TOP, x(tick), HEIGHT - BOTTOM)
      + write(shortNumber(tick), x(tick), HEIGHT - BOTTOM + 18, 'middle')).join('')
    + ticks(ys, 6).map((tick) => rule(LEFT, y(tick), WIDTH - RIGHT, y(tick), tick === 0)
      + write(String(tick), LEFT - 8, y(tick) + 4, 'end')).join('')
    + write('trainable parameters', (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, 'middle')
    + write(`${fonts ? 'Δm' : 'delta m'} in %, against single-task models`, LEFT, TOP - 16, 'start')
    + marks(points.map((point) => ({ ...point, x: x(point.trainable), y: y(point.deltaM) })), write)
    + '</svg>\n';
}

type Mark = Point & { readonly x: number; readonly y: number };

/** Points and their labels, each label moved down until it meets no other. */
function marks(points: readonly Mark[], write: Write): string {
  const taken: { left: number; right: number; y: number }[] = [];
  return points.map(({ label, x, y }, i) => {
    const width = textSize(label, 1).width * 1.25;
    const [left, right, anchor] = x + 10 + width < WIDTH
      ? [x + 10, x + 10 + width, 'start'] as const : [x - 10 - width, x - 10, 'end'] as const;
    let at = y + 4;
    while (taken.some((other) => other.left < right && left < other.right
      && Math.abs(other.y - at) < LABEL_LINE)) at += LABEL_LINE;
    taken.push({ left, right, y: at });
    const colour = COLOURS[i % COLOURS.length]!;
    return `<circle cx="${round(x)}" cy="${round(y)}" r="5" fill="${colour}"/>`
      + write(label, anchor === 'start' ? left : right, at, anchor);
  }).join('');
}

function rule(x1: number, y1: number, x2: number, y2: number, strong = false): string {
  return `<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}" `
    + `stroke="${strong ? '#98a1ad' : '#e3e6ea'}"/>`;
}

function writeText(text: string, x: number, y: number, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${INK}" `
    + `font-family="sans-serif" font-size="13">${escapeHtml(text)}</text>`;
}

function writeDots(text: string, x: number, y: number, anchor: 'start' | 'middle' | 'end'): string {
  const drawn = [...text].map((letter) => hasGlyph(letter) ? letter : '_').join('');
  const { width, height } = textSize(drawn, 1);
  const left = Math.round(x - { start: 0, middle: width / 2, end: width }[anchor]);
  const dots: string[] = [];
  drawText(drawn, 1, (dx, dy) => dots.push(`M${left + dx} ${Math.round(y) - height + dy}h1v1h-1z`));
  return `<path fill="${INK}" shape-rendering="crispEdges" d="${dots.join('')}"/>`;
}

const round = (value: number): number => Math.round(10 * value) / 10;
