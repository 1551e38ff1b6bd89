/**
 * Layout of the page table: one control word per page.
 *
 *   page i, 128 bytes:   [ state | generation | .......... unused ............. ]
 *                          0       4
 *
 *   state       int32  bit 30       FILLING: a collector writes into the page
 *                      bits 23..29  who fills it, 1..127; 0 when nobody does
 *                      bits 0..22   slices of the page that somebody may still read
 *                      0 = free.  Writers: the filling collector (+1 per slice, FILLING), the
 *                      journal (-1 when the last reader of a slice has passed), the supervisor
 *                      (ends the filling of a dead collector): Atomics only. The owner stands in
 *                      the same word, so that a page which is just changing hands is never taken
 *                      from the wrong one.
 *   generation  int32  counts acquisitions; written by the acquiring collector only, so that a
 *                      stale slice is detected.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

/** Int32 words from one page's entry to the next. */
export const PAGE_ENTRY_WORDS = CACHE_LINE_PAIR_BYTES / 4;
export const STATE_WORD = 0;
export const GENERATION_WORD = 1;
export const PAGE_FREE = 0;
export const PAGE_FILLING = 0x4000_0000;
export const PAGE_OWNER_SHIFT = 23;
export const PAGE_OWNER_MAX = 127;
export const PAGE_OWNER_MASK = PAGE_OWNER_MAX << PAGE_OWNER_SHIFT;
export const PAGE_SLICES_MASK = (1 << PAGE_OWNER_SHIFT) - 1;
