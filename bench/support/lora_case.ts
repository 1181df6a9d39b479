import { normals } from '../../src/autograd/gradcheck.ts';

/** The adapted linear layer at one shape: m tokens, k inputs, n outputs, a shared branch and one a task. */
export type LoraCase = {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly rank: number;
  readonly taskRank: number;
  readonly tasks: number;
  /** Whether each task has a stream of its own as input. */
  readonly own: boolean;
};

export const SCALE = 4;

export const ranksOf = ({ rank, taskRank, tasks }: LoraCase): number[] =>
  [rank, ...Array.from({ length: tasks }, () => taskRank)];

export function caseName({ m, k, n, rank, tasks, own }: LoraCase): string {
  const count = `${tasks} task${tasks === 1 ? '' : 's'}`;
  return `${m}×${k}→${n}, r ${rank}, ${count}, ${own ? 'own' : 'shared'} input`;
}

/** x [G or 1, m, k] · w [n, k] · bias [n] · a [R, k] · bt [R, n] · dy [G, m, n] */
export type HostInputs = Readonly<Record<'x' | 'w' | 'bias' | 'a' | 'bt' | 'dy', Float32Array>>;

/** The same values in every process. */
export function hostInputs(each: LoraCase): HostInputs {
  const { m, k, n, tasks, own } = each;
  const rank = ranksOf(each).reduce((a, b) => a + b);
  const random = normals(3);
  const draw = (length: number, size: number): Float32Array =>
    Float32Array.from({ length }, () => size * random());
  return {
    x: draw((own ? 1 + tasks : 1) * m * k, 1), w: draw(n * k, k ** -0.5), bias: draw(n, 1),
    a: draw(rank * k, k ** -0.5), bt: draw(rank * n, 0.1), dy: draw((1 + tasks) * m * n, 1),
  };
}

type Counts = Record<'forward' | 'both', number>;

/** Operations of a run: the base product and each branch's two thin ones; backward, of dx, dP, dA and dB. */
export function flopsOf({ m, k, n, rank, taskRank, tasks }: LoraCase): Counts {
  const thin = rank + tasks * taskRank;
  const forward = 2 * m * (n * k + thin * (n + k));
  return { forward, both: forward + 2 * m * (n * k + 2 * thin * (n + k)) };
}

/** Bytes that a run must move at least: each input read once, each output written once. */
export function bytesOf({ m, k, n, rank, taskRank, tasks, own }: LoraCase): Counts {
  const thin = (rank + tasks * taskRank) * (n + k);
  const [x, y] = [(own ? 1 + tasks : 1) * m * k, (1 + tasks) * m * n];
  const forward = 4 * (x + y + n * k + n + thin);
  return { forward, both: forward + 4 * (2 * x + y + n * k + 2 * thin) };
}
