/**
 * Fresh: is a block so young that its bytes are in the page cache as they were written?
 *
 * WHY        Two questions are about what a disk does to bytes: are they still in the page cache,
 *            and did they come back as they were? For what was written a moment ago the answer is
 *            known, and asking costs a system call for each block and channel, and a checksum for
 *            each block that is filtered (a quarter of all that filtering costs).
 * RULE       By the block's arrival and the wall clock: younger than FRESH_MS, and not of the
 *            future. The kernel evicts no page of that age before thousands of older ones. A clock
 *            that was set back makes blocks look old or of the future, never fresh by mistake for
 *            longer than it jumped.
 * WRONG      If memory is so short that such a page has gone: its sendfile(2) waits for the disk.
 */
import { wallMs } from '../../toolkit/base/clock.ts';
import type { BlockHeader } from '../journal/format.ts';

export const FRESH_MS = 2_000;

export function isFresh({ arrivalUs }: Pick<BlockHeader, 'arrivalUs'>): boolean {
  const ageMs = wallMs() - arrivalUs / 1000;
  return ageMs >= 0 && ageMs < FRESH_MS;
}
