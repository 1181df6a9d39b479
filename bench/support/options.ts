import { parseArgs } from 'node:util';

/** What all benches understand. */
export type Options = {
  /** Fewer cases, fewer rounds: minutes become seconds. */
  readonly quick: boolean;
  readonly all: boolean;
  readonly json: string | undefined;
  readonly device: string | undefined;
  readonly names: readonly string[];
  readonly flags: ReadonlySet<string>;
};

/** Reads the command line; `flags` are the bench's own switches. @throws Error for what it does not know */
export function readOptions(flags: readonly string[] = []): Options {
  const own = Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' as const }]));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' }, all: { type: 'boolean' }, json: { type: 'string' },
      device: { type: 'string' }, ...own,
    },
  });
  return {
    quick: values.quick ?? false, all: values.all ?? false,
    json: values.json, device: values.device, names: positionals,
    flags: new Set(flags.filter((flag) => (values as Record<string, unknown>)[flag])),
  };
}
