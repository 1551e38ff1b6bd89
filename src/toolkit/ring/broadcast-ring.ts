/**
 * BroadcastRing: one writer, several readers that each see every slot; the writer never waits.
 *
 * WHY          The journal publishes slices to the store and the forwarders at their own speeds.
 *              One that falls behind must not hold pages for ever: it is evicted and reads from the
 *              segments, which hold the same bytes, until it asks for a place again.
 * LAYOUT       layout.ts; reader r has one word: 29-bit sequence above 3 bits of state.
 * OWNERSHIP    Slots: the writer. A reader's word: IDLE -> READING -> IDLE by the reader,
 *              IDLE -> EVICTED and READING -> LAPPED by the writer, LAPPED -> EVICTED and
 *              EVICTED -> JOINING by the reader, JOINING -> IDLE by the writer. All transitions
 *              that two parties may try are compare-and-swap.
 * INVARIANTS   1. What a slot refers to is released once, when every reader that is neither absent
 *              nor evicted has passed it.
 *              2. A reader touches what slot s refers to only in READING s or LAPPED s; the writer
 *              keeps that one slot's reference aside until the reader has left.
 *              3. A slot may be overwritten while a reader copies its words: the reader compares
 *              claimSeq afterwards and discards the copy (then it has been or will be evicted).
 * MEMORY ORDER claimSeq is stored before, writeSeq after the words of a slot; the words themselves
 * are
 *              stored and loaded by Atomics too: on arm64 plain accesses may pass those two, and a
 *              torn copy would go unnoticed.
 * PROGRESS     publish, poll, tryRead and finish are wait-free (bounded by the number of readers).
 * REFUSED      A reader that gates the writer (one dead disk would stop the intake); copying slots
 *              to each reader (n times the work, and the pages would still be shared).
 */
import { assert } from '../base/assert.ts';
import {
  BROADCAST_CLAIM_WORD,
  BROADCAST_READERS_WORD,
  BROADCAST_WRITE_WORD,
  CONTROL_WORDS,
  isPowerOfTwo,
  STATE_BITS,
} from './layout.ts';

/** What travels to workers. */
export interface BroadcastRingHandle {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly slotWords: number;
  readonly readerCount: number;
}

/** Makes the shared memory; `startSeq` lets a test begin just below the wrap. */
export function createBroadcastRing(
  capacity: number,
  slotWords: number,
  readerCount: number,
  startSeq = 0,
): BroadcastRingHandle {
  assert(isPowerOfTwo(capacity), 'the capacity of a ring is a power of two');
  const words = BROADCAST_READERS_WORD + readerCount * CONTROL_WORDS + capacity * slotWords;
  const buffer = new SharedArrayBuffer(words * 4);
  const view = new Int32Array(buffer);
  view[BROADCAST_WRITE_WORD] = startSeq | 0;
  view[BROADCAST_CLAIM_WORD] = startSeq | 0;
  return { buffer, capacity, slotWords, readerCount };
}

/** The wrapping distance of two 29-bit sequences. */
export function seqDistance(a: number, b: number): number {
  return ((a - b) << STATE_BITS) >> STATE_BITS;
}

/** A reader's word: 29-bit sequence above the state. */
export function packReader(seq: number, state: number): number {
  return (seq << STATE_BITS) | state;
}

export function readerSeq(word: number): number {
  return word >>> STATE_BITS;
}

/** Word index of slot 0. */
export function slotsWord(handle: BroadcastRingHandle): number {
  return BROADCAST_READERS_WORD + handle.readerCount * CONTROL_WORDS;
}

/** Word index of a reader's state. */
export function readerWord(reader: number): number {
  return BROADCAST_READERS_WORD + reader * CONTROL_WORDS;
}
