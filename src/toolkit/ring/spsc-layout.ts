/**
 * Layout of the rings from one thread to one other, SpscRing and SpscByteRing alike.
 *
 *   byte 0    writeSeq         writer   published: all before it may be read
 *        128  nextWriteSeq     writer   own note: all before it is written
 *             cachedReadSeq    writer   own note: readSeq as last seen
 *        256  readSeq          reader   published: all before it may be overwritten
 *        384  nextReadSeq      reader   own note: all before it is read
 *             cachedWriteSeq   reader   own note: writeSeq as last seen
 *        512  producerRole     both, by compare-and-swap (roles.ts)
 *             consumerRole
 *        640  SpscRing: slot 0, slot 1, ...; sequences count slots
 *             SpscByteRing: messages; sequences count bytes
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
export const SPSC_CACHED_READ_WORD = CONTROL_WORDS + 1;
export const SPSC_READ_WORD = 2 * CONTROL_WORDS;
export const SPSC_NEXT_READ_WORD = 3 * CONTROL_WORDS;
export const SPSC_CACHED_WRITE_WORD = 3 * CONTROL_WORDS + 1;
export const SPSC_PRODUCER_WORD = 4 * CONTROL_WORDS;
export const SPSC_CONSUMER_WORD = 4 * CONTROL_WORDS + 1;
export const SPSC_SLOTS_WORD = 5 * CONTROL_WORDS;

export const SPSC_CONTROL_BYTES = SPSC_SLOTS_WORD * 4;

/** Every sequence at `startSeq`. Before anybody else sees the ring. */
export function initSpsc(words: Int32Array, startSeq: number): void {
  for (const at of [
    SPSC_WRITE_WORD,
    SPSC_NEXT_WRITE_WORD,
    SPSC_CACHED_READ_WORD,
    SPSC_READ_WORD,
    SPSC_NEXT_READ_WORD,
    SPSC_CACHED_WRITE_WORD,
  ]) {
    words[at] = startSeq | 0;
  }
}
