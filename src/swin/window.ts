/** A window never exceeds its map; one that fills a side of it is not shifted. */
export function fitWindow(
  height: number, width: number, windowSize: number, shift: number,
): { window: number; shift: number } {
  const side = Math.min(height, width);
  return side <= windowSize ? { window: side, shift: 0 } : { window: windowSize, shift };
}

/** Every second block of a stage shifts its windows by half their side. */
export function blockShift(block: number, windowSize: number): number {
  return block % 2 === 0 ? 0 : Math.floor(windowSize / 2);
}
