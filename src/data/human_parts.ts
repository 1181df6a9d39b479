// PASCAL-Part: an image's annotation is a struct with its objects, an object has a mask and a list of parts.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { decoding, FileError, readFile } from './file.ts';
import { writeBytes } from './file_bytes.ts';
import { readMat } from './mat.ts';
import type { MatNumeric, MatStruct, MatValue } from './mat.ts';
import { PART_CLASS, PERSON } from './pascal_classes.ts';
import { makeField } from './sample.ts';
import type { Field } from './sample.ts';
import type { OnBadSample } from './split.ts';

type Part = { name: string; mask: MatNumeric };
/** `category` is PASCAL's class number, `empty` whether no pixel belongs to the object. */
type PartObject = { category: number; empty: boolean; parts: Part[] };
/** For each id the categories of its objects, −1 for an object without a pixel. */
export type PartsIndex = ReadonlyMap<string, readonly number[]>;

const matPath = (root: string, id: string): string => join(root, 'human_parts', `${id}.mat`);

/**
 * Which objects each image of the split has: `ImageSets/Parts/<split>.txt`, or, where it is missing or of
 * other ids, made from all of the annotations and written there. Where bad samples are skipped, annotations
 * that cannot be read count as a person's, so that whoever reads the image meets the error, and nothing is
 * written.
 */
export function readPartsIndex(
  root: string, split: string, ids: readonly string[], onBadSample: OnBadSample,
): PartsIndex {
  const path = join(root, 'ImageSets', 'Parts', `${split}.txt`);
  const stored = readIndexFile(path);
  if (stored && stored.size === new Set(ids).size && ids.every((id) => stored.has(id))) return stored;
  let whole = true;
  const categories = (id: string): number[] => {
    try {
      return readObjects(matPath(root, id)).map(({ category, empty }) => (empty ? -1 : category));
    } catch (error) {
      if (onBadSample === 'error' || !(error instanceof FileError)) throw error;
      whole = false;
      return [PERSON];
    }
  };
  const index = new Map(ids.map((id) => [id, categories(id)] as const));
  if (whole) writeIndexFile(path, index);
  return index;
}

function writeIndexFile(path: string, index: PartsIndex): void {
  const lines = [...index].map(([id, categories]) => `\t${JSON.stringify(id)}: [${categories.join(', ')}]`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeBytes(path, [Buffer.from(`{\n${lines.join(',\n')}\n}\n`)]);
  } catch (error) {
    // Datasets often lie where one may only read. The file saves the next start half a minute, no more.
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** The index, or null where there is none or one that is no index. */
function readIndexFile(path: string): PartsIndex | null {
  try {
    const entries = Object.entries(JSON.parse(readFile(path).toString('utf8')) as Record<string, unknown>);
    return entries.every(isEntry) ? new Map(entries) : null;
  } catch {
    return null; // it is then made anew, from the files that it only summarises
  }
}

function isEntry(entry: [string, unknown]): entry is [string, number[]] {
  return Array.isArray(entry[1]) && entry[1].every((category) => typeof category === 'number');
}

/** The six parts (1 to 6, 0 elsewhere) of all people of an image, later parts over earlier ones. */
export function readHumanParts(root: string, id: string): Field | null {
  const path = matPath(root, id);
  const people = readObjects(path)
    .filter(({ category, parts }) => category === PERSON && parts.length > 0);
  const first = people[0]?.parts[0];
  if (!first) return null;
  return decoding(path, () => {
    const [height, width] = first.mask.dims as [number, number];
    const painted = new Float32Array(height * width);
    for (const { name, mask } of people.flatMap(({ parts }) => parts)) {
      const partClass = PART_CLASS.get(name);
      if (partClass === undefined) throw new Error(`a person has no part "${name}"`);
      if (mask.dims.join() !== first.mask.dims.join()) {
        throw new Error(`all masks must be [${height}, ${width}], got [${mask.dims.join(', ')}]`);
      }
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) if (mask.data[x * height + y]) painted[y * width + x] = partClass;
      }
    }
    return makeField(height, width, painted);
  });
}

function readObjects(path: string): PartObject[] {
  const { anno } = readMat(path);
  return decoding(path, () => {
    const image = struct(anno, 'anno').elements[0];
    // The objects are the second field, whatever it is called.
    const [, objects] = image ? Object.values(image) : [];
    return elements(objects, 'objects').map((object) => {
      const category = numeric(object['class_ind'], 'class_ind').data[0];
      if (category === undefined) throw new Error('class_ind must hold a number, got none');
      const parts = elements(object['parts'], 'parts').map((part) =>
        ({ name: text(part['part_name'], 'part_name'), mask: numeric(part['mask'], 'mask') }));
      return { category, empty: !numeric(object['mask'], 'mask').data.some((value) => value > 0), parts };
    });
  });
}

/** The elements of a struct array; `[]`, which is an empty matrix to MATLAB, has none. */
function elements(value: MatValue | undefined, name: string): MatStruct['elements'] {
  return value?.kind === 'numeric' && value.data.length === 0 ? [] : struct(value, name).elements;
}

function struct(value: MatValue | undefined, name: string): MatStruct {
  if (value?.kind === 'struct') return value;
  throw new Error(`"${name}" must be a struct, got ${value?.kind ?? 'nothing'}`);
}

function numeric(value: MatValue | undefined, name: string): MatNumeric {
  if (value?.kind !== 'numeric' || value.dims.length !== 2) {
    throw new Error(`"${name}" must be a numeric matrix, got ${value?.kind ?? 'nothing'}`);
  }
  return value;
}

function text(value: MatValue | undefined, name: string): string {
  if (value?.kind !== 'char') throw new Error(`"${name}" must be text, got ${value?.kind ?? 'nothing'}`);
  return value.text;
}
