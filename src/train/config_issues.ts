// What the schema found wrong, said so that nobody has to open the schema.
import type { z } from 'zod';
import { CONFIG_SCHEMA } from './config_schema.ts';
import type { Layer } from './config_source.ts';
import { fieldsOf, listFields } from './config_walk.ts';
import { nearest } from './nearest.ts';

/** The groups `A.B` that have a field of this name. */
function groupsWith(name: string, schema: z.core.$ZodType, group: string[] = []): string[] {
  return Object.entries(fieldsOf(schema)).flatMap(([key, inner]) =>
    [...(key === name ? [group.join('.')] : []), ...groupsWith(name, inner, [...group, key])]);
}

function hint(key: string, path: readonly PropertyKey[], root: z.core.$ZodType): string {
  const schema = path.reduce<z.core.$ZodType | undefined>(
    (at, step) => fieldsOf(at)[String(step)], root);
  const near = nearest(key, Object.keys(fieldsOf(schema)));
  if (near) return `, did you mean "${near}"`;
  const [group] = groupsWith(key, root);
  if (group === undefined) return '';
  return group === '' ? ', it stands at the top level' : `, it belongs under ${group}`;
}

function show(value: unknown): string {
  if (value === undefined || value === '') return 'nothing';
  if (Array.isArray(value)) return `[${value.map(String).join(', ')}]`;
  return typeof value === 'object' && value !== null ? 'a group of fields' : `"${String(value)}"`;
}

function valueAt(layer: Layer, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], layer.values);
}

/** The place of a field, or of the group that lacks it. */
function placeOf(field: readonly PropertyKey[], layer: Layer): string {
  for (let depth = field.length; depth > 0; depth--) {
    const place = layer.places.get(field.slice(0, depth).join('.'));
    if (place) return `${place.value} `;
  }
  return '';
}

/** For a value that is none, or holds one that is none, of the field's few: the one that was meant. */
function choiceHint(value: unknown, field: string, root: z.core.$ZodType): string {
  const choices = listFields(root).find(({ path }) => path === field)?.choices ?? [];
  if (choices.length < 2) return '';
  const words = (Array.isArray(value) ? value : String(value).split(',')).map((word) => String(word).trim());
  const wrong = words.find((word) => !choices.includes(word));
  const near = wrong === undefined ? undefined : nearest(wrong, choices);
  return near ? `, did you mean "${near}"` : '';
}

/** One line per problem: place, field, what must hold, what came. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[], layer: Layer, schema: z.core.$ZodType = CONFIG_SCHEMA,
): string[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const field = [...issue.path, key].join('.');
        return `${layer.places.get(field)?.key} ${field}: no such field${hint(key, issue.path, schema)}`;
      });
    }
    const field = issue.path.join('.');
    const rule = issue.code === 'custom' ? issue.message : 'must be a group of fields';
    const value = valueAt(layer, issue.path);
    const meant = issue.code === 'custom' ? choiceHint(value, field, schema) : '';
    return [`${placeOf(issue.path, layer)}${field}: ${rule}, got ${show(value)}${meant}`];
  });
}
