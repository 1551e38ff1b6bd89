/**
 * What a pool says about itself: pages by state, exhaustion, and who was meant to hold how many.
 */
import { assert } from '../base/assert.ts';
import {
  EXHAUSTED_COUNT,
  IN_FLIGHT_MASK,
  PAGE_ENTRY_WORDS,
  PAGE_FILLING,
  PAGE_STALE,
  RENEWAL_REFUSED_COUNT,
  RENEWED_COUNT,
  SHARED_MASK,
  STATE_WORD,
} from './layout.ts';

/** Who may hold how many pages at once; the sum is the pool's page count. */
export type PageHolders = Readonly<Record<string, number>>;

/**
 * Each page stands once in free, filling, shared or inFlight: at the first of the last three that
 * it has not left. Sums are exact only while nobody works.
 */
export interface PageStats {
  readonly pageCount: number;
  readonly pageBytes: number;
  /** Can be acquired, at once or after renewal. */
  readonly free: number;
  readonly filling: number;
  readonly shared: number;
  readonly inFlight: number;
  /** Of all pages: those whose memory is replaced before they are filled again. */
  readonly stale: number;
  /** Times that acquire() found no page. */
  readonly exhaustedCount: number;
  /** Times that the memory of a stale page was replaced. */
  readonly renewedCount: number;
  /** Times that the kernel refused to, and the page stayed stale. */
  readonly renewalRefusedCount: number;
  readonly holders: PageHolders;
}

/** Counts the states of a table. */
export function countPages(
  table: Int32Array,
  counts: BigInt64Array,
  size: { readonly pageCount: number; readonly pageBytes: number; readonly holders: PageHolders },
): PageStats {
  const { pageCount, pageBytes, holders } = size;
  const found = { filling: 0, shared: 0, inFlight: 0, stale: 0 };
  let free = pageCount;
  for (let page = 0; page < pageCount; page++) {
    const state = Atomics.load(table, page * PAGE_ENTRY_WORDS + STATE_WORD);
    if ((state & PAGE_STALE) !== 0) found.stale++;
    if ((state & PAGE_FILLING) !== 0) found.filling++;
    else if ((state & SHARED_MASK) !== 0) found.shared++;
    else if ((state & IN_FLIGHT_MASK) !== 0) found.inFlight++;
    else continue;
    free--;
  }
  return {
    pageCount,
    pageBytes,
    free,
    ...found,
    exhaustedCount: Number(Atomics.load(counts, EXHAUSTED_COUNT)),
    renewedCount: Number(Atomics.load(counts, RENEWED_COUNT)),
    renewalRefusedCount: Number(Atomics.load(counts, RENEWAL_REFUSED_COUNT)),
    holders,
  };
}

/** The page count of a pool. */
export function sumOfHolders(holders: PageHolders): number {
  let sum = 0;
  for (const count of Object.values(holders)) {
    assert(Number.isInteger(count) && count >= 0, 'a holder holds a whole number of pages');
    sum += count;
  }
  return sum;
}
