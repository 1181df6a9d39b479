import { ZipFile } from 'yazl';

import { writeBytes } from './file_bytes.ts';
import { pickle } from './pickle_write.ts';
import type { PthValue } from './pickle_write.ts';

/** A fixed date, so that equal values make equal files. */
const STORED = { compress: false, mtime: new Date(1980, 0, 1), forceDosTimestamp: true } as const;

/** Writes `value` as torch.save does, atomically; torch.load(weights_only=True) reads it. */
export async function writePth(path: string, value: PthValue): Promise<void> {
  const { bytes, storages } = pickle(value);
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from(bytes), 'archive/data.pkl', STORED);
  storages.forEach(({ buffer, byteOffset, byteLength }, key) => {
    zip.addBuffer(Buffer.from(buffer, byteOffset, byteLength), `archive/data/${key}`, STORED);
  });
  zip.addBuffer(Buffer.from('little'), 'archive/byteorder', STORED);
  zip.addBuffer(Buffer.from('3\n'), 'archive/version', STORED);
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  writeBytes(path, chunks);
}
