/**
 * Layout of the rings from one thread to one other, SpscRing and SpscByteRing alike.
 *
 *   byte 0    writeSeq       writer  published: all before it may be read
 *        128  nextWriteSeq   writer  own note: all before it is written
 *             writeLimitSeq  writer  own note: room ends here (readSeq as last seen, + capacity)
 *             publishAtSeq   writer  own note: who writes up to here publishes
 *             capacity, publishEvery   nobody: constants, for the writer
 *        256  readSeq        reader  published: all before it may be overwritten
 *        384  nextReadSeq    reader  own note: all before it is read
 *             readLimitSeq   reader  own note: writeSeq as last seen
 *             creditAtSeq    reader  own note: who reads up to here gives back
 *             capacity, creditEvery    nobody: constants, for the reader
 *        512  producerRole   both, by compare-and-swap (roles.ts)
 *             consumerRole
 *        640  SpscRing: slot 0, slot 1, ...; sequences count slots
 *             SpscByteRing: messages; sequences count bytes. A message starts at a multiple of 8:
 *               0  length in bytes, or PADDING: nothing up to the end of the array
 *               4  type (the caller's)
 *               8  payload, then up to 7 bytes unused
 *
 * What one side writes stands 128 bytes from what the other side writes or reads. The own notes are
 * here and not in an object, so that who takes a role over goes on where the last holder stood, and
 * WebAssembly and JavaScript see the same.
 * Sequences are u32 in int32 words, wrapping, compared by (a - b) | 0. In the words of the classic
 * ring buffers: writeSeq is the producer's index, readSeq the consumer's.
 */
import { CONTROL_WORDS } from './layout.ts';

export const SPSC_WRITE_WORD = 0;
export const SPSC_NEXT_WRITE_WORD = CONTROL_WORDS;
export const SPSC_WRITE_LIMIT_WORD = CONTROL_WORDS + 1;
export const SPSC_PUBLISH_AT_WORD = CONTROL_WORDS + 2;
export const SPSC_WRITER_CAPACITY_WORD = CONTROL_WORDS + 3;
export const SPSC_PUBLISH_EVERY_WORD = CONTROL_WORDS + 4;
export const SPSC_READ_WORD = 2 * CONTROL_WORDS;
export const SPSC_NEXT_READ_WORD = 3 * CONTROL_WORDS;
export const SPSC_READ_LIMIT_WORD = 3 * CONTROL_WORDS + 1;
export const SPSC_CREDIT_AT_WORD = 3 * CONTROL_WORDS + 2;
export const SPSC_READER_CAPACITY_WORD = 3 * CONTROL_WORDS + 3;
export const SPSC_CREDIT_EVERY_WORD = 3 * CONTROL_WORDS + 4;
export const SPSC_PRODUCER_WORD = 4 * CONTROL_WORDS;
export const SPSC_CONSUMER_WORD = 4 * CONTROL_WORDS + 1;
export const SPSC_SLOTS_WORD = 5 * CONTROL_WORDS;

export const SPSC_CONTROL_BYTES = SPSC_SLOTS_WORD * 4;

/** int32 words of a message's header, from its start. */
export const MESSAGE_LENGTH_WORD = 0;
export const MESSAGE_TYPE_WORD = 1;
export const MESSAGE_HEADER_BYTES = 8;
export const MESSAGE_ALIGN_BYTES = 8;
/** In the place of a length. */
export const MESSAGE_PADDING = -1;

/** Bounds of a ring, in the unit of its sequences. */
export interface SpscBounds {
  readonly capacity: number;
  readonly publishEvery: number;
  readonly creditEvery: number;
}

/** Every sequence at `startSeq`. Before anybody else sees the ring. */
export function initSpsc(words: Int32Array, bounds: SpscBounds, startSeq: number): void {
  words[SPSC_WRITE_WORD] = startSeq;
  words[SPSC_NEXT_WRITE_WORD] = startSeq;
  words[SPSC_WRITE_LIMIT_WORD] = startSeq + bounds.capacity;
  words[SPSC_PUBLISH_AT_WORD] = startSeq + bounds.publishEvery;
  words[SPSC_WRITER_CAPACITY_WORD] = bounds.capacity;
  words[SPSC_PUBLISH_EVERY_WORD] = bounds.publishEvery;
  words[SPSC_READ_WORD] = startSeq;
  words[SPSC_NEXT_READ_WORD] = startSeq;
  words[SPSC_READ_LIMIT_WORD] = startSeq;
  words[SPSC_CREDIT_AT_WORD] = startSeq + bounds.creditEvery;
  words[SPSC_READER_CAPACITY_WORD] = bounds.capacity;
  words[SPSC_CREDIT_EVERY_WORD] = bounds.creditEvery;
}
