// panel_store: how panel kernels write a row of y that they hold, a lane its columns y0, y1, … of it.
import { lines, range } from './unroll.ts';
import type { PanelForm } from './matmul_panel.ts';

type Form = Pick<PanelForm, 'lanes' | 'columns' | 'store' | 'bias' | 'mask'>;

// the column of a lane's c-th value, `c` being an expression: vec4 by vec4, so that whole vec4 can be stored
export const columnOf = ({ lanes }: Pick<PanelForm, 'lanes'>, c: string): string =>
  `c0 + lane * 4u + (${c} >> 2u) * ${4 * lanes}u + (${c} & 3u)`;

const quadAt = ({ lanes }: Form, q: number): string =>
  `(y_at + r * params.y_row + c0 + lane * 4u + ${4 * q * lanes}u) >> 2u`;

/** Whether a lane's q-th four columns, a multiple of 4 as n is, lie in y. */
export const insideQuad = ({ lanes }: Pick<Form, 'lanes'>, q: number): string =>
  `c0 + lane * 4u + ${4 * q * lanes}u < params.n`;

/** Adds what y holds and the bias, and stores a row. */
export function finishRow(form: Form): string {
  const sums = lines(form.columns, (c) => `        y${c} += biases[${c}];`);
  return `${form.mask === 'output' ? dropOutputs(form) : ''}
${form.bias ? `      if (k0 == 0u) {\n${sums}\n      }` : ''}
${form.store === 'scalar' ? finishScalars(form) : finishQuads(form)}`;
}

// in a loop, as loads and stores are what takes long to compile
function finishScalars(form: Form): string {
  const { columns } = form;
  return `      var row = array(${range(columns).map((c) => `y${c}`).join(', ')});
      for (var c = 0u; c < ${columns}u + zero; c++) {
        let column = ${columnOf(form, 'c')};
        if (column < params.n) {
          let at = y_at + r * params.y_row + column;
          var sum = row[c];
          if (k0 > 0u || params.accumulate == 1u) { sum += y[at]; }
          y[at] = sum;
        }
      }`;
}

function finishQuads(form: Form): string {
  const stored = lines(form.columns / 4, (q) => {
    const sums = range(4).map((e) => `y${4 * q + e} += old[${e}];`).join(' ');
    return `        { let old = y[${quadAt(form, q)}]; ${sums} }`;
  });
  return `      if (k0 > 0u || params.accumulate == 1u) {
${stored}
      }
${lines(form.columns / 4, (q) => {
    const values = range(4).map((e) => `y${4 * q + e}`).join(', ');
    return `      if (${insideQuad(form, q)}) { y[${quadAt(form, q)}] = vec4f(${values}); }`;
  })}`;
}

/** Loads the bias of a lane's columns. */
export const biasLoad = (form: Form): string => `  var biases: array<f32, ${form.columns}>;
  for (var c = 0u; c < ${form.columns}u + zero; c++) {
    biases[c] = bias[g * params.bias_batch + min(${columnOf(form, 'c')}, params.n - 1u)];
  }`;

/** Drops what the mask does not keep of a row's values. */
export function dropOutputs({ lanes, columns }: Pick<Form, 'lanes' | 'columns'>, name = 'y'): string {
  return lines(columns / 4, (q) => {
    const column = `min(c0 + lane * 4u + ${4 * q * lanes}u, params.n - 4u)`;
    const values = range(4).map((e) => `${name}${4 * q + e} *= keep[${e}];`).join(' ');
    return `      { let keep = kept(r * params.mask_row + ${column}); ${values} }`;
  });
}

export const startQuad = ({ columns }: Form): string => `    var quads: array<vec4f, ${columns}>;`;

/** Keeps the j-th row of four. */
export const keepRow = ({ columns }: Form): string => `      let here = vec4u(0u, 1u, 2u, 3u) == vec4u(j);
${lines(columns, (c) => `      quads[${c}] = select(quads[${c}], vec4f(y${c}), here);`)}`;

/**
 * Adds what y holds to four rows, and stores them: of each column four neighbours, as y lies transposed. In a
 * loop, as loads and stores are what takes long to compile.
 */
export const storeQuad = (form: Form): string => `
    for (var c = 0u; c < ${form.columns}u + zero; c++) {
      let column = ${columnOf(form, 'c')};
      if (column < params.n) {
        let at = (y_at + column * params.y_row + quad) >> 2u;
        var sum = quads[c];
        if (k0 > 0u || params.accumulate == 1u) { sum += y[at]; }
        y[at] = sum;
      }
    }`;
