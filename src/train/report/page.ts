// The page of a report: its frame, how it looks, and what shows the values under the pointer.
import { escapeHtml } from './html.ts';

const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2127; --faint: #6b7480; --line: #e3e6ea;
  --card: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --ink: #e8eaee; --faint: #98a1ad; --line: #2c3038; --card: #1e2128; }
}
body { margin: 0 auto; max-width: 1400px; padding: 24px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 24px; } h2 { margin: 36px 0 12px; font-size: 18px; }
p, small { color: var(--faint); } p { margin: 4px 0; } small { font-weight: 400; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 20px; }
.tiles div { background: var(--card); border-radius: 8px; padding: 10px 16px; min-width: 110px; }
.tiles b { display: block; font-size: 20px; } .tiles span { color: var(--faint); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 16px; }
figure { margin: 0; } figcaption { font-weight: 600; }
.chart { position: relative; background: var(--card); border-radius: 8px; padding: 12px; }
.chart svg { display: block; width: 100%; } .chart text { fill: var(--faint); font-size: 11px; }
.grid { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 12px; font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
.tip { position: absolute; pointer-events: none; background: var(--ink); color: var(--paper);
  border-radius: 4px; padding: 4px 8px; font-size: 12px; white-space: pre; }
.strips { display: flex; gap: 6px; overflow-x: auto; padding-bottom: 8px; }
.strips figcaption { font-weight: 400; font-size: 13px; color: var(--faint); white-space: nowrap; }
.strips img { display: block; border-radius: 4px; } .side { display: flex; flex-wrap: wrap; gap: 32px; }
table { border-collapse: collapse; }
th, td { padding: 4px 12px; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--faint); font-weight: 600; }
pre { background: var(--card); border-radius: 8px; padding: 12px; overflow: auto; font-size: 13px; }
summary { cursor: pointer; font-weight: 600; }
`;

const SCRIPT = `
for (const svg of document.querySelectorAll('svg[data-points]')) {
  const series = JSON.parse(svg.dataset.points);
  const tip = Object.assign(document.createElement('div'), { className: 'tip', hidden: true });
  svg.parentElement.append(tip);
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const nearest = series.map(({ name, points }) => ({ name, point: points.reduce((a, b) =>
      Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a) }));
    const lead = nearest.reduce((a, b) => Math.abs(b.point[0] - x) < Math.abs(a.point[0] - x) ? b : a).point;
    const lines = nearest.map(({ name, point }) => name + '  ' + Number(point[3].toPrecision(5)));
    tip.textContent = ['update ' + lead[2], ...lines].join('\\n');
    tip.hidden = false;
    const left = svg.offsetLeft + lead[0] / scale;
    tip.style.left = (left > box.width / 2 ? left - tip.offsetWidth - 10 : left + 10) + 'px';
    tip.style.top = svg.offsetTop + 10 + 'px';
  });
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });
}
`;

/** One file that needs no other, and no network. */
export function htmlPage(title: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${sections.filter((section) => section !== '').join('\n')}
<script>${SCRIPT}</script>
</body>
</html>
`;
}
