/**
 * BroadcastReader: the reading side of broadcast-ring.ts, where protocol and invariants stand.
 *
 * OWNERSHIP  One reader object per reader index, one thread. Between tryRead and finish it may
 *            touch what the slot refers to, even if the writer laps it meanwhile.
 * PROGRESS   wait-free.
 */
import { assert } from '../base/assert.ts';
import {
  type BroadcastRingHandle,
  packReader,
  readerSeq,
  readerWord,
  slotsWord,
} from './broadcast-ring.ts';
import {
  BROADCAST_CLAIM_WORD,
  BROADCAST_WRITE_WORD,
  READER_ABSENT,
  READER_EVICTED,
  READER_IDLE,
  READER_JOINING,
  READER_LAPPED,
  READER_READING,
  STATE_MASK,
} from './layout.ts';

/** What tryRead answers. */
export const READ_OK = 1;
export const READ_NOTHING = 0;
export const READ_EVICTED = -1;

export class BroadcastReader {
  /** The words of the slot that tryRead answered READ_OK for: a private copy. */
  readonly slot: Int32Array;
  readonly #handle: BroadcastRingHandle;
  readonly #words: Int32Array;
  readonly #index: number;

  constructor(handle: BroadcastRingHandle, reader: number) {
    assert(reader < handle.readerCount, "a reader index below the ring's count");
    this.#handle = handle;
    this.#words = new Int32Array(handle.buffer);
    this.#index = readerWord(reader);
    this.slot = new Int32Array(handle.slotWords);
  }

  /** Asks for a place at the write position; the writer grants it in its next poll. */
  join(): void {
    const word = Atomics.load(this.#words, this.#index);
    const state = word & STATE_MASK;
    if (state === READER_ABSENT || state === READER_EVICTED) {
      Atomics.store(this.#words, this.#index, packReader(0, READER_JOINING));
    }
  }

  /** True while the reader has a place in the ring. */
  get joined(): boolean {
    const state = Atomics.load(this.#words, this.#index) & STATE_MASK;
    return state === READER_IDLE || state === READER_READING || state === READER_LAPPED;
  }

  /** READ_OK: `slot` holds the next slot, and finish must follow. */
  tryRead(): number {
    const word = Atomics.load(this.#words, this.#index);
    if ((word & STATE_MASK) !== READER_IDLE) return READ_EVICTED;
    const seq29 = readerSeq(word);
    const writeSeq = Atomics.load(this.#words, BROADCAST_WRITE_WORD);
    if (((writeSeq - seq29) & 0x1fff_ffff) === 0) return READ_NOTHING;
    const reading = packReader(seq29, READER_READING);
    if (Atomics.compareExchange(this.#words, this.#index, word, reading) !== word) {
      return READ_EVICTED;
    }
    const count = this.#handle.slotWords;
    const from = slotsWord(this.#handle) + (seq29 & (this.#handle.capacity - 1)) * count;
    for (let i = 0; i < count; i++) this.slot[i] = Atomics.load(this.#words, from + i);
    const claimSeq = Atomics.load(this.#words, BROADCAST_CLAIM_WORD);
    if (((claimSeq - seq29) & 0x1fff_ffff) > this.#handle.capacity) {
      // The copy may be torn: the writer has passed this slot and has marked this reader lapped.
      this.finish();
      return READ_EVICTED;
    }
    return READ_OK;
  }

  /** The reader has let go of what the slot refers to. */
  finish(): void {
    const word = Atomics.load(this.#words, this.#index);
    const seq29 = readerSeq(word);
    if ((word & STATE_MASK) === READER_READING) {
      const idle = packReader(seq29 + 1, READER_IDLE);
      if (Atomics.compareExchange(this.#words, this.#index, word, idle) === word) return;
    }
    Atomics.store(this.#words, this.#index, packReader(seq29, READER_EVICTED));
  }

  /** Lets go of the slot without passing it: the next tryRead finds it again. */
  putBack(): void {
    const word = Atomics.load(this.#words, this.#index);
    const seq29 = readerSeq(word);
    if ((word & STATE_MASK) === READER_READING) {
      const idle = packReader(seq29, READER_IDLE);
      if (Atomics.compareExchange(this.#words, this.#index, word, idle) === word) return;
    }
    Atomics.store(this.#words, this.#index, packReader(seq29, READER_EVICTED));
  }

  /**
   * Gives the place up: by the reader itself, or by a supervisor after the reader's thread ended.
   */
  leave(): void {
    Atomics.store(this.#words, this.#index, packReader(0, READER_ABSENT));
  }
}
