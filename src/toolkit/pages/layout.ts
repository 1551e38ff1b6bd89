/**
 * Layout of the page table: one control word per page.
 *
 *   page i, 128 bytes:   [ state | generation | owner | .......... unused ............. ]
 *                          0       4            8
 *
 *   state       int32  bit 30 FILLING: a collector writes into the page
 *                      bits 0..29   : slices of the page that somebody may still read
 *                      0 = free.  Writers: the filling collector (+1 per slice, FILLING), the
 *                      journal (-1 when the last reader of a slice has passed): Atomics only.
 *   owner       int32  who fills the page, or did last: the supervisor takes the pages of a dead
 *               one.
 *   generation  int32  counts acquisitions; written by the acquiring collector only, so that a
 *               stale
 *                      slice is detected.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

/** Int32 words from one page's entry to the next. */
export const PAGE_ENTRY_WORDS = CACHE_LINE_PAIR_BYTES / 4;
export const STATE_WORD = 0;
export const GENERATION_WORD = 1;
export const OWNER_WORD = 2;
export const PAGE_FREE = 0;
export const PAGE_FILLING = 0x4000_0000;
