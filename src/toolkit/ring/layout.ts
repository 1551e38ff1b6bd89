/**
 * What the layouts of all rings share: int32 words, those of different writers 128 bytes apart.
 *
 *   SpscRing, SpscByteRing   spsc-layout.ts
 *   BroadcastRing            broadcast-layout.ts
 *   MpmcRing                 mpmc-layout.ts
 *   SeqlockCell              seqlock-layout.ts
 *   IdleStrategy             idle-layout.ts
 *
 * Sequences are u32 in int32 words, wrapping, compared by (a - b) | 0. In the words of the classic
 * ring buffers: writeSeq is the producer's index, readSeq the consumer's.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

/** Int32 words that one writer's control block takes. */
export const CONTROL_WORDS = CACHE_LINE_PAIR_BYTES / 4;

/** Answer of claim, peek and their like when there is no slot. */
export const NO_SLOT = -1;

/** True for powers of two, 1 to 2^30. */
export function isPowerOfTwo(value: number): boolean {
  // What is no positive int32 (a fraction, 2^32) is another number as one.
  return value === (value | 0) && value > 0 && (value & (value - 1)) === 0;
}
