/**
 * Layout of a SeqlockCell, and of a seqlock inside of somebody else's words.
 *
 *   byte 0    writerRole     by compare-and-swap (roles.ts)
 *        128  version        writer   even: the record is whole; odd: it is being written
 *             unused
 *        136  record         writer   `length` values; a float64 is two int32, as it lies in memory
 *
 * The kernels know the part from the version on, at any word of any Int32Array: `base` is the word
 * of the version, and the record starts SEQLOCK_RECORD words behind it. A record of float64 needs
 * an even `base`. Version and record are one writer's, and share their lines: who reads a small
 * record fetches one line, not two. Whoever else writes stands 128 bytes away.
 * The version is a u32 in an int32 word, wrapping: it is compared for equality only.
 */
import { CONTROL_WORDS } from './layout.ts';

/** From the word of the version to the first of the record. */
export const SEQLOCK_RECORD = 2;

export const SEQLOCK_WRITER_WORD = 0;
export const SEQLOCK_BASE_WORD = CONTROL_WORDS;

/** Bytes of a cell whose record has `wordCount` int32 words. */
export function seqlockBytes(wordCount: number): number {
  const words = SEQLOCK_BASE_WORD + SEQLOCK_RECORD + wordCount;
  return Math.ceil(words / CONTROL_WORDS) * CONTROL_WORDS * 4;
}
