import { createHash } from 'node:crypto';

import { decoding } from './file.ts';
import { readBytes, writeBytes } from './file_bytes.ts';
import { bytesOf, checkHostTensor, elementCount, isDtype, itemBytes, viewBytes } from './host_tensor.ts';
import type { HostTensor } from './host_tensor.ts';

// The format: u64 length of the header · the header, JSON padded with spaces · the tensors' bytes, gapless.
// Each tensor is {dtype, shape, data_offsets: [begin, end]}, counted from the header's end.

export type SafetensorsFile = { tensors: Map<string, HostTensor>; metadata: Record<string, string> };
type Entry = { name: string; begin: number; end: number; tensor: HostTensor };

const MAX_HEADER_BYTES = 100_000_000;
const CHECKSUM = 'mtlora.sha256';
const BLANK = '0'.repeat(64);

/** Tensors are views of one buffer; a checksum in the metadata is verified and left out. */
export function readSafetensors(path: string): SafetensorsFile {
  const bytes = readBytes(path);
  return decoding(path, () => parse(bytes));
}

/** Writes `tensors` in one atomic step, with the SHA-256 of the file in the metadata. */
export function writeSafetensors(
  path: string, tensors: ReadonlyMap<string, HostTensor>, metadata: Readonly<Record<string, string>> = {},
): void {
  for (const [name, tensor] of tensors) checkHostTensor(name, tensor);
  // Widest items first: every tensor is then aligned to its own item, and readers need not copy.
  const sorted = [...tensors].sort(([, a], [, b]) => itemBytes(b.dtype) - itemBytes(a.dtype));
  let end = 0;
  const entries = sorted.map(([name, tensor]) => {
    const begin = end;
    end += tensor.data.byteLength;
    return [name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }] as const;
  });
  const all = { [CHECKSUM]: BLANK, ...metadata };
  const json = Buffer.from(JSON.stringify({ __metadata__: all, ...Object.fromEntries(entries) }));
  const length = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + length, ' ');
  head.writeBigUInt64LE(BigInt(length));
  json.copy(head, 8);
  const chunks = [head, ...sorted.map(([, tensor]) => bytesOf(tensor))];
  const checksum = digest(...chunks);           // of the file with a blank in its place
  head.write(checksum, head.indexOf(BLANK), 'latin1');
  writeBytes(path, chunks);
}

function digest(...chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

function parse(bytes: Uint8Array<ArrayBuffer>): SafetensorsFile {
  if (bytes.length < 8) throw new Error(`it must begin with 8 bytes of header length, got ${bytes.length}`);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || length > bytes.length - 8) {
    throw new Error(`the header must fit the file of ${bytes.length} bytes, got a length of ${length} ` +
      '(it is cut short or no .safetensors file)');
  }
  const { __metadata__: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, 8 + length));
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw new Error('__metadata__ must hold strings only');
  }
  const data = bytes.subarray(8 + length);
  const read = Object.entries(entries).map(([name, entry]) => readEntry(name, entry, data));
  checkCoverage(read, data.length);
  const { [CHECKSUM]: checksum, ...rest } = metadata as Record<string, string>;
  if (checksum !== undefined) verify(checksum, bytes, data);
  return { tensors: new Map(read.map(({ name, tensor }) => [name, tensor])), metadata: rest };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let text = '';
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw new Error('the header must be JSON in UTF-8', { cause: error });
  }
  if (!isRecord(header)) throw new Error('the header must be a JSON object');
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new Error(`"${twice}" must stand in the header once, got it twice`);
  return header;
}

/** JSON.parse keeps the last of two equal keys and says nothing, so the text itself is searched. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, colon] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      if (open.at(-1)!.has(key)) return key;
      open.at(-1)!.add(key);
    }
  }
  return undefined;
}

function readEntry(name: string, entry: unknown, data: Uint8Array): Entry {
  if (!isRecord(entry)) throw new Error(`tensor "${name}": must be a JSON object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) throw new Error(`tensor "${name}": dtype ${JSON.stringify(dtype)} is not supported`);
  const count = Array.isArray(shape) ? elementCount(shape) : NaN;
  if (Number.isNaN(count)) {
    throw new Error(`tensor "${name}": shape must be a list of sizes, got ${JSON.stringify(shape)}`);
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets as unknown[] : [];
  if (!isOffset(begin) || !isOffset(end) || begin > end || end > data.length) {
    throw new Error(`tensor "${name}": data_offsets must lie in the ${data.length} bytes of data, ` +
      `got ${JSON.stringify(offsets)}`);
  }
  if (count * itemBytes(dtype) !== end - begin) {
    throw new Error(`tensor "${name}": ${dtype} [${shape as number[]}] must hold ` +
      `${count * itemBytes(dtype)} bytes, got ${end - begin}`);
  }
  const tensor = { dtype, shape: shape as number[], data: viewBytes(dtype, data.subarray(begin, end)) };
  return { name, begin, end, tensor };
}

/** Overlaps and gaps are how a header lies about tensors it does not have. */
function checkCoverage(entries: readonly Entry[], bytes: number): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) throw new Error(`tensor "${name}": must start at byte ${covered}, got ${begin}`);
    covered = end;
  }
  if (covered !== bytes) throw new Error(`the tensors must fill ${bytes} bytes of data, got ${covered}`);
}

/** Holds the file, or in older ones the data alone, to its checksum. */
function verify(checksum: string, bytes: Uint8Array<ArrayBuffer>, data: Uint8Array): void {
  const head = Buffer.from(bytes.slice(0, bytes.length - data.length));
  const at = head.indexOf(checksum);
  head.write(BLANK, Math.max(at, 0), 'latin1');
  const actual = digest(head, data);
  if (actual === checksum || digest(data) === checksum) return;
  throw new Error(`the file must have SHA-256 ${checksum}, got ${actual} (it is damaged)`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
