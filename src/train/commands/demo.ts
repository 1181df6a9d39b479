import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSyntheticPascal } from '../../data/synth/write.ts';
import { loadConfig } from '../config.ts';
import { writeContactSheet } from '../contact_sheet.ts';
import { resultsTable, type Metrics } from '../results.ts';
import { runTraining } from '../run.ts';
import type { Register, Terminal } from './command.ts';
import { addDevice, addExamples, addOpts, addPlainKernels } from './options.ts';

const CONFIGS = fileURLToPath(new URL('../../../configs', import.meta.url));
const FOLDER = join('runs', 'demo');
const PICTURES = { train: 128, val: 16, size: [120, 160], seed: 1 } as const;
const ROWS = 8;

const ABOUT = [
  'about      a small Swin, trained on 2,000 other synthetic scenes, stays frozen as pretrained weights do;',
  '           low-rank branches and decoders learn four tasks of new scenes at once',
];

type Options = { readonly device?: string; readonly plainKernels?: boolean; readonly opts?: string[] };

const EXAMPLES = [
  ['a few minutes on a CPU; the same words go on where it was stopped', 'demo'],
  ['twice as long, on the second adapter', 'demo --device 1 --opts TRAIN.EPOCHS 20'],
] as const;

export const register: Register = (program, terminal) => {
  const command = addExamples(program.command('demo'), EXAMPLES)
    .description(`Learn four tasks on synthetic pictures in minutes, and leave the results in ${FOLDER}`);
  addOpts(addPlainKernels(addDevice(command)))
    .action(async ({ opts = [], ...choice }: Options) => {
      const data = join(FOLDER, 'data');
      const resumeBackbone = relative('.', join(CONFIGS, 'demo_backbone.safetensors'));
      const { config } = loadConfig(join(CONFIGS, 'demo.yaml'), opts, { pascal: data, resumeBackbone });
      await writeData(data, terminal);
      const { rows } = await runTraining(config, {
        folder: FOLDER, ...choice, about: ABOUT, rows: ROWS,
        evaluateFirst: true, autoResume: true, startOver: true,
        resumeCommand: () => ['mtlora-train', ...terminal.args].join(' '),
      }, terminal);
      conclude(rows, terminal);
    });
};

async function writeData(root: string, terminal: Terminal): Promise<void> {
  if (existsSync(join(root, 'ImageSets', 'Context', 'val.txt'))) return;
  await writeSyntheticPascal({ root, ...PICTURES }, (written, total) => {
    terminal.status(`drawing synthetic scenes ${written}/${total}`);
  });
  terminal.status(null);
  const { train, val } = PICTURES;
  terminal.say(`data       drew ${train} training and ${val} validation scenes in "${root}"`);
}

/** The first and the last evaluation side by side, also where the run was continued. */
function conclude(rows: Parameters<typeof writeContactSheet>[1], terminal: Terminal): void {
  const lines = readFileSync(join(FOLDER, 'log.jsonl'), 'utf8').trimEnd().split('\n');
  const evaluations = lines.map((line) => JSON.parse(line) as { kind: string } & Metrics)
    .filter(({ kind }) => kind === 'evaluation');
  const sheet = join(FOLDER, 'contact_sheet.png');
  writeContactSheet(sheet, rows);
  terminal.say(resultsTable({ 'before training': evaluations[0]!, 'after training': evaluations.at(-1)! }));
  terminal.say(`pictures   ${sheet}: validation scenes, their labels and what the model says`);
  terminal.say(`files      ${FOLDER}: config.yaml, log.jsonl, metrics.json and the checkpoint`);
}
