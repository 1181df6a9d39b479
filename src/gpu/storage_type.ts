// Kernels are written once, in f32. Where a launch binds f16 tensors, their bindings are declared so and each
// access converts: what is computed stays f32.
import { GpuError } from './errors.ts';
import { parseKernel, type Binding, type KernelSource } from './wgsl.ts';

/** What loads of a binding give, and what it holds in halves. */
type Conversion = { readonly loaded: string; readonly stored: string };

const STORED: Readonly<Record<string, string>> = {
  'f32': 'f16', 'vec2f': 'vec2<f16>', 'vec4f': 'vec4<f16>',
  'vec2<f32>': 'vec2<f16>', 'vec4<f32>': 'vec4<f16>',
};

/** What a binding holds: floats, which may be stored as halves, or something else. */
export function floatsOf(source: KernelSource, binding: Binding): 'f32' | 'f16' | null {
  const element = elementOf(source, binding);
  if (element !== null && STORED[element] !== undefined) return 'f32';
  return Object.values(STORED).some((stored) => stored === element) ? 'f16' : null;
}

/**
 * The same kernel with the bindings of `names`, which hold floats, stored as f16. Loads `x[i]` become
 * `f32(x[i])`, assignments `x[i] = v` become `x[i] = f16(v)`, vectors likewise; line numbers stay.
 *
 * @throws GpuError where the kernel does anything else with one of them
 */
export function storedAsHalves(source: KernelSource, names: readonly string[]): KernelSource {
  const conversions = new Map(names.map((name) => {
    const loaded = elementOf(source, source.bindings.get(name)!)!;
    return [name, { loaded, stored: STORED[loaded]! }] as const;
  }));
  const code = new Rewriter(source, conversions).rewritten();
  const enabled = /^\s*enable\s+f16;/m.test(code) ? code : `enable f16; ${code}`;
  return parseKernel(source.file, enabled, {}, source.parts);
}

function elementOf({ code }: KernelSource, { type }: Binding): string | null {
  const element = /^array<([\w<>]+)>$/.exec(type)?.[1] ?? null;
  return new RegExp(String.raw`alias\s+${element}\s*=\s*([^;]+);`).exec(code)?.[1]?.trim() ?? element;
}

function refused({ file }: KernelSource, name: string, says: string): GpuError {
  return new GpuError(`${file}: to be stored as f16, "${name}" ${says}`);
}

// a comment, a local's declaration, a name with what stands before it, or any other character
const TOKEN = /\/\/[^\n]*|(?:let|var|const)\s+\w+|&&|(?:[.&]\s*)?[A-Za-z_]\w*|\d\w*(?:\.\w*)?|[^]/y;

/** Copies WGSL text from one end to the other and converts the accesses on its way. */
class Rewriter {
  readonly #source: KernelSource;
  readonly #conversions: ReadonlyMap<string, Conversion>;
  /** Locals and parameters of a binding's name, with the depth of braces that they live in. */
  readonly #shadows = new Map<string, number>();
  #declaring: string | null = null;
  #depth = 0;
  #at = 0;

  constructor(source: KernelSource, conversions: ReadonlyMap<string, Conversion>) {
    this.#source = source;
    this.#conversions = conversions;
  }

  rewritten(): string {
    return this.#copy(() => this.#at >= this.#source.code.length);
  }

  #copy(done: () => boolean): string {
    let text = '';
    while (!done()) text += this.#next();
    return text;
  }

  #next(): string {
    const token = this.#take(TOKEN)!;
    if (token === '{') this.#depth++;
    if (token === '}') this.#leave();
    if (token === ';') this.#declare();
    const [, local] = /^(?:let|var|const)\s+(\w+)$/.exec(token) ?? [];
    if (local !== undefined && this.#conversions.has(local)) this.#declaring = local;
    const name = token.replace(/^&\s*/, '');
    const conversion = this.#conversions.get(name);
    return conversion && !this.#shadows.has(name) ? this.#access(token, name, conversion) : token;
  }

  // a local is known from the end of its declaration on
  #declare(): void {
    if (this.#declaring !== null) this.#shadows.set(this.#declaring, this.#depth);
    this.#declaring = null;
  }

  #leave(): void {
    this.#depth--;
    for (const [name, depth] of this.#shadows) if (depth > this.#depth) this.#shadows.delete(name);
  }

  /** What stands for a binding's name: its declaration, a load, a store, or another thing of that name. */
  #access(token: string, name: string, { loaded, stored }: Conversion): string {
    if (token !== name) throw refused(this.#source, name, 'must not be pointed at');
    if (this.#take(/\s*:\s*array<[\w<>]+>(?=;)/y) !== undefined) return `${name}: array<${stored}>`;
    const field = this.#take(/\s*:/y);
    if (field !== undefined) {
      if (this.#depth === 0) this.#shadows.set(name, 1);                        // a function's parameter
      return name + field;
    }
    if (this.#take(/\s*\[/y) === undefined) {
      throw refused(this.#source, name, 'must be read and written by element');
    }
    const element = `${name}[${this.#until(']')}]`;
    const rest = this.#source.code.slice(this.#at, this.#source.code.indexOf(';', this.#at));
    if (/^\s*[-+*/%]=/.test(rest) || /^(?:\s*\.\w+|\s*\[[^\]]*\])+\s*[-+*/%]?=[^=]/.test(rest)) {
      throw refused(this.#source, name, 'must be assigned whole elements by "="');
    }
    return this.#take(/\s*=(?!=)\s*/y) === undefined
      ? `${loaded}(${element})`
      : `${element} = ${stored}(${this.#until(';')});`;
  }

  /** Copies up to a closing character, which is left out. */
  #until(end: ']' | ';'): string {
    let open = 0;
    const text = this.#copy(() => {
      const next = this.#source.code[this.#at]!;
      if (open === 0 && next === end) return true;
      if ('(['.includes(next)) open++;
      if (')]'.includes(next)) open--;
      return false;
    });
    this.#at += 1;
    return text;
  }

  /** What follows, if it is that, and goes past it. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source.code)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}
