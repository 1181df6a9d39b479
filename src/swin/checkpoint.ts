import { resizeBiasTable } from './bias_table.ts';

// Which tensor of a file goes to which of the model. A file is a stock Swin classifier's or a multi-task
// model's; the model adapts some linears, whose own weights then stand one level deeper:
//
//   layers.0.blocks.0.attn.qkv.weight  →  backbone.layers.0.blocks.0.attn.qkv.linear.weight

/** What the mapping reads of a tensor; whoever read the file knows the rest. */
export type FileTensor = {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
};
type ResizedTable = FileTensor & { readonly dtype: 'F32'; readonly data: Float32Array };
type Resized = { readonly name: string; readonly from: readonly number[]; readonly to: readonly number[] };
/** A tensor that the model has, parameter or buffer. */
export type Target = { readonly name: string; readonly shape: readonly number[] };
export type MapOptions = {
  /** The file holds a backbone alone, without the prefix `backbone.`. */
  readonly backbone?: boolean;
  /** Leave the decoders as they start. */
  readonly skipDecoder?: boolean;
  /** Refuse a bias table of another window instead of resizing it, as the release does by default. */
  readonly strictTables?: boolean;
};
export type Mapping<T> = {
  /** By the model's names. */
  readonly values: Map<string, T | ResizedTable>;
  /** Names of the model that the file does not fill; they keep their start. */
  readonly missing: string[];
  /** Names of the file that the model has no place for. */
  readonly unexpected: string[];
  readonly resized: Resized[];
};

const BACKBONE = 'backbone.';
const SITES = /\.(attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2|downsample\.reduction)\.(weight|bias)$/;
const TABLE = '.relative_position_bias_table';
const INDEX = '.relative_position_index';
const MASK = 'attn_mask';
const LISTED = 20;

/** Finds a place in the model for every tensor of a file. Pure: nothing is loaded yet. */
export function mapCheckpoint<T extends FileTensor>(
  source: ReadonlyMap<string, T>, target: readonly Target[], options: MapOptions = {},
): Mapping<T> {
  const prefix = options.backbone ? BACKBONE : '';
  const reachable = target.filter(({ name }) => name.startsWith(prefix));
  const places = new Map(reachable.map(({ name, shape }) => [name, shape]));
  const mapping: Mapping<T> = { values: new Map(), missing: [], unexpected: [], resized: [] };
  const misfits: string[] = [];
  for (const [name, tensor] of source) {
    if (name.includes(MASK) || (options.skipDecoder && name.startsWith('decoders'))) continue;
    const place = [prefix + name, adaptedName(prefix + name)].find((candidate) => places.has(candidate));
    if (place === undefined) {
      mapping.unexpected.push(name);
      continue;
    }
    if (mapping.values.has(place)) {
      throw new Error(`"${place}" must be in the file once, got it with two names`);
    }
    const shape = places.get(place)!;
    if (!fit(mapping, place, tensor, shape, options)) {
      misfits.push(`"${name}" must be ${bracketed(shape)}, got ${bracketed(tensor.shape)}`);
    }
  }
  if (misfits.length > 0) throw new Error(listed(misfits));
  if (mapping.values.size === 0) throw new Error(nothingFits(source, places));
  mapping.missing.push(...[...places.keys()].filter((name) => !mapping.values.has(name)));
  return mapping;
}

/** The name that a linear's own weight has inside an adapted layer. */
function adaptedName(name: string): string {
  return name.replace(SITES, '.$1.linear.$2');
}

/** Puts `tensor` to `place`, whose shape is `shape`; false where it cannot be. */
function fit<T extends FileTensor>(
  { values, resized }: Mapping<T>, place: string, tensor: T, shape: readonly number[], options: MapOptions,
): boolean {
  if (sameShape(tensor.shape, shape)) {
    values.set(place, tensor);
    return true;
  }
  if (options.strictTables) return false;
  if (place.endsWith(INDEX)) return true; // the model's own index is that of its window
  if (!place.endsWith(TABLE) || !isTable(tensor.shape) || !isTable(shape)) return false;
  if (tensor.shape[1] !== shape[1]) return false; // heads
  if (!(tensor.data instanceof Float32Array)) {
    throw new Error(`"${place}" must be F32 to be resized to another window, got ${tensor.dtype}`);
  }
  values.set(place, { dtype: 'F32', shape, data: resizeBiasTable(tensor.data, shape[1]!, shape[0]!) });
  resized.push({ name: place, from: tensor.shape, to: shape });
  return true;
}

/** [(2M−1)², heads] */
function isTable(shape: readonly number[]): boolean {
  return shape.length === 2 && Math.sqrt(shape[0]!) % 2 === 1;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((side, axis) => side === b[axis]);
}

function nothingFits(source: ReadonlyMap<string, unknown>, places: ReadonlyMap<string, unknown>): string {
  const [inFile] = source.keys();
  const [inModel] = places.keys();
  return `the file must hold tensors of this model like "${inModel}", got ${source.size} like "${inFile}"`;
}

/** The lines of a report on what was loaded, what not, and what becomes of that. */
export function describeMapping({ values, missing, unexpected, resized }: Mapping<unknown>): string[] {
  const kinds = Map.groupBy(missing, (name) => REASONS.find(([pattern]) => pattern.test(name))?.[1] ?? '');
  const sizes = new Set(resized.map(({ from, to }) => `${bracketed(from)} → ${bracketed(to)}`));
  return [
    `loaded ${values.size} tensors`,
    ...[...kinds].map(([reason, names]) => `missing ${names.length}: ${reason || listed(names.map(quoted))}`),
    `unexpected ${unexpected.length}, left out: ${listed(unexpected.map(quoted))}`,
    `resized ${resized.length} relative position bias tables: ${[...sizes].join(', ')}`,
  ].filter((line) => !/^(unexpected|resized) 0/.test(line));
}

/** Why a name of the model may well be missing from a file. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/\.lora_/, 'low-rank branches, which start anew'],
  [/attn_mask$/, 'attention masks, which follow from the image size'],
  [/\.relative_position_index$/, 'position indices, which follow from the window size'],
  [/^(decoders|downsampler)\./, 'decoders, which start anew'],
];

function bracketed(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

function quoted(name: string): string {
  return `"${name}"`;
}

function listed(items: readonly string[]): string {
  const more = items.length - LISTED;
  return items.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
