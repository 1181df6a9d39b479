import sharp from 'sharp';
import { asFileError, FileError, readFile } from './file.ts';
import type { Picture } from './file.ts';

// A worker decodes one picture at a time and none twice: libvips' threads and cache only cost memory.
sharp.cache(false);
sharp.concurrency(1);

/** An RGB picture, `data` [height, width, 3], as PIL decodes it; grey becomes three equal channels. */
export async function readJpeg(path: string): Promise<Picture> {
  const bytes = readFile(path);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw new FileError(path, 'it is not a JPEG file');
  try {
    // The released loader ignores colour profiles. What libjpeg only warns of is damaged data: refused too.
    const image = sharp(bytes, { ignoreIcc: true, failOn: 'warning' }).toColourspace('srgb').removeAlpha();
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`RGB is needed, got ${info.channels} channels`);
    return { width: info.width, height: info.height, data };
  } catch (error) {
    throw asFileError(path, error);
  }
}

/** `data` is [height, width, 3]; `quality` 1 to 100. */
export async function writeJpeg(path: string, picture: Picture, { quality = 92 } = {}): Promise<void> {
  const { width, height, data } = picture;
  await sharp(data, { raw: { width, height, channels: 3 } }).jpeg({ quality }).toFile(path);
}
