/**
 * Layout of BroadcastRing: int32 words of one shared memory.
 *
 *   byte 0    writeSeq     writer  published: all before it may be read
 *             claimSeq     writer  published: slots before claimSeq - capacity may be overwritten
 *                                  at this moment
 *        128  releasedSeq  writer  own note: what all before it refer to is released, or aside
 *             asideCount   writer  own note: lapped readers whose slot is kept aside
 *        256  capacity, slotWords, readerCount, slotsWord, asidesWord   nobody: constants
 *             writerRole   both, by compare-and-swap (roles.ts)
 *        384  reader 0
 *               state        both, by compare-and-swap: 29-bit sequence above 3 bits of state
 *               nextSeq      reader  own note: the first slot that it has not finished
 *               isAsking     reader  own note: 1 from join until it has got a slot: it begins at
 *                                     admittedSeq then, not at nextSeq
 *               lostSeq      reader  own note: nextSeq before that: lost from here on
 *               missedCount  reader  own note: slots from lostSeq to where it was admitted
 *               admittedSeq  writer, before it admits: where the reader begins
 *               role         both, by compare-and-swap (roles.ts)
 *        512  reader 1, ...
 *             slot 0, slot 1, ...
 *             aside 0, aside 1, ... (one a reader)   writer, own notes
 *               isKept       1: a lapped reader may still touch what this slot refers to
 *               seq          of the slot
 *               words        a copy of the slot
 *
 * A reader's words share a line, since the reader writes its state for every slot anyway.
 * The own notes are here and not in objects, so that who takes a role over goes on where the last
 * holder stood. Sequences are u32 in int32 words, wrapping, compared by (a - b) | 0; those of the
 * state word have 29 bits, compared by seqDistance, which is right up to 2^28 slots.
 */
import { CONTROL_WORDS } from './layout.ts';

export const BROADCAST_WRITE_WORD = 0;
export const BROADCAST_CLAIM_WORD = 1;
export const BROADCAST_RELEASED_WORD = CONTROL_WORDS;
export const BROADCAST_ASIDE_COUNT_WORD = CONTROL_WORDS + 1;
export const BROADCAST_CAPACITY_WORD = 2 * CONTROL_WORDS;
export const BROADCAST_SLOT_WORDS_WORD = 2 * CONTROL_WORDS + 1;
export const BROADCAST_READER_COUNT_WORD = 2 * CONTROL_WORDS + 2;
export const BROADCAST_SLOTS_WORD = 2 * CONTROL_WORDS + 3;
export const BROADCAST_ASIDES_WORD = 2 * CONTROL_WORDS + 4;
export const BROADCAST_WRITER_WORD = 2 * CONTROL_WORDS + 5;
export const BROADCAST_READERS_WORD = 3 * CONTROL_WORDS;

/** Words of a reader, from its line's start (readerLine), where its state stands. */
export const READER_NEXT = 1;
export const READER_ASKING = 2;
export const READER_LOST = 3;
export const READER_MISSED = 4;
export const READER_ADMITTED = 5;
export const READER_ROLE = 6;

/** Words of an aside, from its start. */
export const ASIDE_KEPT = 0;
export const ASIDE_SEQ = 1;
export const ASIDE_SLOT = 2;

/** States of a reader, the low 3 bits of its word. */
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

/** 29-bit sequences tell the order of slots less than 2^28 apart. */
export const BROADCAST_CAPACITY_MAX = 2 ** 27;

/** Word index of a reader's line. */
export function readerLine(reader: number): number {
  return BROADCAST_READERS_WORD + reader * CONTROL_WORDS;
}

/** The wrapping distance of two 29-bit sequences, or of the low 29 bits of longer ones. */
export function seqDistance(a: number, b: number): number {
  return ((a - b) << STATE_BITS) >> STATE_BITS;
}

/** A reader's state word: the low 29 bits of the sequence above the state. */
export function packReader(seq: number, state: number): number {
  return (seq << STATE_BITS) | state;
}

/** The 29-bit sequence of a reader's state word. */
export function readerSeq(word: number): number {
  return word >>> STATE_BITS;
}

/** Slots of a ring, and who reads them. */
export interface BroadcastSizes {
  readonly capacity: number;
  readonly slotWords: number;
  readonly readerCount: number;
}

function slotsWordOf(sizes: BroadcastSizes): number {
  return BROADCAST_READERS_WORD + sizes.readerCount * CONTROL_WORDS;
}

function asidesWordOf(sizes: BroadcastSizes): number {
  const end = slotsWordOf(sizes) + sizes.capacity * sizes.slotWords;
  return Math.ceil(end / CONTROL_WORDS) * CONTROL_WORDS;
}

/** Words of the whole ring. */
export function broadcastWords(sizes: BroadcastSizes): number {
  return asidesWordOf(sizes) + sizes.readerCount * (ASIDE_SLOT + sizes.slotWords);
}

/** Every sequence at `startSeq`, no reader. Before anybody else sees the ring. */
export function initBroadcast(words: Int32Array, sizes: BroadcastSizes, startSeq: number): void {
  words[BROADCAST_WRITE_WORD] = startSeq;
  words[BROADCAST_CLAIM_WORD] = startSeq;
  words[BROADCAST_RELEASED_WORD] = startSeq;
  words[BROADCAST_CAPACITY_WORD] = sizes.capacity;
  words[BROADCAST_SLOT_WORDS_WORD] = sizes.slotWords;
  words[BROADCAST_READER_COUNT_WORD] = sizes.readerCount;
  words[BROADCAST_SLOTS_WORD] = slotsWordOf(sizes);
  words[BROADCAST_ASIDES_WORD] = asidesWordOf(sizes);
  for (let reader = 0; reader < sizes.readerCount; reader++) {
    const line = readerLine(reader);
    words[line + READER_NEXT] = startSeq;
    words[line + READER_LOST] = startSeq;
  }
}
