// Where configuration values come from: YAML files with their includes, `--opts`, flags. Each is a layer of
// texts that remembers the place of every field, so that an error can point at it.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, ParsedNode } from 'yaml';

type Tree = { [key: string]: unknown };

/** Values, and for each field `A.B.C` the places of its key and of its value. */
export type Layer = { values: Tree; places: Map<string, { key: string; value: string }> };

export function emptyLayer(): Layer {
  return { values: {}, places: new Map() };
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mergeTrees(under: Tree, over: Tree): Tree {
  const merged: Tree = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? mergeTrees(below, value) : value;
  }
  return merged;
}

/** Groups merge field by field; anything else in a later layer replaces what the earlier ones said. */
export function mergeLayers(...layers: Layer[]): Layer {
  return layers.reduce((under, over) => ({
    values: mergeTrees(under.values, over.values),
    places: new Map([...under.places, ...over.places]),
  }), emptyLayer());
}

/** Sets field `A.B.C`, which `place` gave. */
export function setField(layer: Layer, field: string, value: unknown, place: string): void {
  const keys = field.split('.');
  let group = layer.values;
  for (const key of keys.slice(0, -1)) {
    const inner = Object.hasOwn(group, key) ? group[key] : undefined;
    group = isTree(inner) ? inner : (group[key] = Object.create(null) as Tree);
  }
  group[keys.at(-1)!] = value;
  keys.forEach((_, i) => layer.places.set(keys.slice(0, i + 1).join('.'), { key: place, value: place }));
}

/** Texts, lists and groups of a YAML document; scalars stay texts, which the schema interprets. */
function readNode(node: ParsedNode | null, document: Document, field: string, layer: Layer,
  place: (offset: number) => string): unknown {
  if (node === null) return '';
  if (isAlias(node)) {
    const target = node.resolve(document) as ParsedNode | undefined;
    return readNode(target ?? null, document, field, layer, place);
  }
  if (isScalar(node)) return node.value === null ? '' : String(node.value);
  if (isSeq(node)) {
    return node.items.map((item, i) => readNode(item, document, `${field}.${i}`, layer, place));
  }
  if (!isMap(node)) throw new Error(`${place(0)} ${field}: must be plain YAML`);

  const tree = Object.create(null) as Tree;
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    const inner = field === '' ? key : `${field}.${key}`;
    const keyPlace = place(pair.key.range[0]);
    if (key === '') throw new Error(`${keyPlace} ${field}: a field name must be text`);
    layer.places.set(inner, { key: keyPlace, value: pair.value ? place(pair.value.range[0]) : keyPlace });
    tree[key] = readNode(pair.value, document, inner, layer, place);
  }
  return tree;
}

function parseYaml(file: string, source: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(source, { schema: 'failsafe', lineCounter: lines, prettyErrors: false });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  // a warning is of a tag, such as !!python/tuple, whose meaning would be lost
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) {
    throw new Error(problems.map(({ pos, code, message }) => {
      const says = code === 'MULTIPLE_DOCS' ? 'must be one YAML document' : message;
      return `${place(pos[0])} ${says}`;
    }).join('\n'));
  }
  const layer = emptyLayer();
  const values = readNode(document.contents, document, '', layer, place);
  if (values !== '' && !isTree(values)) throw new Error(`${file}:1:1 must hold fields such as "MODEL:"`);
  return { values: values === '' ? {} : values, places: layer.places };
}

function readSource(file: string, origin: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${origin}cannot read "${file}": ${(error as Error).message}`, { cause: error });
  }
}

/** A YAML file over the files that its BASE names, which stand relative to it. */
export function readYamlLayers(file: string, origin = '', including: readonly string[] = []): Layer {
  if (including.includes(file)) throw new Error(`${origin}"${file}" includes itself`);
  const layer = parseYaml(file, readSource(file, origin));
  const named = layer.values.BASE ?? [];
  const bases = (Array.isArray(named) ? named : [named]).filter((base) => base !== '');
  const where = `${layer.places.get('BASE')?.value} BASE: `;
  const under = bases.map((base) =>
    readYamlLayers(join(dirname(file), String(base)), where, [...including, file]));
  return mergeLayers(...under, layer);
}

/** `--opts KEY VALUE KEY VALUE …` */
export function optsLayer(opts: readonly string[]): Layer {
  if (opts.length % 2 !== 0) {
    throw new Error(`--opts: must be pairs of a field and a value, got "${opts.at(-1)}" without a value`);
  }
  const layer = emptyLayer();
  for (let i = 0; i < opts.length; i += 2) setField(layer, opts[i]!, opts[i + 1], '--opts');
  return layer;
}
