/**
 * Layouts of the rings: int32 words in a SharedArrayBuffer, words of different writers 128 bytes
 * apart.
 *
 *   SpscRing    [ writeSeq (writer) | pad ][ readSeq (reader) | pad ][ slot 0 ][ slot 1 ] ...
 *   Broadcast   [ writeSeq | claimSeq (writer) | pad ]
 *               [ reader 0: state (both, by compare-and-swap) | pad ] ... [ reader n-1 ]
 *               [ slot 0 ][ slot 1 ] ...
 *   Doorbell    [ rings (ringers) | parked (sleeper) | pad ]
 *
 * Sequences are u32 in int32 words, wrapping, compared by (a - b) | 0. A broadcast reader's state
 * word holds 3 bits of state below a 29-bit sequence, compared by ((a - b) << 3) >> 3.
 * In the words of the classic ring buffers: writeSeq is the producer's index, readSeq the
 * consumer's.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

/** Int32 words that one writer's control block takes. */
export const CONTROL_WORDS = CACHE_LINE_PAIR_BYTES / 4;

export const BROADCAST_WRITE_WORD = 0;
export const BROADCAST_CLAIM_WORD = 1;
export const BROADCAST_READERS_WORD = CONTROL_WORDS;

export const DOORBELL_RINGS_WORD = 0;
export const DOORBELL_PARKED_WORD = 1;

/** States of a broadcast reader, the low 3 bits of its word. */
export const READER_ABSENT = 0;
export const READER_IDLE = 1;
export const READER_READING = 2;
/** Reading, and told to leave: the writer has passed it. */
export const READER_LAPPED = 3;
export const READER_EVICTED = 4;
/** Asks the writer for a place at the write position. */
export const READER_JOINING = 5;

export const STATE_BITS = 3;
export const STATE_MASK = 7;

/** True for powers of two. */
export function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}
