// The configuration schema as a list of fields: for its errors, the flags' help and the reference page.
import { z } from 'zod';
import { CONFIG_SCHEMA } from './config_schema.ts';

/** A field as the reference tells it. */
export type Field = {
  /** `A.B.C` */
  readonly path: string;
  /** Completes the sentence "must be …". */
  readonly expected: string;
  readonly choices: readonly string[];
  /** undefined: nothing, unless the configuration gives it. */
  readonly fallback: unknown;
  readonly says: string;
  /** A field of the release without any effect here. */
  readonly unused: boolean;
};

/** Without defaults and the like, from the outside in. */
function layersOf(schema: z.core.$ZodType | undefined): z.core.$ZodType[] {
  const layers = schema ? [schema] : [];
  for (let inner = schema; inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault
    || inner instanceof z.ZodOptional;) {
    inner = inner.unwrap();
    layers.push(inner);
  }
  return layers;
}

/** The fields of a group; none where it is no group. */
export function fieldsOf(schema: z.core.$ZodType | undefined): Record<string, z.core.$ZodType> {
  const inner = layersOf(schema).at(-1);
  return inner instanceof z.ZodObject ? inner.shape : {};
}

/** Every field below a group, in the schema's order. */
export function listFields(schema: z.core.$ZodType = CONFIG_SCHEMA, group: readonly string[] = []): Field[] {
  return Object.entries(fieldsOf(schema)).flatMap(([key, inner]) => {
    const path = [...group, key];
    return Object.keys(fieldsOf(inner)).length > 0 ? listFields(inner, path) : [describeField(path, inner)];
  });
}

function describeField(path: readonly string[], schema: z.core.$ZodType): Field {
  const layers = layersOf(schema);
  const meta = Object.assign({}, ...layers.toReversed().map((layer) => z.globalRegistry.get(layer))) as
    { expected?: string; choices?: readonly string[]; description?: string; unused?: boolean };
  const fallback = layers.find((layer) => layer instanceof z.ZodDefault)?.def.defaultValue;
  const { expected = '', choices = [], description: says = '', unused = false } = meta;
  return { path: path.join('.'), expected, choices, fallback, says, unused };
}
