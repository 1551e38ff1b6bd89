/**
 * SpscRing: fixed slots of int32 words from one thread to one other.
 *
 * WHY          A collector hands slices to the journal without a message, a copy or a lock.
 * LAYOUT       layout.ts; slot i of sequence s is s & (capacity - 1).
 * OWNERSHIP    writeSeq and the claimed slot: the writer. readSeq: the reader.
 * INVARIANTS   0 <= (writeSeq - readSeq) <= capacity, by wrapping arithmetic.
 * MEMORY ORDER payload words are plain; commit's Atomics.store of writeSeq publishes them and
 * peek's
 *              Atomics.load of writeSeq acquires them; release's store of readSeq gives the slot
 *              back and claim's load of readSeq takes it.
 * PROGRESS     every method is wait-free. Full and empty are answers (NO_SLOT).
 * REFUSED      spinning inside a method: waiting is the caller's policy (Doorbell).
 */
import { assert } from '../base/assert.ts';
import { isPowerOfTwo, SPSC_READ_WORD, SPSC_SLOTS_WORD, SPSC_WRITE_WORD } from './layout.ts';

/** What travels to workers. */
export interface SpscRingHandle {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly slotWords: number;
}

export const NO_SLOT = -1;

export class SpscRing {
  readonly handle: SpscRingHandle;
  /** Slots are read and written through this view, at the index that claim or peek returned. */
  readonly words: Int32Array;
  readonly #mask: number;
  readonly #slotWords: number;

  constructor(handle: SpscRingHandle) {
    this.handle = handle;
    this.words = new Int32Array(handle.buffer);
    this.#mask = handle.capacity - 1;
    this.#slotWords = handle.slotWords;
  }

  /** `startSeq` lets a test begin just below the wrap. */
  static create(capacity: number, slotWords: number, startSeq = 0): SpscRing {
    assert(isPowerOfTwo(capacity), 'the capacity of a ring is a power of two');
    const buffer = new SharedArrayBuffer((SPSC_SLOTS_WORD + capacity * slotWords) * 4);
    const ring = new SpscRing({ buffer, capacity, slotWords });
    ring.words[SPSC_WRITE_WORD] = startSeq | 0;
    ring.words[SPSC_READ_WORD] = startSeq | 0;
    return ring;
  }

  /** Writer: the word index of the next slot, or NO_SLOT when the ring is full. */
  claim(): number {
    const writeSeq = this.words[SPSC_WRITE_WORD]!;
    const readSeq = Atomics.load(this.words, SPSC_READ_WORD);
    if (((writeSeq - readSeq) | 0) > this.#mask) return NO_SLOT;
    return SPSC_SLOTS_WORD + (writeSeq & this.#mask) * this.#slotWords;
  }

  /** Writer: publishes the claimed slot. */
  commit(): void {
    Atomics.store(this.words, SPSC_WRITE_WORD, (this.words[SPSC_WRITE_WORD]! + 1) | 0);
  }

  /** Reader: the word index of the oldest slot, or NO_SLOT when the ring is empty. */
  peek(): number {
    const readSeq = this.words[SPSC_READ_WORD]!;
    if (Atomics.load(this.words, SPSC_WRITE_WORD) === readSeq) return NO_SLOT;
    return SPSC_SLOTS_WORD + (readSeq & this.#mask) * this.#slotWords;
  }

  /** Reader: gives the peeked slot back. */
  release(): void {
    Atomics.store(this.words, SPSC_READ_WORD, (this.words[SPSC_READ_WORD]! + 1) | 0);
  }

  /** Slots between writer and reader, seen from any thread. */
  used(): number {
    const readSeq = Atomics.load(this.words, SPSC_READ_WORD);
    return (Atomics.load(this.words, SPSC_WRITE_WORD) - readSeq) | 0;
  }
}
