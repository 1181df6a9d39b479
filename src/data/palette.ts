import type { Palette } from './png.ts';

/** PASCAL VOC's colours: the bits of the index, three at a time, become high bits of red, green and blue. */
export const VOC_PALETTE: Palette = Array.from({ length: 256 }, (_, index) => {
  const colour: [number, number, number] = [0, 0, 0];
  for (let bit = 0; bit < 8; bit++) {
    for (let channel = 0; channel < 3; channel++) {
      colour[channel]! |= ((index >> (3 * bit + channel)) & 1) << (7 - bit);
    }
  }
  return colour;
});
