import sharp from 'sharp';

/** Draws an SVG into a PNG file, with `scale` pixels a unit. Its texts need installed fonts. */
export async function writeSvgAsPng(path: string, svg: string, scale = 1): Promise<void> {
  await sharp(Buffer.from(svg), { density: 72 * scale }).png().toFile(path);
}
