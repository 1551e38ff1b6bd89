/**
 * What the guard knows of a JavaScript culprit, by version of Node.js and tier. A version that
 * knows less than is stated here fails the matrix, and so does one that knows more.
 */
import type { Tier } from './matrix-child.ts';

/**
 * `line`: function and line of the write; `function`: the function, and the line where it begins;
 * `caller`: the function that it was inlined into, and the report says that it may hide some.
 */
export type Exactness = 'line' | 'function' | 'caller';

const ALL_EXACT: Readonly<Partial<Record<Tier, Exactness>>> = {
  interpreted: 'line',
  baseline: 'line',
  maglev: 'line',
  optimised: 'line',
  inlined: 'line',
};

const { maglev: _, ...WITHOUT_MAGLEV } = ALL_EXACT;

/** By major version; a tier that is not there does not exist in that version. */
const BY_MAJOR: Readonly<Record<number, Readonly<Partial<Record<Tier, Exactness>>>>> = {
  20: WITHOUT_MAGLEV,
  22: WITHOUT_MAGLEV,
  24: ALL_EXACT,
  26: ALL_EXACT,
};

/** A version that nobody has looked at is held to the newest that somebody has. */
export function expectedOf(major: number): readonly (readonly [Tier, Exactness])[] {
  const known = BY_MAJOR[major] ?? ALL_EXACT;
  return Object.entries(known) as [Tier, Exactness][];
}
