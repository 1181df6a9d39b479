import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encode } from 'fast-png';
import { writeJpeg } from '../../src/data/jpeg.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { writeGrayPng, writeRgbPng } from '../../src/data/png.ts';
import { folderWith } from './folder.ts';

const DATA_YAML = `
images: pictures
tasks:
  semseg: {folder: classes, classes: [sky, road, car], first: 1, ignore: [0]}
  sal: {folder: masks}
  normals: {folder: normals}
  depth: {folder: depth, scale: 0.01}
splits: {train: train.txt, val: lists/val.txt}
`;

const [WIDTH, HEIGHT] = [20, 16];
const PIXELS = WIDTH * HEIGHT;

/** A data set in plain folders: four training images, the first a JPEG in a folder, and two of validation. */
export async function folderData(yaml = DATA_YAML): Promise<{ root: string; yaml: string; ids: string[] }> {
  const ids = ['day/a', 'b', 'c', 'd', 'e', 'f'];
  const root = folderWith({
    'data.yaml': yaml,
    'train.txt': 'day/a.jpg\nb\nc\nd\n',
    'lists/val.txt': 'e\nf\n',
  });
  const at = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  for (const [i, id] of ids.entries()) {
    const size = { width: WIDTH, height: HEIGHT };
    const rgb = Uint8Array.from({ length: 3 * PIXELS }, (_, at) => (at * (i + 3)) % 256);
    if (i === 0) await writeJpeg(at(`pictures/${id}.jpg`), { ...size, data: rgb });
    else writeRgbPng(at(`pictures/${id}.png`), { ...size, data: rgb });
    const rows = (value: (y: number) => number): Uint8Array =>
      Uint8Array.from({ length: PIXELS }, (_, at) => value(Math.floor(at / WIDTH)));
    writeGrayPng(at(`classes/${id}.png`), { ...size, data: rows((y) => Math.floor(y / 4)) });
    writeGrayPng(at(`masks/${id}.png`), { ...size, data: rows((y) => (y < 4 ? 255 : 100)) });
    const normals = Uint8Array.from({ length: 3 * PIXELS }, (_, at) =>
      at < 12 * WIDTH ? 0 : at % 3 === 2 ? 255 : 127);        // four black rows, the others face the camera
    writeRgbPng(at(`normals/${id}.png`), { ...size, data: normals });
    if (i % 2 === 0) {
      writeNpy(at(`depth/${id}.npy`), [HEIGHT, WIDTH], Float32Array.from({ length: PIXELS }, (_, at) =>
        at === 0 ? NaN : 100 + at));
    } else {
      const data = Uint16Array.from({ length: PIXELS }, (_, at) => at === 0 ? 0 : 1000);
      writeFileSync(at(`depth/${id}.png`), encode({ ...size, data, depth: 16, channels: 1 }));
    }
  }
  return { root, yaml: join(root, 'data.yaml'), ids };
}
