/**
 * Mutate: plants one bug in the text of a kernel.
 *
 * INVARIANTS The text that is replaced stands exactly once in the kernel (or in the one function of
 *            it that is named): a kernel that was edited since makes the test fail, not pass.
 */

export interface Mutation {
  /** What the bug is, in words. */
  readonly name: string;
  readonly module: string;
  /** Where the text stands more than once: the function that is meant. */
  readonly inside?: string;
  /** Blanks stand for any blanks. */
  readonly from: string;
  readonly to: string;
}

export function mutate(text: string, mutation: Mutation): string {
  const [start, end] = spanOf(text, mutation.inside);
  const words = mutation.from.trim().split(/\s+/).map(escapePattern);
  const pattern = new RegExp(words.join('\\s+'), 'g');
  const part = text.slice(start, end);
  const count = [...part.matchAll(pattern)].length;
  if (count !== 1) {
    throw new Error(`"${mutation.name}": ${count} places with ${mutation.from}, not one`);
  }
  return text.slice(0, start) + part.replace(pattern, () => mutation.to) + text.slice(end);
}

/** From the function's name to the end of its last line, which is a brace at the margin. */
function spanOf(text: string, name: string | undefined): [number, number] {
  if (name === undefined) return [0, text.length];
  const start = text.search(new RegExp(`^(?:export )?function ${name}\\(`, 'm'));
  const end = text.indexOf('\n}', start);
  if (start < 0 || end < 0) throw new Error(`no function ${name}`);
  return [start, end + 2];
}

function escapePattern(word: string): string {
  return word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
