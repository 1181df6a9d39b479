/** A Python object of a class nobody asked for: what the pickle said about it, and nothing done. */
export class Inert {
  readonly global: string;
  /** What it was called with; null for the bare name. */
  readonly args: readonly unknown[] | null;
  state: unknown = undefined;
  readonly items = new Map<unknown, unknown>();
  readonly list: unknown[] = [];

  constructor(global: string, args: readonly unknown[] | null) {
    this.global = global;
    this.args = args;
  }
}

export type Hooks = {
  /** The value of `global(...args)`, or undefined to have it inert. */
  call(global: string, args: readonly unknown[]): unknown;
  /** The value that stands outside the pickle under `id`. */
  persistent(id: unknown): unknown;
};

const MAX_INTEGER_BYTES = 64;

/** The stack, memo and cursor that the opcodes of a pickle work on. */
export class Machine {
  at: number;
  stack: unknown[] = [];
  readonly hooks: Hooks;
  readonly memo = new Map<number, unknown>();
  readonly #marked: unknown[][] = [];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at: number, hooks: Hooks) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.hooks = hooks;
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.at, this.at + length);
    if (taken.length !== length) throw new Error(`byte ${this.at}: the pickle is cut short`);
    this.at += length;
    return taken;
  }

  /** Unsigned, little-endian; one beyond 2^53 is a length that no file has, so rounding it is no harm. */
  uint(length: 1 | 2 | 4 | 8): number {
    const at = this.at;
    this.take(length);
    if (length === 1) return this.#view.getUint8(at);
    if (length === 2) return this.#view.getUint16(at, true);
    if (length === 4) return this.#view.getUint32(at, true);
    return Number(this.#view.getBigUint64(at, true));
  }

  int32(): number {
    this.take(4);
    return this.#view.getInt32(this.at - 4, true);
  }

  float64(): number {
    this.take(8);
    return this.#view.getFloat64(this.at - 8); // the one big-endian field of the format
  }

  text(length: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const { buffer, byteOffset } = this.take(length);
    return Buffer.from(buffer, byteOffset, length).toString(encoding);
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new Error(`byte ${this.at}: the pickle is cut short`);
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }

  /** Two's complement, little-endian, of any length. */
  long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) {
      throw new Error(`byte ${this.at}: an integer of ${length} bytes is refused`);
    }
    let value = 0n;
    for (const byte of this.take(length).toReversed()) value = value * 256n + BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length === 0) throw new Error(`byte ${this.at}: the pickle takes from an empty stack`);
    return this.stack.pop();
  }

  popMany(count: number): unknown[] {
    if (this.stack.length < count) throw new Error(`byte ${this.at}: the pickle takes from an empty stack`);
    return this.stack.splice(this.stack.length - count);
  }

  mark(): void {
    this.#marked.push(this.stack);
    this.stack = [];
  }

  popToMark(): unknown[] {
    const items = this.stack;
    const below = this.#marked.pop();
    if (!below) throw new Error(`byte ${this.at}: the pickle takes to a mark that it did not set`);
    this.stack = below;
    return items;
  }

  top(): unknown {
    const top = this.pop();
    this.push(top);
    return top;
  }

  recall(key: number): void {
    if (!this.memo.has(key)) {
      throw new Error(`byte ${this.at}: the pickle recalls memo ${key} that it did not store`);
    }
    this.push(this.memo.get(key));
  }

  pushGlobal([module, name]: readonly unknown[]): void {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw new Error(`byte ${this.at}: the pickle names by what is no text`);
    }
    this.push(new Inert(`${module}.${name}`, null));
  }

  append(items: readonly unknown[]): void {
    const top = this.top();
    const list = top instanceof Inert ? top.list : top;
    if (!Array.isArray(list)) throw new Error(`byte ${this.at}: the pickle appends to what is no list`);
    for (const item of items) list.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const top = this.top();
    const map = top instanceof Inert ? top.items : top;
    if (!(map instanceof Map) || items.length % 2 !== 0) {
      throw new Error(`byte ${this.at}: the pickle sets items of what is no dict`);
    }
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  }

  addItems(items: readonly unknown[]): void {
    const top = this.top();
    if (!(top instanceof Set)) throw new Error(`byte ${this.at}: the pickle adds to what is no set`);
    for (const item of items) top.add(item);
  }

  call(args: unknown, callee: unknown): void {
    if (!(callee instanceof Inert) || !Array.isArray(args)) {
      throw new Error(`byte ${this.at}: the pickle calls what is no name`);
    }
    const value = callee.args === null ? this.hooks.call(callee.global, args) : undefined;
    this.push(value === undefined ? new Inert(callee.global, args) : value);
  }

  /** Attributes: kept of an inert record, dropped of a dict (OrderedDict's `_metadata`) or a tensor. */
  build(): void {
    const state = this.pop();
    const top = this.top();
    if (top instanceof Inert) top.state = state;
    else if (typeof top !== 'object' || top === null) {
      throw new Error(`byte ${this.at}: the pickle gives attributes to what is no object`);
    }
  }
}
