/**
 * Page guard: whom a pool tells which bytes nobody may write now.
 *
 * WHY         A bug writes into a page that others, or the kernel, still read; what comes of it is
 *             seen later, elsewhere. A guard that write-protects the memory (millrace/guard) stops
 *             the culprit in the act. This storey knows no processor and no signal: it says what is
 *             protected when, and a guard does it.
 * WHEN        protect:   a slice is published, bytes are lent: by who holds the page, through
 *                        PagePool.protect
 *             unprotect: a page is acquired (before its memory is renewed); it is filled on, and
 *                        nothing of it is shared or in flight any more; who completes a published
 *                        slice (the journal its header) opens it, through PagePool.unprotect
 *             Nothing is done when a page becomes free: until it is acquired nobody may write into
 *             it either.
 * OWNERSHIP   One guard a view of the pool; calls come from its thread.
 */
import { MillraceError } from '../base/errors.ts';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import type { ArenaReport } from './arena.ts';

export interface PageGuard {
  /** No thread writes these bytes: whole OS pages from the start of `page`. */
  protect(page: number, offset: number, bytes: number, generation: number): void;
  /** They may be written again. False: refused, the page cannot be used. */
  unprotect(page: number, offset: number, bytes: number): boolean;
}

/** Throws MR_ARENA for memory in huge pages. */
export function checkGuardable({ huge }: ArenaReport): void {
  if (huge.state !== 'granted') return;
  throw new MillraceError(
    'MR_ARENA',
    'an arena of huge pages cannot be guarded: to protect 4 KiB splits a page of 2 MiB',
    'make the pool without `huge`, or without a guard',
  );
}

/** From where to where the OS pages reach that are inside a range, or that it touches. */
export function wholeOsPages(
  from: number,
  to: number,
  isInside: boolean,
): readonly [first: number, end: number] {
  const below = (offset: number): number => offset - (offset % OS_PAGE_BYTES);
  const above = (offset: number): number => below(offset + OS_PAGE_BYTES - 1);
  return isInside ? [above(from), below(to)] : [below(from), above(to)];
}
