/**
 * BroadcastWriter: the writing side of broadcast-ring.ts, where protocol and invariants stand.
 *
 * OWNERSHIP  One writer per ring, one thread. It releases what slots refer to, keeps aside what a
 *            lapped reader may still touch, admits joining readers and evicts slow ones.
 * PROGRESS   Every method is wait-free but for the eviction's retry, which ends when the reader's
 *            word stands still for one exchange.
 */
import { assert } from '../base/assert.ts';
import {
  type BroadcastRingHandle,
  packReader,
  readerSeq,
  readerWord,
  seqDistance,
  slotsWord,
} from './broadcast-ring.ts';
import {
  BROADCAST_CLAIM_WORD,
  BROADCAST_WRITE_WORD,
  READER_EVICTED,
  READER_IDLE,
  READER_JOINING,
  READER_LAPPED,
  READER_READING,
  STATE_MASK,
} from './layout.ts';

export class BroadcastWriter {
  /**
   * The slot is written here, word by word with Atomics.store, at the index that claim returned.
   */
  readonly words: Int32Array;
  readonly #handle: BroadcastRingHandle;
  readonly #slotsWord: number;
  readonly #release: (words: Int32Array, index: number) => void;
  /** Per reader: a copy of the slot that a lapped reader may still read. */
  readonly #asideSeq: Int32Array;
  readonly #hasAside: Uint8Array;
  readonly #asideWords: Int32Array;
  #writeSeq: number;
  #releasedSeq: number;

  /**
   * `release(words, index)` is called once per slot, when no reader can touch what the slot refers
   * to any more; the slot's words stand at `index` of `words`.
   */
  constructor(handle: BroadcastRingHandle, release: (words: Int32Array, index: number) => void) {
    this.#handle = handle;
    this.words = new Int32Array(handle.buffer);
    this.#slotsWord = slotsWord(handle);
    this.#release = release;
    this.#asideSeq = new Int32Array(handle.readerCount);
    this.#hasAside = new Uint8Array(handle.readerCount);
    this.#asideWords = new Int32Array(handle.readerCount * handle.slotWords);
    this.#writeSeq = this.words[BROADCAST_WRITE_WORD]!;
    this.#releasedSeq = this.#writeSeq;
  }

  /** Published slots whose reference is not yet released. */
  get unreleased(): number {
    return (this.#writeSeq - this.#releasedSeq) | 0;
  }

  /** The word index for the next slot; makes room by evicting who holds the oldest one. */
  claim(): number {
    const oldest = (this.#writeSeq - this.#handle.capacity) | 0;
    if (((this.#releasedSeq - oldest) | 0) <= 0) {
      this.#evictUpTo(oldest);
      this.poll();
      assert(((this.#releasedSeq - oldest) | 0) > 0, 'eviction frees the oldest slot');
    }
    Atomics.store(this.words, BROADCAST_CLAIM_WORD, (this.#writeSeq + 1) | 0);
    return this.#slotIndex(this.#writeSeq);
  }

  publish(): void {
    this.#writeSeq = (this.#writeSeq + 1) | 0;
    Atomics.store(this.words, BROADCAST_WRITE_WORD, this.#writeSeq);
  }

  /** Admits joining readers, releases what everybody has passed. */
  poll(): void {
    let passed = this.#writeSeq;
    for (let reader = 0; reader < this.#handle.readerCount; reader++) {
      const index = readerWord(reader);
      const word = Atomics.load(this.words, index);
      const state = word & STATE_MASK;
      this.#dropAside(reader, state);
      if (state === READER_JOINING) {
        Atomics.store(this.words, index, packReader(this.#writeSeq, READER_IDLE));
      } else if (state === READER_IDLE || state === READER_READING) {
        const behind = seqDistance(this.#writeSeq, readerSeq(word));
        const seq = (this.#writeSeq - behind) | 0;
        if (((seq - passed) | 0) < 0) passed = seq;
      }
    }
    this.#releaseUpTo(passed);
  }

  /** Evicts the reader that is furthest behind, if any is behind; true when there was one. */
  evictSlowest(): boolean {
    let slowest = -1;
    let most = 0;
    for (let reader = 0; reader < this.#handle.readerCount; reader++) {
      const word = Atomics.load(this.words, readerWord(reader));
      const state = word & STATE_MASK;
      if (state !== READER_IDLE && state !== READER_READING) continue;
      const behind = seqDistance(this.#writeSeq, readerSeq(word));
      if (behind > most) {
        most = behind;
        slowest = reader;
      }
    }
    if (slowest < 0) return false;
    this.#evict(slowest, (this.#writeSeq - 1) | 0);
    this.poll();
    return true;
  }

  #slotIndex(seq: number): number {
    return this.#slotsWord + (seq & (this.#handle.capacity - 1)) * this.#handle.slotWords;
  }

  #evictUpTo(oldest: number): void {
    for (let reader = 0; reader < this.#handle.readerCount; reader++) {
      const word = Atomics.load(this.words, readerWord(reader));
      const state = word & STATE_MASK;
      if (state !== READER_IDLE && state !== READER_READING) continue;
      if (seqDistance(readerSeq(word), oldest) <= 0) this.#evict(reader, oldest);
    }
  }

  /** Takes the reader's place away, unless it has meanwhile passed `upTo`. */
  #evict(reader: number, upTo: number): void {
    const index = readerWord(reader);
    // Ends as soon as the reader's word stands still between the load and the exchange.
    for (;;) {
      const word = Atomics.load(this.words, index);
      const state = word & STATE_MASK;
      const seq = readerSeq(word);
      if (seqDistance(seq, upTo) > 0) return;
      if (state === READER_IDLE) {
        const to = packReader(seq, READER_EVICTED);
        if (Atomics.compareExchange(this.words, index, word, to) === word) return;
      } else if (state === READER_READING) {
        const to = packReader(seq, READER_LAPPED);
        if (Atomics.compareExchange(this.words, index, word, to) === word) {
          this.#setAside(reader, seq);
          return;
        }
      } else return;
    }
  }

  #setAside(reader: number, seq29: number): void {
    const seq = (this.#writeSeq - seqDistance(this.#writeSeq, seq29)) | 0;
    assert(this.#hasAside[reader] === 0, 'a reader holds at most one slot aside');
    const from = this.#slotIndex(seq);
    const count = this.#handle.slotWords;
    for (let i = 0; i < count; i++) {
      this.#asideWords[reader * count + i] = this.words[from + i]!;
    }
    this.#asideSeq[reader] = seq;
    this.#hasAside[reader] = 1;
  }

  /** A lapped reader has left: what it held is released, unless releaseUpTo will still reach it. */
  #dropAside(reader: number, state: number): void {
    if (this.#hasAside[reader] === 0 || state === READER_LAPPED) return;
    const seq = this.#asideSeq[reader]!;
    this.#hasAside[reader] = 0;
    if (((this.#releasedSeq - seq) | 0) <= 0 || this.#isAside(seq)) return;
    this.#release(this.#asideWords, reader * this.#handle.slotWords);
  }

  #isAside(seq: number): boolean {
    for (let reader = 0; reader < this.#handle.readerCount; reader++) {
      if (this.#hasAside[reader] === 1 && this.#asideSeq[reader] === seq) return true;
    }
    return false;
  }

  #releaseUpTo(passed: number): void {
    while (((passed - this.#releasedSeq) | 0) > 0) {
      const seq = this.#releasedSeq;
      if (!this.#isAside(seq)) this.#release(this.words, this.#slotIndex(seq));
      this.#releasedSeq = (seq + 1) | 0;
    }
  }
}
