// The page docs/configuration.md: what the schema says of every field, and what it cannot say.
import { FLAG_FIELDS } from '../src/train/config.ts';
import { listFields, type Field } from '../src/train/config_walk.ts';

const INTRODUCTION = `# Configuration: every field

*Written by \`npm run docs\` from the schema in \`src/train/config_*.ts\`; a test holds it to that.*

A run's configuration is made of, each over the one before: the defaults below, the files that \`BASE\`
names, the file of \`--cfg\`, \`--opts FIELD VALUE …\`, and the flags that set a field of their own. The
fields, names and defaults are those of the PyTorch release, so that its files load as they are; "ours" marks
what it does not have. A run leaves all of it in its \`config.yaml\`, which \`--cfg\` takes again.

\`\`\`yaml
BASE: ['../common.yaml']          # relative to this file
DATA: {IMG_SIZE: 448}
MODEL:
  NAME: mine
  MTLORA: {ENABLED: true, R: [16], SHARED_MODE: matrix}
TASKS: [semseg, normals]
TRAIN: {EPOCHS: 100, BASE_LR: 1e-3, CLIP_GRAD: None}
\`\`\`

\`\`\`sh
mtlora-train params --cfg mine.yaml --opts MODEL.MTLORA.R "[32]" TRAIN.EPOCHS 50
\`\`\`

Values are read as PyYAML and the release's parser read them together: \`1e-3\` is a number, \`yes\` and
\`On\` are true, \`None\` and \`~\` are nothing, a list may be written as Python writes it. A field with a
value for each stage takes one number, a list of one or a list of four.

What is wrong is told all at once, each with file, line and column, the field, what it must be and what came:

    mine.yaml:5:3 MODEL.MTLORRA: no such field, did you mean "MTLORA"
    mine.yaml:7:17 TRAIN.EPOCHS: must be a whole number of at least 1, got "ten"
    --opts DATA.IMG_SIZE: must be a multiple of 32 (patch size and three mergings), got 450

## Between fields

- \`DATA.IMG_SIZE\` is a multiple of eight patches, and each stage's map of \`MODEL.SWIN.WINDOW_SIZE\`,
  unless it is smaller than one window: with patches of 4 and windows of 7, a multiple of 224.
- \`MODEL.SWIN.NUM_HEADS\` divides the channels of each stage.
- \`MODEL.MTLORA.R_PER_TASK\` and \`SCALE_PER_TASK\`, where they are given, name every task; the first also
  \`shared\`.
- \`TASKS\` are of the data set: PASCAL has semseg, normals, sal, human_parts and edge, NYUD has semseg,
  normals, depth and edge, a data set of your own what its file describes ([data.md](data.md)).
- \`TRAIN.BASE_LR\`, \`WARMUP_LR\` and \`MIN_LR\` are for 512 images an update: they are multiplied by
  \`DATA.BATCH_SIZE\` × \`TRAIN.ACCUMULATION_STEPS\` / 512, as in the release.
`;

const TITLES: Readonly<Record<string, string>> = {
  '': 'The top level', DATA: 'Data', MODEL: 'The model', 'MODEL.SWIN': 'Its backbone',
  'MODEL.MTLORA': 'Its low-rank branches', 'MODEL.DECODER_HEAD': 'Its decoders', TRAIN: 'Training',
  'TRAIN.LR_SCHEDULER': 'The learning rate', 'TRAIN.OPTIMIZER': 'The optimizer',
  COMPAT: 'Defects of the release, to the digit', BASELINES: 'Single-task scores, for Δm',
};

/** The page as it should stand in docs/configuration.md. */
export function configPage(): string {
  const groups = Map.groupBy(listFields(), ({ path }) => groupOf(path));
  // the top level first, then each group behind the one that holds it
  const sections = [...groups.keys()].toSorted((a, b) => Number(a !== '') - Number(b !== ''))
    .map((group) => section(group, groups.get(group)!));
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

/** Small groups of groups, such as R_PER_TASK, stand with the group that holds them. */
function groupOf(path: string): string {
  const parents = path.split('.').slice(0, -1);
  while (parents.length > 0 && !(parents.join('.') in TITLES)) parents.pop();
  return parents.join('.');
}

function section(group: string, fields: readonly Field[]): string {
  const name = group === '' ? '' : `: \`${group}\``;
  const rows = fields.filter(({ unused }) => !unused).map(row);
  const without = fields.filter(({ unused }) => unused).map(({ path }) => `\`${path}\``);
  return [
    `## ${TITLES[group]}${name}`, '',
    '| field | default | must be | |', '| --- | --- | --- | --- |', ...rows, '',
    ...without.length > 0 ? [`Accepted, without effect: ${without.join(', ')}.`, ''] : [],
  ].join('\n');
}

function row({ path, fallback, expected, says }: Field): string {
  const flags = FLAG_FIELDS.filter(([, , field]) => field === path).map(([, typed]) => `\`${typed}\``);
  const told = flags.length > 0 ? `${says} (${flags.join(', ')})` : says;
  return `| \`${path}\` | ${written(fallback)} | ${escaped(expected)} | ${escaped(told)} |`;
}

/** As it is written in YAML. */
function written(value: Field['fallback']): string {
  if (value === undefined) return '';
  if (value === '') return 'empty';
  if (value === null) return '`None`';
  return `\`${Array.isArray(value) ? `[${value.join(', ')}]` : String(value)}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}
