import { InvalidArgumentError } from 'commander';
import { openGpu } from '../../gpu/device.ts';
import { formatReport, formatSummary, jsonReport } from '../verify/format.ts';
import { verifyFolder } from '../verify/index.ts';
import { Exit, type Register, type Terminal } from './command.ts';
import { addDevice, addExamples } from './options.ts';

type Options = { tolerance?: number; json?: boolean; all?: boolean; device?: string };

const EXAMPLES = [
  ['every folder of golden data in a folder', 'verify test/fixtures'],
  ['one, tensor by tensor, on the software driver', 'verify test/fixtures/blocks --all --device llvmpipe'],
] as const;

export const register: Register = (program, terminal) => {
  const command = addExamples(program.command('verify'), EXAMPLES)
    .description('Hold this machine\'s numbers to golden data of the PyTorch release')
    .argument('<folder>', 'golden data (cases.json and its tensors), or folders of such')
    .option('--tolerance <x>', 'one bound for all relative errors, in place of each kind\'s own', positive)
    .option('--all', 'a line for every tensor, not only for the largest error of each case')
    .option('--json', 'every check as JSON, for programs');
  addDevice(command)
    .action((folder: string, options: Options) => verify(folder, options, terminal));
};

async function verify(
  folder: string, { tolerance, json, all, device }: Options, terminal: Terminal,
): Promise<void> {
  const gpu = await openGpu({ device, unchecked: true });
  try {
    const reports = await verifyFolder(gpu, folder, {
      tolerance,
      begin: (path) => terminal.status(`verifying ${path}`),
      done: (report) => { if (!json) terminal.say(`${formatReport(report, { all })}\n`); },
    });
    terminal.status(null);
    const { name } = gpu.adapter;
    terminal.say(json ? jsonReport(reports, name) : formatSummary(reports, name));
    if (reports.some(({ checks }) => checks.some(({ pass }) => !pass))) {
      throw new Exit(1, 'verify: this machine\'s numbers differ from the golden ones beyond their bounds');
    }
  } finally {
    gpu.close();
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}
