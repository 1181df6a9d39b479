import { size, type Shape } from '../autograd/shape.ts';
import { constantTable, makeTensor, type Dtype, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Program } from '../gpu/program.ts';
import { createStorage, expectBindable, rangeOf, type Storage } from '../gpu/storage.ts';

/** What a random op keeps: a stream of its own, the chance as a threshold, the factor of what is kept. */
export type Draw = { readonly stream: number; readonly threshold: number; readonly factor: number };

type Kind = 'bits' | 'factors';

// bytes that a chunk of the kernel has, a multiple of what any device binds at, and their type
const CHUNKS = {
  bits: { bytes: 2048, dtype: 'u32' }, factors: { bytes: 256, dtype: 'f32' },
} as const satisfies Record<Kind, { bytes: number; dtype: Dtype }>;

/** The masks that one launch draws, and what holds them: it grows while the program is traced. */
type Pool = {
  readonly whole: { -readonly [Key in keyof Storage]: Storage[Key] };
  /** Of each mask its first chunk, stream, threshold and the bits of its factor. */
  readonly rows: number[];
  readonly drawn: Map<string, Tensor>;
};

const pools = new WeakMap<Program, Map<Kind, Pool>>();

/**
 * A mask that is drawn before the program's other launches, together with all others of its kind. The same
 * draw asked for again, as when a block runs again in backward, is the same tensor.
 *
 * @returns `bits`: u32, bit i % 32 of word i / 32 for element i · `factors`: `factor` or 0 for each element
 */
export function drawnMask(kind: Kind, op: string, shape: Shape, draw: Draw): Tensor {
  const { gpu } = tracing(op);
  const { bytes: chunk, dtype } = CHUNKS[kind];
  const length = 4 * size(shape);
  const bytes = Math.ceil(length / chunk) * chunk;
  expectBindable(`${op} mask`, bytes, gpu.limits);
  const pool = poolFor(kind, bytes);
  const key = [draw.stream, draw.threshold, draw.factor, ...shape].join();
  const known = pool.drawn.get(key);
  if (known) return known;
  const at = pool.whole.bytes;
  const mask = makeTensor(shape, rangeOf(pool.whole, `${op} mask`, at, length), false, dtype);
  pool.rows.push(at / chunk, draw.stream, draw.threshold, bitsOf(draw.factor));
  pool.whole.length = pool.whole.bytes = at + bytes;
  pool.drawn.set(key, mask);
  return mask;
}

/** The program's open pool, or a new one where that would become too large to be bound. */
function poolFor(kind: Kind, more: number): Pool {
  const program = tracing(kind);
  let own = pools.get(program);
  if (!own) pools.set(program, own = new Map());
  const open = own.get(kind);
  if (open && open.whole.bytes + more <= program.gpu.limits.maxStorageBufferBindingSize) return open;
  const pool: Pool = { whole: createStorage(`drawn ${kind}`, 0, null), rows: [], drawn: new Map() };
  pool.whole.bytes = 0;
  own.set(kind, pool);
  program.openings.push(() => {
    const masks = constantTable(program.gpu, pool.rows);
    const chunks = pool.whole.bytes / CHUNKS[kind].bytes;
    const params = { count: pool.rows.length / 4, chunks };
    const WG = program.gpu.deviceClass === 'software' ? 8 : 64;
    dispatch(`drawn_masks/draw_${kind}`, { masks, [kind]: { storage: pool.whole } }, {
      params, tuning: { WG }, workgroups: chunks,
    });
  });
  return pool;
}

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;
