/**
 * Culprits: who wrote into guarded memory, and how often, in all threads of the process.
 *
 * The core counts each distinct culprit of each label (native/guard/seen.c), also those whose
 * further writes are not reported (`once`).
 */
import { guardNative } from './native.ts';

/** As MG_SEEN_MAX. */
const SEEN_MAX = 1024;

export interface GuardCulprit {
  /** Of the memory that was written to. */
  readonly label: string;
  /** '' where it has no name. */
  readonly function: string;
  /** Or the module, for native code without lines. */
  readonly file: string;
  /** 0: not known. */
  readonly line: number;
  readonly column: number;
  readonly count: number;
}

/** Most writes first. One without names at all counts those that found no room in the table. */
export function culprits(): readonly GuardCulprit[] {
  const native = guardNative();
  const found: GuardCulprit[] = [];
  for (let index = 0; index < SEEN_MAX; index++) {
    const seen = native.seen(index);
    if (seen === null) continue;
    const [label, name, file, line, column, count] = seen;
    found.push({ label, function: name, file, line, column, count });
  }
  return found.sort((a, b) => b.count - a.count);
}
