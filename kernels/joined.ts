// joined: writes the WGSL of one launch that does the work of several, which do not wait for each other.
//
// Workgroups are shared out by `params.share`: each run of so many, one for a core, takes the same share of
// every launch, as drivers on a CPU give each core a run of workgroups. Launches of one kernel share its
// text, as drivers compile twice the text in four times the time: `job` says whose parameters and buffers are
// meant. Whatever an entry point has no need of is left out; a kernel's names get its number.
import { lines } from './unroll.ts';

/** A kernel, and the launches of it. */
export type JoinedKernel = {
  readonly code: string;
  readonly entry: string;
  /** Names of its parameters, in order, with their types. */
  readonly params: readonly { readonly name: string; readonly type: string }[];
  readonly launches: readonly JoinedLaunch[];
};

/** The joined kernel's name of each of its buffers. What it has none of reads as ones in all bits. */
type JoinedLaunch = ReadonlyMap<string, string>;
export type JoinedBuffer = {
  readonly name: string; readonly access: 'read' | 'read_write'; readonly type: string;
};

/** What a kernel is handed for what it takes of a launch. */
const BUILTINS: Readonly<Record<string, string>> = {
  workgroup_id: 'vec3u(run * each + at, 0u, 0u)',
  num_workgroups: 'vec3u(runs * each, 1u, 1u)',
  local_invocation_index: 'thread',
  subgroup_invocation_id: 'lane',
};

/**
 * The joined kernel. Its parameters are `share`, then for each kernel and launch of it the workgroups of a
 * run, and that kernel's own.
 *
 * @throws Error where a kernel takes of a launch what a joined one cannot hand to it
 */
export function joinedKernel(
  kernels: readonly JoinedKernel[], buffers: readonly JoinedBuffer[], threads: number,
): string {
  const directives = new Set(kernels.flatMap(({ code }) => uncommented(code).match(DIRECTIVE) ?? []));
  const fields = kernels.flatMap(({ params, launches }, i) => launches.flatMap((_, job) => [
    `each_${i}_${job}: u32`, ...params.map(({ name, type }) => `${name}_${i}_${job}: ${type}`),
  ]));
  const bound = new Map(buffers.map((buffer) => [buffer.name, buffer]));
  const texts = kernels.map((kernel, i) => textOf(kernel, i, bound));
  const lanes = texts.some(({ takes }) => takes.includes('subgroup_invocation_id'));
  return `${[...directives].join('\n')}
struct Params { share: u32, ${fields.join(', ')} }
@group(0) @binding(0) var<uniform> params: Params;
${lines(buffers.length, (i) => {
    const { name, access, type } = buffers[i]!;
    return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${name}: ${type};`;
  })}
${texts.map(({ text }) => text).join('\n')}
@compute @workgroup_size(${threads})
fn joined(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          ${lanes ? '@builtin(subgroup_invocation_id) lane: u32, ' : ''
}@builtin(local_invocation_index) thread: u32) {
  let runs = grid.x / params.share;
  let run = wg.x / params.share;
  var at = wg.x % params.share;
${lines(kernels.length, (i) => callOf(kernels[i]!, i, texts[i]!.takes))}
}
`;
}

function callOf({ entry, params, launches }: JoinedKernel, i: number, takes: readonly string[]): string {
  const total = launches.map((_, job) => `params.each_${i}_${job}`).join(' + ');
  const values = (job: number): string => params.map(({ name }) => `params.${name}_${i}_${job}`).join(', ');
  const choices = launches.slice(1).map((_, job) => `if (at >= each) {
    at -= each;
    job = ${job + 1}u;
    each = params.each_${i}_${job + 1};
    own = Params_${i}(${values(job + 1)});`).join('\n    ');
  const whose = launches.length > 1 ? 'own, job, ' : '';
  return `  if (at < ${total}) {
    var each = params.each_${i}_0;
${whose ? `    var job = 0u;
    var own = Params_${i}(${values(0)});
    ${choices}${'}'.repeat(launches.length - 1)}` : ''}
    ${entry}_${i}(${whose}${takes.map((builtin) => BUILTINS[builtin]!).join(', ')});
    return;
  }
  at -= ${total};`;
}

const DIRECTIVE = /(?<![@\w.])(?:(?:enable|requires)\s|diagnostic\s*\()[^;]*;/g;
const NAME = /\b(?:fn|struct|alias|const|override)\s+(\w+)|\bvar(?:<[^>]*>)?\s+(\w+)/;
const WORD = /(?<![\w.])[A-Za-z_]\w*/g;

// what an entry point needs of its module, renamed, and the builtins that it takes
function textOf(
  { code, entry, params, launches }: JoinedKernel, i: number, bound: ReadonlyMap<string, JoinedBuffer>,
): { text: string; takes: string[] } {
  const declared = declarationsOf(code);
  const buffers = new Set(launches.flatMap((launch) => [...launch.keys()]));
  const needed = new Set<string>();
  const need = (name: string): void => {
    const text = declared.get(name);
    if (text === undefined || needed.has(name)) return;
    needed.add(name);
    for (const word of wordsOf(text)) need(word);
  };
  need(entry);
  const own = [...needed].filter((name) => name !== 'params' && !buffers.has(name));
  const renamed = new Map(own.map((name) => [name, `${name}_${i}`]));
  const takes = [...declared.get(entry)!.matchAll(/@builtin\((\w+)\)/g)].map(([, builtin]) => builtin!);
  const strange = takes.find((builtin) => !(builtin in BUILTINS));
  if (strange) throw new Error(`joined: no kernel can be handed "${strange}"`);

  const accesses = [...buffers].map((name) => accessOf(name, i, launches, bound));
  const direct = new Map(accesses.flatMap(({ name, only }) => only ? [[name, only] as const] : []));
  const shared = new Set(accesses.flatMap(({ name, only }) => only ? [] : [name]));
  const single = launches.length === 1;
  const text = own.filter((name) => name !== 'Params').map((name) => converted(declared.get(name)!
    .replace(/@(?:compute|workgroup_size\([^)]*\)|builtin\(\w+\))\s*/g, ''), shared, i)
    .replace(/(?<![\w.])params\s*\.\s*(\w+)/g, single ? `params.$1_${i}_0` : `params_${i}.$1`)
    .replace(WORD, (word) => renamed.get(word) ?? direct.get(word) ?? word));
  if (single) return { text: text.join('\n'), takes };

  // those whose work depends on whose it is are told
  const fields = params.map(({ name, type }) => `${name}: ${type}`).join(', ');
  const told = toldOf(own, declared, shared).map((name) => `${name}_${i}`);
  const calls = new RegExp(`(\\bfn\\s+)?\\b(${told.join('|')})\\s*\\(`, 'g');
  return {
    text: [
      `struct Params_${i} { ${fields} }`, ...accesses.map(({ functions }) => functions),
      ...text.map((each) => each.replace(calls, (_, declares: string | undefined, name: string) => declares
        ? `fn ${name}(params_${i}: Params_${i}, job_${i}: u32, ` : `${name}(params_${i}, job_${i}, `)),
    ].join('\n'),
    takes,
  };
}

/** The functions that read parameters or what launches have of their own, and those that call such. */
function toldOf(
  own: readonly string[], declared: ReadonlyMap<string, string>, shared: ReadonlySet<string>,
): string[] {
  const functions = own.filter((name) => declared.get(name)!.includes(`fn ${name}`));
  const found = new Set(['params', ...shared]);
  for (let count = 0; count < found.size;) {
    count = found.size;
    for (const name of functions) {
      if (wordsOf(declared.get(name)!).some((word) => found.has(word))) found.add(name);
    }
  }
  return functions.filter((name) => found.has(name));
}

const wordsOf = (text: string): string[] => text.match(WORD) ?? [];

type Access = { readonly name: string; readonly only: string | null; readonly functions: string };

/** How a kernel comes to a buffer: by its name, or by functions where each launch has one of its own. */
function accessOf(
  name: string, i: number, launches: readonly JoinedLaunch[], buffers: ReadonlyMap<string, JoinedBuffer>,
): Access {
  const bound = launches.map((launch) => launch.get(name) ?? null);
  const [first] = bound as [string | null];
  if (first !== null && bound.every((other) => other === first)) return { name, only: first, functions: '' };
  const declared = buffers.get(bound.find((each) => each !== null)!)!;
  const type = /^array<(.*)>$/.exec(declared.type)![1]!;
  const choice = (one: (buffer: string | null) => string): string =>
    bound.map((buffer, job) => `if (job_${i} == ${job}u) { ${one(buffer)} }`).join(' else ');
  const load = `fn load_${name}_${i}(job_${i}: u32, at: u32) -> ${type} {
  var value = ${type}();
  ${choice((buffer) => `value = ${buffer === null ? `${type}(~0u)` : `${buffer}[at]`};`)}
  return value;
}`;
  const isWritten = bound.some((buffer) => buffer !== null && buffers.get(buffer)!.access === 'read_write');
  const store = `fn store_${name}_${i}(job_${i}: u32, at: u32, value: ${type}) {
  ${choice((buffer) => `${buffer}[at] = value;`)}
}`;
  return { name, only: null, functions: isWritten ? `${load}\n${store}` : load };
}

/** Replaces `x[at]` and `x[at] = v;` of what launches have of their own by calls. */
function converted(text: string, names: ReadonlySet<string>, i: number): string {
  let result = '';
  for (let at = 0; at < text.length;) {
    const [, name] = /^([A-Za-z_]\w*)\s*\[/.exec(text.slice(at, at + 64)) ?? [];
    const starts = name !== undefined && names.has(name) && !/[\w.]/.test(text[at - 1] ?? ' ');
    if (!starts) {
      result += text[at++];
      continue;
    }
    const open = text.indexOf('[', at);
    const close = closing(text, open);
    const place = converted(text.slice(open + 1, close), names, i);
    const [assigned] = /^\s*=(?!=)/.exec(text.slice(close + 1)) ?? [];
    at = close + 1;
    if (assigned === undefined) {
      result += `load_${name}_${i}(job_${i}, ${place})`;
    } else {
      const end = text.indexOf(';', at);
      const value = converted(text.slice(at + assigned.length, end), names, i);
      result += `store_${name}_${i}(job_${i}, ${place}, ${value})`;
      at = end;
    }
  }
  return result;
}

function closing(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    depth += Number(text[at] === '[') - Number(text[at] === ']');
    if (depth === 0) return at;
  }
  throw new Error('joined: an access must end');
}

const uncommented = (code: string): string => code.replace(/\/\/.*$/gm, '');

/** What a module declares at its outermost level, by name. */
function declarationsOf(code: string): Map<string, string> {
  const plain = uncommented(code).replace(DIRECTIVE, '');
  const found = new Map<string, string>();
  let [start, depth] = [0, 0];
  for (let at = 0; at < plain.length; at++) {
    const c = plain[at];
    if (c === '{') depth++;
    if (c === '}') depth--;
    if (depth > 0 || (c !== ';' && c !== '}')) continue;
    const text = plain.slice(start, at + 1).trim();
    const [, one, other] = NAME.exec(text) ?? [];
    const name = one ?? other;
    if (name !== undefined) found.set(name, text);
    start = at + 1;
  }
  return found;
}
