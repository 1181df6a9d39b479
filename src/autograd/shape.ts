export type Shape = readonly number[];

/** Number of elements. */
export function size(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** @throws Error `op: name must be [want], got [got]` */
export function expectShape(op: string, name: string, got: Shape, want: Shape): void {
  if (sameShape(got, want)) return;
  throw new Error(`${op}: ${name} must be [${want.join(', ')}], got [${got.join(', ')}]`);
}
