// One tensor of a state dict, and how its values start.

export type Init =
  | { readonly kind: 'constant'; readonly value: number }
  /** Uniform in ±bound. */
  | { readonly kind: 'uniform'; readonly bound: number }
  /** Normal with this standard deviation; values beyond ±cut are drawn again. */
  | { readonly kind: 'normal'; readonly std: number; readonly cut: number }
  /** Relative position of each pair of tokens in a window: row of the bias table. */
  | { readonly kind: 'positionIndex'; readonly window: number }
  /** 0 between tokens of one region of the shifted grid, −100 between others. */
  | { readonly kind: 'shiftMask'; readonly side: number; readonly window: number; readonly shift: number };

export type Entry = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: 'param' | 'buffer';
  readonly dtype: 'F32' | 'I64';
  readonly init: Init;
};

export const ZERO: Init = { kind: 'constant', value: 0 };
const ONE: Init = { kind: 'constant', value: 1 };

export function sizeOf({ shape }: Entry): number {
  return shape.reduce((size, extent) => size * extent, 1);
}

/** Whether a tensor's values lie on the device: not what follows from sizes, nor BatchNorm's counters. */
export function isHeld({ dtype, init }: Entry): boolean {
  return dtype === 'F32' && init.kind !== 'shiftMask';
}

export function param(name: string, shape: readonly number[], init: Init): Entry {
  return { name, shape, kind: 'param', dtype: 'F32', init };
}

export function buffer(name: string, shape: readonly number[], init: Init,
  dtype: Entry['dtype'] = 'F32'): Entry {
  return { name, shape, kind: 'buffer', dtype, init };
}

/** PyTorch's start of a layer that sums over `fanIn` inputs. */
export function uniformOver(fanIn: number): Init {
  return { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) };
}

export function norm(name: string, channels: number): Entry[] {
  return [param(`${name}.weight`, [channels], ONE), param(`${name}.bias`, [channels], ZERO)];
}

export function batchNorm(name: string, channels: number): Entry[] {
  return [
    ...norm(name, channels),
    buffer(`${name}.running_mean`, [channels], ZERO),
    buffer(`${name}.running_var`, [channels], ONE),
    buffer(`${name}.num_batches_tracked`, [], ZERO, 'I64'),
  ];
}

/** Convolution [out, in, side, side], or a linear layer [out, in] with side 0, started PyTorch's way. */
export function conv(name: string, out: number, input: number, side: number, bias: boolean): Entry[] {
  const init = uniformOver(input * Math.max(side, 1) ** 2);
  const shape = side === 0 ? [out, input] : [out, input, side, side];
  return [param(`${name}.weight`, shape, init), ...bias ? [param(`${name}.bias`, [out], init)] : []];
}
