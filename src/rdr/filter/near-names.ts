/**
 * Near names: what a person may have meant by a name that does not exist.
 */

const NEAR_COUNT_MAX = 3;

/** The nearest of `known` by edit distance, best first, at most 3; none when nothing is near. */
export function nearNames(wanted: string, known: Iterable<string>): string[] {
  const plain = wanted.toLowerCase().slice(0, 80);
  const limit = Math.max(2, Math.floor(plain.length / 3));
  const found: { name: string; distance: number }[] = [];
  for (const name of known) {
    const distance = editDistance(plain, name.toLowerCase());
    if (distance <= limit && distance < name.length) found.push({ name, distance });
  }
  found.sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name));
  const best = found[0]?.distance ?? 0;
  return found
    .filter(({ distance }) => distance <= best + 1)
    .slice(0, NEAR_COUNT_MAX)
    .map(({ name }) => name);
}

/** `do you mean a, b?`, or `otherwise` when nothing is near. */
export function suggestion(wanted: string, known: Iterable<string>, otherwise: string): string {
  const near = nearNames(wanted, known);
  return near.length > 0 ? `do you mean ${near.join(' or ')}?` : otherwise;
}

/** Levenshtein's: single characters added, removed or replaced. */
function editDistance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const now = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      now.push(Math.min(before[column]! + 1, now[column - 1]! + 1, before[column - 1]! + cost));
    }
    before = now;
  }
  return before[b.length]!;
}
