import sharp, { type Sharp } from 'sharp';
import { asFileError, FileError, readFile } from './file.ts';
import type { Picture } from './file.ts';

// A worker decodes one picture at a time and none twice: libvips' threads and cache only cost memory.
sharp.cache(false);
sharp.concurrency(1);

/** An RGB picture, `data` [height, width, 3], as PIL decodes it; grey becomes three equal channels. */
export async function readJpeg(path: string): Promise<Picture> {
  const bytes = readFile(path);
  if (!isJpeg(bytes)) throw new FileError(path, 'it is not a JPEG file');
  // What libjpeg only warns of is damaged data: refused too.
  return decodeRgb(path, sharp(bytes, { ignoreIcc: true, failOn: 'warning' }));
}

/**
 * Any JPEG or PNG as an RGB picture; transparency is left out.
 *
 * @param options upright: turned as the camera was held, where the file says how
 */
export async function readPicture(path: string, { upright = false } = {}): Promise<Picture> {
  const bytes = readFile(path);
  const jpeg = isJpeg(bytes);
  if (!jpeg && bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') {
    throw new FileError(path, 'it is neither a JPEG nor a PNG file');
  }
  // libpng warns of harmless things, such as colour profiles.
  const image = sharp(bytes, { ignoreIcc: true, failOn: jpeg ? 'warning' : 'error' });
  return decodeRgb(path, upright ? image.autoOrient() : image);
}

const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8;

async function decodeRgb(path: string, image: Sharp): Promise<Picture> {
  try {
    // The released loader ignores colour profiles.
    const rgb = image.toColourspace('srgb').removeAlpha();
    const { data, info } = await rgb.raw().toBuffer({ resolveWithObject: true });
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
