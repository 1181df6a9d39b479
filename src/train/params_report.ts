// What `mtlora-train params` says: how large the model is, what of it trains, what one image costs.
import { isNeverUpdated } from '../mtlora/freeze.ts';
import { countMacs, totalMacs } from '../mtlora/macs.ts';
import type { Macs } from '../mtlora/macs.ts';
import { parameterTable, sizeOf } from '../mtlora/names.ts';
import type { Parameter } from '../mtlora/names.ts';
import type { ModelSpec, Task } from '../mtlora/spec.ts';

type Part = { name: string; parameters: number; trainable: number; tensors: number };

export type ParamsReport = {
  total: number;
  trainable: number;
  /** Trainable and called lora. */
  lora: number;
  /** Downsamplers and heads. */
  decoder: number;
  /** Trainable, neither of the two above. */
  extra: number;
  tensors: number;
  trainableTensors: number;
  parts: Part[];
  tasks: { task: Task; lora: number; downsampler: number; head: number }[];
  neverUpdated: { parameters: number; tensors: string[] };
  macs: Macs & { total: number };
};

function count(parameters: readonly Parameter[], belongs: (name: string) => boolean = () => true): number {
  return parameters.reduce((sum, parameter) => sum + (belongs(parameter.name) ? sizeOf(parameter) : 0), 0);
}

/** The first that fits a name takes it. */
const PARTS: readonly [string, RegExp][] = [
  ['shared low-rank', /lora_(shared|norm)/],
  ['task low-rank', /lora_task/],
  ['patch embedding', /patch_embed/],
  ['patch merging', /downsample\.reduction/],
  ['norms', /backbone.*norm/],
  ['position tables', /relative_position_bias_table/],
  ['attention and MLP', /^backbone/],
  ['downsamplers', /^downsampler/],
  ['heads', /^decoders/],
];

function split(parameters: readonly Parameter[]): Part[] {
  const partOf = ({ name }: Parameter): string => PARTS.find(([, pattern]) => pattern.test(name))![0];
  const groups = Map.groupBy(parameters, partOf);
  return PARTS.map(([name]) => {
    const members = groups.get(name) ?? [];
    const trainable = count(members.filter((member) => member.trainable));
    return { name, parameters: count(members), trainable, tensors: members.length };
  }).filter(({ tensors }) => tensors > 0);
}

export function paramsReport(spec: ModelSpec): ParamsReport {
  const parameters = parameterTable(spec).filter(({ kind }) => kind === 'param');
  const trainable = parameters.filter((parameter) => parameter.trainable);
  const lora = count(trainable, (name) => name.includes('lora'));
  const decoder = count(parameters, (name) => !name.includes('backbone'));
  const never = trainable.filter(({ name }) => isNeverUpdated(spec, name));
  const macs = countMacs(spec);
  return {
    total: count(parameters),
    trainable: count(trainable),
    lora,
    decoder,
    extra: count(trainable, (name) => name.includes('backbone') && !name.includes('lora')),
    tensors: parameters.length,
    trainableTensors: trainable.length,
    parts: split(parameters),
    tasks: spec.tasks.map(({ name: task }) => ({
      task,
      lora: count(parameters, (name) => /lora_task/.test(name) && name.endsWith(`.${task}`)),
      downsampler: count(parameters, (name) => name.startsWith(`downsampler.${task}.`)),
      head: count(parameters, (name) => name.startsWith(`decoders.decoders.${task}.`)),
    })),
    neverUpdated: { parameters: count(never), tensors: never.map(({ name }) => name) },
    macs: { ...macs, total: totalMacs(macs) },
  };
}

/** Rows of cells as aligned columns, of which those of these numbers start at their left. */
export function table(rows: readonly (readonly string[])[], left: readonly number[] = [0]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) =>
    left.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))
    .join('  ').trimEnd())
    .join('\n');
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

function giga(macs: number): string {
  return (macs / 1e9).toFixed(3);
}

export function macRows({ macs }: ParamsReport): string[][] {
  return [
    ['GMAC per image', 'forward'],
    ['patch embedding', giga(macs.patchEmbed)],
    ['qkv and proj', giga(macs.qkvProj)],
    ['attention', giga(macs.attention)],
    ['MLP', giga(macs.mlp)],
    ['patch merging, shared stream', giga(macs.mergingShared)],
    ['patch merging, task streams', giga(macs.mergingTasks)],
    ['shared low-rank', giga(macs.loraShared)],
    ['task low-rank', giga(macs.loraTasks)],
    ['downsamplers', giga(macs.downsamplers)],
    ['heads', giga(macs.heads.reduce((sum, head) => sum + head, 0))],
    ['total', giga(macs.total)],
  ];
}

export function partRows({ parts, total, trainable, tensors }: ParamsReport): string[][] {
  return [
    ['parameters', 'all', 'trainable', 'tensors'],
    ...parts.map((part) =>
      [part.name, grouped(part.parameters), grouped(part.trainable), String(part.tensors)]),
    ['total', grouped(total), grouped(trainable), String(tensors)],
  ];
}

export function taskRows({ tasks }: ParamsReport): string[][] {
  return [
    ['task', 'low-rank', 'downsampler', 'head'],
    ...tasks.map(({ task, lora, downsampler, head }) =>
      [task, grouped(lora), grouped(downsampler), grouped(head)]),
  ];
}

/** Tables for the terminal. */
export function formatParams(report: ParamsReport): string {
  const share = (100 * report.trainable / report.total).toFixed(2);
  const { parameters, tensors } = report.neverUpdated;
  const never = tensors.length === 0 ? [] : [
    `never updated (no loss depends on them): ${grouped(parameters)} in ${tensors.length} tensors, `
      + `such as ${tensors[0]}`,
  ];
  return [
    `trainable ${grouped(report.trainable)} of ${grouped(report.total)} (${share} %)`,
    `low-rank ${grouped(report.lora)}  decoder ${grouped(report.decoder)}  other ${grouped(report.extra)}`,
    '', table(partRows(report)), '', table(taskRows(report)), ...never.length > 0 ? ['', ...never] : [],
    '', table(macRows(report)),
  ].join('\n');
}
