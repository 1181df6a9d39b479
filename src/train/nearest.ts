// What a mistyped word was probably meant to be.

/** Edits from one word to another: insert, delete, replace, swap two neighbours. */
function editDistance(a: string, b: string): number {
  let [above, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        ? above[j - 2]! + 1 : Infinity;
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, replaced, swapped));
    }
    [above, row] = [row, next];
  }
  return row[b.length]!;
}

/** The known word that is close enough to be meant, whatever the case. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((candidate) => editDistance(word.toUpperCase(), candidate.toUpperCase()));
  const best = Math.min(...distances);
  return best <= Math.max(1, word.length / 3) ? known[distances.indexOf(best)] : undefined;
}
