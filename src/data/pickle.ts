import { Machine } from './pickle_machine.ts';
import type { Hooks } from './pickle_machine.ts';

// A pickle is a program for a stack machine, and Python's own reader calls whatever it names. This one runs
// the opcodes of protocols 2 to 5 but knows no functions: what a name does is up to `hooks`, and a name they
// do not know becomes an inert record.
//
//   dict → Map    list, tuple → array    set → Set    int, float → number, bigint beyond 2^53    None → null

/** Far above any checkpoint (a tensor takes some 30), and what bounds a hostile one's memory. */
const MAX_OPCODES = 4_000_000;
const STOP = 0x2e;

/** Runs the pickle at `start`; `end` is the byte after it. */
export function unpickle(bytes: Uint8Array, start: number, hooks: Hooks): { value: unknown; end: number } {
  const machine = new Machine(bytes, start, hooks);
  for (let count = 0; count < MAX_OPCODES; count++) {
    const at = machine.at;
    const code = machine.uint(1);
    if (code === STOP) return { value: machine.pop(), end: machine.at };
    const run = OPCODES.get(code);
    if (!run) throw new Error(`byte ${at}: pickle opcode ${code} is not one of protocols 2 to 5`);
    run(machine);
  }
  throw new Error(`a pickle of more than ${MAX_OPCODES} opcodes is refused`);
}

const OPCODES = new Map<number, (m: Machine) => void>([
  [0x80, (m) => protocol(m.uint(1))], // PROTO
  [0x95, (m) => void m.take(8)], // FRAME: its length only helps reading ahead

  [op('N'), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [op('J'), (m) => m.push(m.int32())],
  [op('K'), (m) => m.push(m.uint(1))],
  [op('M'), (m) => m.push(m.uint(2))],
  [op('G'), (m) => m.push(m.float64())],
  [0x8a, (m) => m.push(m.long(m.uint(1)))], // LONG1
  [0x8b, (m) => m.push(m.long(m.uint(4)))], // LONG4

  [0x8c, (m) => m.push(m.text(m.uint(1)))], // SHORT_BINUNICODE
  [op('X'), (m) => m.push(m.text(m.uint(4)))],
  [0x8d, (m) => m.push(m.text(m.uint(8)))], // BINUNICODE8
  [op('U'), (m) => m.push(m.text(m.uint(1), 'latin1'))], // str of Python 2
  [op('T'), (m) => m.push(m.text(m.uint(4), 'latin1'))],
  [op('C'), (m) => m.push(m.take(m.uint(1)))],
  [op('B'), (m) => m.push(m.take(m.uint(4)))],
  [0x8e, (m) => m.push(m.take(m.uint(8)))], // BINBYTES8
  [0x96, (m) => m.push(m.take(m.uint(8)))], // BYTEARRAY8

  [op('('), (m) => m.mark()],
  [op('0'), (m) => void m.pop()],
  [op('1'), (m) => void m.popToMark()],
  [op('2'), (m) => m.push(m.top())],

  [op(']'), (m) => m.push([])],
  [op('l'), (m) => m.push(m.popToMark())],
  [op('a'), (m) => m.append(m.popMany(1))],
  [op('e'), (m) => m.append(m.popToMark())],
  [op(')'), (m) => m.push([])],
  [op('t'), (m) => m.push(m.popToMark())],
  [0x85, (m) => m.push(m.popMany(1))], // TUPLE1
  [0x86, (m) => m.push(m.popMany(2))],
  [0x87, (m) => m.push(m.popMany(3))],

  [op('}'), (m) => m.push(new Map())],
  [op('s'), (m) => m.setItems(m.popMany(2))],
  [op('u'), (m) => m.setItems(m.popToMark())],
  [0x8f, (m) => m.push(new Set())], // EMPTY_SET
  [0x90, (m) => m.addItems(m.popToMark())], // ADDITEMS
  [0x91, (m) => m.push(new Set(m.popToMark()))], // FROZENSET

  [op('q'), (m) => void m.memo.set(m.uint(1), m.top())],
  [op('r'), (m) => void m.memo.set(m.uint(4), m.top())],
  [0x94, (m) => void m.memo.set(m.memo.size, m.top())], // MEMOIZE
  [op('h'), (m) => m.recall(m.uint(1))],
  [op('j'), (m) => m.recall(m.uint(4))],

  [op('c'), (m) => m.pushGlobal([m.line(), m.line()])],
  [0x93, (m) => m.pushGlobal(m.popMany(2))], // STACK_GLOBAL
  [op('R'), (m) => m.call(m.pop(), m.pop())],
  [0x81, (m) => m.call(m.pop(), m.pop())], // NEWOBJ
  [op('b'), (m) => m.build()],
  [op('Q'), (m) => m.push(m.hooks.persistent(m.pop()))],
]);

function op(letter: string): number {
  return letter.charCodeAt(0);
}

function protocol(version: number): void {
  if (version < 2 || version > 5) throw new Error(`pickle protocol ${version} is not one of 2 to 5`);
}
