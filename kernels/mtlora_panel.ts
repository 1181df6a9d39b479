// mtlora_panel: the low-rank updates of a multi-task linear layer as the epilogue of its base product, which
// matmul_panel writes.
//
//   y[0] = base + P_s B_sᵀ          y[t] = base + P_t B_tᵀ (+ P_s B_sᵀ where tasks include the shared update)
//
// base is the tile that the workgroup has just stored in y[0]; P [M, R] and Bᵀ [R, N] hold the branches side
// by side, the shared one first, scales already in P. Rows of Bᵀ lie in function-scope panels; a row of P is
// broadcast.
// `kernels/mtlora_linear.wgsl` is the plain form.
import type { Epilogue, PanelForm } from './matmul_panel.ts';
import { columnOf, dropOutputs, insideQuad } from './panel_store.ts';
import { apart, lines, range } from './unroll.ts';

export type Update = {
  /** Ranks of the shared branch and of each task's; 0 where there is no shared branch. */
  readonly ranks: readonly number[];
  /** Whether the tasks' outputs include the shared update (mode matrixv2). */
  readonly tasksIncludeShared: boolean;
  /** Values in a row of P, where that holds more branches than these. */
  readonly row?: number;
  /** Drops elements of the shared update where their bit of the mask is 0. */
  readonly masked?: boolean;
};

type Form = Pick<PanelForm, 'lanes' | 'columns' | 'store'>;
const BLOCK = 32;

export function lowRankUpdate(form: Form, update: Update): Epilogue {
  const { ranks, tasksIncludeShared, masked } = update;
  const rank = rankOf(update);
  const width = widthOf(update);
  const words = [
    'update', ranks.join(','), tasksIncludeShared && 'v2', masked && 'masked', width === 4 && 'vec4',
  ];
  return {
    key: words.filter(Boolean).join(' '),
    masked: masked ?? false,
    bindings: `@group(0) @binding(5) var<storage, read> p: array<${width === 4 ? 'vec4f' : 'f32'}>;
@group(0) @binding(6) var<storage, read> bt: array<${form.store === 'vec4' ? 'vec4f' : 'f32'}>;`,
    body: `${lines(Math.ceil(rank / BLOCK), (h) => fillBlock(form, h, Math.min(BLOCK, rank - h * BLOCK)))}
  for (var r = r0; r < r1; r++) {
${lines(Math.ceil(rank / (width * form.lanes)), (q) => {
  const column = `min((${q * form.lanes}u + lane) * ${width}u, ${rank - width}u)`;
  return `    let p${q} = p[(r * params.update_row + ${column}) / ${width}u];`;
})}
${lines(form.columns, (c) => `    var y${c} = 0.0;`)}
${loadRow(form)}
${branches(form, update)}
  }`,
  };
}

const rankOf = ({ ranks }: Update): number => ranks.reduce((a, b) => a + b, 0);

/** Values in a row of P. */
export const rowOf = (update: Update): number => update.row ?? rankOf(update);

// values of p that a lane loads at once
const widthOf = (update: Update): 1 | 4 => (rankOf(update) | rowOf(update)) % 4 === 0 ? 4 : 1;

function fillBlock({ lanes, columns, store }: Form, h: number, depth: number): string {
  const quads = columns / 4;
  const values = range(4).map((e) => `bt[at + min(column + ${e}u, params.n - 1u)]`).join(', ');
  return `  var up${h}: array<vec4f, ${depth * quads}>;
  for (var i = 0u; i < ${depth * quads}u + zero; i++) {
    let at = (${h * BLOCK}u + i / ${quads}u) * params.n;
    let column = c0 + lane * 4u + i % ${quads}u * ${4 * lanes}u;
    up${h}[i] = ${store === 'vec4' ? 'bt[(at + min(column, params.n - 4u)) >> 2u]' : `vec4f(${values})`};
  }`;
}

function branches(form: Form, update: Update): string {
  const { ranks, tasksIncludeShared, masked = false } = update;
  const add = (name: string, offset: number, rank: number): string =>
    addBranch(form, widthOf(update), name, offset, rank);
  const offsets = ranks.map((_, g) => ranks.slice(0, g).reduce((a, b) => a + b, 0));
  const first = masked ? maskedBranch(form, add('u', 0, ranks[0]!)) : add('y', 0, ranks[0]!);
  const shared = `${first}\n${storeRow(form, 'y', 0)}`;
  const tasks = range(ranks.length - 1).map((t) => apart(rankOf(update) + t, `
${lines(form.columns, (c) => `    var t${c} = y${c};`)}
${add('t', offsets[t + 1]!, ranks[t + 1]!)}
${storeRow(form, 't', t + 1)}`));
  return (tasksIncludeShared ? [shared, ...tasks] : [...tasks, shared]).join('\n');
}

// the sum apart, as only it is dropped
function maskedBranch(form: Form, sum: string): string {
  return `${lines(form.columns, (c) => `      var u${c} = 0.0;`)}
${sum}
${dropOutputs(form, 'u')}
${lines(form.columns, (c) => `      y${c} += u${c};`)}`;
}

function addBranch(
  { lanes, columns }: Form, width: 1 | 4, name: string, offset: number, rank: number,
): string {
  const term = (j: number): string => {
    const row = offset + j;
    const block = Math.floor(row / BLOCK);
    const value = (c: number): string => `up${block}[${row % BLOCK * columns / 4 + (c >> 2)}][${c & 3}]`;
    const terms = range(columns).map((c) => `${name}${c} += x * ${value(c)};`).join(' ');
    const held = `p${Math.floor(row / (width * lanes))}${width === 4 ? `[${row % 4}]` : ''}`;
    return `      { let x = subgroupBroadcast(${held}, ${Math.floor(row / width) % lanes}u); ${terms} }`;
  };
  return lines(Math.ceil(rank / BLOCK), (h) =>
    apart(offset + h * BLOCK, lines(Math.min(BLOCK, rank - h * BLOCK), (j) => term(h * BLOCK + j))));
}

const rowAt = (g: number): string => `y_at + ${g}u * params.y_stream + r * params.y_row`;

function loadRow(form: Form): string {
  if (form.store === 'scalar') {
    return lines(form.columns, (c) => {
      const column = columnOf(form, `${c}u`);
      return `    if (${column} < params.n) { y${c} = y[${rowAt(0)} + ${column}]; }`;
    });
  }
  return lines(form.columns / 4, (q) => {
    const quad = `y[(${rowAt(0)} + c0 + lane * 4u + ${4 * q * form.lanes}u) >> 2u]`;
    return `    { let old = ${quad}; ${range(4).map((e) => `y${4 * q + e} = old[${e}];`).join(' ')} }`;
  });
}

function storeRow(form: Form, name: string, g: number): string {
  if (form.store === 'scalar') {
    return lines(form.columns, (c) => {
      const column = columnOf(form, `${c}u`);
      return `      if (${column} < params.n) { y[${rowAt(g)} + ${column}] = ${name}${c}; }`;
    });
  }
  return lines(form.columns / 4, (q) => {
    const values = range(4).map((e) => `${name}${4 * q + e}`).join(', ');
    const at = `(${rowAt(g)} + c0 + lane * 4u + ${4 * q * form.lanes}u) >> 2u`;
    return `      if (${insideQuad(form, q)}) { y[${at}] = vec4f(${values}); }`;
  });
}
