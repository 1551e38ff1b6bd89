/**
 * What a verifier made by spin prints, taken strictly: a search that was cut short, for whatever
 * reason, is no proof, and what is not understood is an error.
 */

export interface SearchResult {
  readonly errors: number;
  /** The first error in spin's words; null without one. */
  readonly error: string | null;
  readonly states: number;
  readonly depth: number;
  readonly memoryMegabytes: number;
  /** Why the search says nothing beyond its first error; null when it was exhaustive. */
  readonly cutShort: string | null;
  /** `proctype: line` of statements that no schedule came to. */
  readonly unreached: readonly string[];
  /** Branches of the model's own probes that the search came to. */
  readonly reached: readonly string[];
}

/** Each of these lines means that not all states were seen. */
const CUTS = [
  /max search depth too small/,
  /reached -DMEMLIM bound/,
  /out of memory/,
  /hash table is full|resize/i,
  /stopped by user|interrupted/i,
  /Search not completed/,
  /bit statespace search|hash-?compact/i,
];

function numberIn(text: string, pattern: RegExp, what: string): number {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`the output of the search has no ${what}:\n${text}`);
  return Number(match[1]);
}

export function parseSearch(text: string): SearchResult {
  const lines = text.split('\n');
  const error = /^pan:\d+: (.+?)(?: \(at depth \d+\))?$/m.exec(text);
  return {
    errors: numberIn(text, /^State-vector \d+ byte, depth reached \d+, errors: (\d+)$/m, 'errors'),
    error: error === null ? null : error[1]!.trim(),
    depth: numberIn(text, /^State-vector \d+ byte, depth reached (\d+), errors/m, 'depth'),
    states: numberIn(text, /^\s*([\d.e+]+) states, stored$/m, 'count of states'),
    memoryMegabytes: numberIn(text, /^\s*([\d.]+)\s+total actual memory usage$/m, 'memory'),
    cutShort: lines.find((line) => CUTS.some((cut) => cut.test(line)))?.trim() ?? null,
    unreached: unreachedLines(lines),
    reached: [...text.matchAll(/^reached: (.+)$/gm)].map((match) => match[1]!),
  };
}

function unreachedLines(lines: readonly string[]): string[] {
  const found: string[] = [];
  let proctype: string | null = null;
  for (const line of lines) {
    const head = /^unreached in (?:proctype )?(\S+)$/.exec(line);
    if (head !== null) proctype = head[1]!;
    else if (!line.startsWith('\t')) proctype = null;
    else if (proctype !== null && !/^\t\(\d+ of \d+ states\)$/.test(line)) {
      found.push(`${proctype}: ${line.trim()}`);
    }
  }
  return found;
}

/** What is wrong with a run of the model as it is. Only all states without an error will do. */
export function faultOfClean(result: SearchResult): string | null {
  if (result.errors > 0) return `error: ${result.error ?? 'without a word'}`;
  if (result.cutShort !== null) return `not exhaustive: ${result.cutShort}`;
  if (result.states === 0) return 'no states';
  return null;
}

/** What is wrong with a run with a planted bug: it must have ended in an error that has a name. */
export function faultOfSeeded(result: SearchResult): string | null {
  if (result.errors === 0) {
    return `the planted bug was not found${result.cutShort === null ? '' : `: ${result.cutShort}`}`;
  }
  const isNamed =
    result.error !== null && /assertion violated|invalid end state/.test(result.error);
  return isNamed ? null : `an error of another kind: ${result.error ?? 'without a word'}`;
}
