/**
 * Layout of the page table: one state word per page, one entry of counts, hints.
 *
 *   page i, 128 bytes:   [ state | generation | .......... unused ............. ]
 *                          0       4
 *   behind the last page, 128 bytes, int64 each:
 *                        [ exhausted | renewed | renewalRefused | .. unused ... ]
 *                          0           8         16
 *   behind that:         one bit per page, free-hints.ts
 *
 *   state       int32  bit 30       FILLING: one owner writes into the page
 *                      bit 29       STALE: nobody can prove when the last reader outside is done;
 *                                   the page's memory is replaced before it is filled again
 *                      bits 22..28  who fills it, 1..127; 0 when nobody does
 *                      bits 10..21  in flight: times it was lent to the kernel and not given back
 *                      bits 0..9    shared: slices that readers of this process may still read
 *                      0, or STALE alone = free.
 *                      Writers: the owner (FILLING, +1 shared, +1 in flight), readers (-1 shared),
 *                      whoever lent it (-1 in flight, STALE), the supervisor (ends what a dead
 *                      thread held): Atomics only. The owner stands in the same word, so that a
 *                      page which is just changing hands is never taken from the wrong one.
 *   generation  int32  counts acquisitions and wraps; written by the acquiring thread only, so
 *                      that a stale reference is detected.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

/** Int32 words from one page's entry to the next. */
export const PAGE_ENTRY_WORDS = CACHE_LINE_PAIR_BYTES / 4;
export const STATE_WORD = 0;
export const GENERATION_WORD = 1;

export const SHARED_MAX = (1 << 10) - 1;
export const SHARED_ONE = 1;
export const SHARED_MASK = SHARED_MAX;
export const IN_FLIGHT_SHIFT = 10;
export const IN_FLIGHT_MAX = (1 << 12) - 1;
export const IN_FLIGHT_ONE = 1 << IN_FLIGHT_SHIFT;
export const IN_FLIGHT_MASK = IN_FLIGHT_MAX << IN_FLIGHT_SHIFT;
export const PAGE_OWNER_SHIFT = 22;
export const PAGE_OWNER_MAX = 127;
export const PAGE_OWNER_MASK = PAGE_OWNER_MAX << PAGE_OWNER_SHIFT;
export const PAGE_STALE = 1 << 29;
export const PAGE_FILLING = 1 << 30;
export const PAGE_FREE = 0;
/** What remains of a state when nobody fills the page any more. */
export const NOT_FILLING_MASK = PAGE_STALE | IN_FLIGHT_MASK | SHARED_MASK;
/** Somebody of this process holds the page: only then it is lent or gets another reader. */
export const HELD_MASK = PAGE_FILLING | SHARED_MASK;

/** Int64 words of the entry of counts, from its start. */
export const EXHAUSTED_COUNT = 0;
export const RENEWED_COUNT = 1;
export const RENEWAL_REFUSED_COUNT = 2;
export const COUNT_WORDS = 3;

/** Byte of the table where the counts start: behind the last page. */
export function countsOffset(pageCount: number): number {
  return pageCount * PAGE_ENTRY_WORDS * 4;
}

/** Byte of the table where the hints start, and how many words they are. */
export function hintsOffset(pageCount: number): number {
  return (pageCount + 1) * PAGE_ENTRY_WORDS * 4;
}

export function hintWords(pageCount: number): number {
  return Math.ceil(pageCount / 32);
}

/** Bytes of the table of a pool: its pages, the counts, the hints. */
export function tableBytes(pageCount: number): number {
  return hintsOffset(pageCount) + hintWords(pageCount) * 4;
}

/** Nobody of this process or outside refers to the page; it may have to be renewed. */
export function isFreeState(state: number): boolean {
  return (state & ~PAGE_STALE) === PAGE_FREE;
}
