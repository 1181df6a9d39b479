import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readRgbPng } from '../../src/data/png.ts';
import { writeContactSheet } from '../../src/train/contact_sheet.ts';
import { writeGallery } from '../../src/train/gallery.ts';
import { parametersPlot } from '../../src/train/report/plot.ts';
import { writeReport } from '../../src/train/report/report.ts';
import { folderWith } from '../support/folder.ts';
import { evaluationLine, flatRow, START, trainLine, writeRun } from '../support/run_folder.ts';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const browser = BROWSERS.find((name) => spawnSync(name, ['--version']).status === 0);

/** Points at the middle of the first chart, and writes down how wide the pictures came out. */
const PROBE = `<script>addEventListener('load', () => {
  const svg = document.querySelector('svg[data-points]');
  const { left, top, width } = svg?.getBoundingClientRect() ?? {};
  svg?.dispatchEvent(new PointerEvent('pointermove', { clientX: left + width / 2, clientY: top + 5 }));
  document.body.dataset.pictures = [...document.images].map((image) => image.naturalWidth).join();
});</script>`;

/** The page as it is once its pictures and scripts are done. */
function shownBy(program: string, page: string): string {
  const profile = join(dirname(page), 'profile');
  return spawnSync(program, ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`,
    '--dump-dom', `file://${page}`], { encoding: 'utf8', timeout: 60_000 }).stdout;
}

test('report.html shows its pictures and the values under the pointer in Chromium', ({ skip }) => {
  if (browser === undefined) skip(`none of ${BROWSERS.join(', ')} is installed`);
  const folder = writeRun(folderWith(), [
    START, trainLine(2, 8), trainLine(4, 6), evaluationLine(4, 0.5, 30, -20), trainLine(6, 5),
  ]);
  writeGallery(folder, [flatRow()], 4);
  const page = join(folder, 'probe.html');
  writeFileSync(page, readFileSync(writeReport(folder), 'utf8').replace('</body>', `${PROBE}</body>`));
  const stdout = shownBy(browser!, page);
  expect(stdout).toContain('data-pictures="144,144,144,144,144,144"');
  const tips = [...stdout.matchAll(/<div class="tip"[^>]*>([^<]*)</g)].map(([, text]) => text);
  expect(tips).toHaveLength(stdout.split('data-points=').length - 1);
  expect(tips.filter((text) => text !== '')).toEqual(['update 4\ntraining  6\nvalidation  3']);
});

test('the sheet of predictions and the plot of compare are pictures to Chromium', ({ skip }) => {
  if (browser === undefined) skip(`none of ${BROWSERS.join(', ')} is installed`);
  const points = [
    { label: 'r16 & "r64"', trainable: 8e6, deltaM: 2.5 }, { label: 'full', trainable: 3e7, deltaM: -1 },
  ];
  const folder = folderWith({ 'plot.svg': parametersPlot(points, true) });
  writeContactSheet(join(folder, 'sheet.png'), [flatRow(), flatRow()]);
  const page = join(folder, 'page.html');
  writeFileSync(page, `<body><img src="sheet.png"><img src="plot.svg">${PROBE}</body>`);
  const { width } = readRgbPng(join(folder, 'sheet.png'));
  expect(shownBy(browser!, page)).toContain(`data-pictures="${width},760"`);
});
