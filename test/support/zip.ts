import { ZipFile } from 'yazl';

/** A zip archive of these entries; text is taken byte by byte (latin1), and stored unless `compress`. */
export async function zipOf(entries: readonly [string, string][], compress = false): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of entries) zip.addBuffer(Buffer.from(content, 'latin1'), name, { compress });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
