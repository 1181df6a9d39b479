/** A glyph: seven rows from the top, each five bits wide, the highest bit left, as two hexadecimal digits. */
const GLYPHS: Readonly<Record<string, string>> = {
  A: '0e11111f111111', B: '1e11111e11111e', C: '0e11101010110e', D: '1e11111111111e', E: '1f10101e10101f',
  F: '1f10101e101010', G: '0e11101711110f', H: '1111111f111111', I: '0e04040404040e', J: '0702020202120c',
  K: '11121418141211', L: '1010101010101f', M: '111b1515111111', N: '11191513111111', O: '0e11111111110e',
  P: '1e11111e101010', Q: '0e11111115120d', R: '1e11111e141211', S: '0f10100e01011e', T: '1f040404040404',
  U: '1111111111110e', V: '11111111110a04', W: '1111111515150a', X: '11110a040a1111', Y: '1111110a040404',
  Z: '1f01020408101f',
  0: '0e11131519110e', 1: '040c040404040e', 2: '0e11010204081f', 3: '1f02040201110e', 4: '02060a121f0202',
  5: '1f101e0101110e', 6: '0608101e11110e', 7: '1f010204080808', 8: '0e11110e11110e', 9: '0e11110f01020c',
  ' ': '00000000000000', '.': '00000000000c0c', ',': '000000000c0408', ':': '000c0c000c0c00',
  '-': '0000001f000000', '_': '0000000000001f', '+': '0004041f040400',
  '=': '00001f001f0000', '/': '00010204081000',
  '%': '18190204081303',
  '(': '02040808080402', ')': '08040202020408', '#': '0a0a1f0a1f0a0a',
};

const [GLYPH_WIDTH, GLYPH_HEIGHT] = [5, 7];
/** Columns from one letter to the next. */
const ADVANCE = GLYPH_WIDTH + 1;

/** Whether `drawText` can draw a letter, in capitals. */
export function hasGlyph(letter: string): boolean {
  return letter.toUpperCase() in GLYPHS;
}

/** Pixels that a text takes at `scale` pixels a dot. */
export function textSize(text: string, scale: number): { width: number; height: number } {
  return { width: (text.length * ADVANCE - 1) * scale, height: GLYPH_HEIGHT * scale };
}

/** Calls `dot` with the upper left corner of each square of scale x scale pixels that is to be filled. */
export function drawText(text: string, scale: number, dot: (x: number, y: number) => void): void {
  [...text.toUpperCase()].forEach((letter, index) => {
    const glyph = GLYPHS[letter];
    if (glyph === undefined) throw new Error(`drawText: every character must have a glyph, got "${letter}"`);
    for (let row = 0; row < GLYPH_HEIGHT; row++) {
      const bits = Number.parseInt(glyph.slice(2 * row, 2 * row + 2), 16);
      for (let column = 0; column < GLYPH_WIDTH; column++) {
        if ((bits >> (GLYPH_WIDTH - 1 - column)) & 1) dot((index * ADVANCE + column) * scale, row * scale);
      }
    }
  });
}
