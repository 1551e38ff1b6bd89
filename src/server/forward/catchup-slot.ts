/**
 * Catch-up slot: a range of a segment file that the forwarder wants in the page cache, as it goes
 * through the ring to the catch-up worker, and the words by which that answers.
 *
 * LAYOUT      ring, 8 int32 words a slot
 *               0  id of the request; ids are 1, 2, ... and wrap
 *               1  fd of the segment; all threads of the process have it
 *               2  offset in the file, low 32 bits
 *               3  offset, high bits
 *               4  length, bytes
 *               5-7  zero
 *             `done` of CatchupHandle, 128 bytes apart
 *               byte 0    int32  id of the last request that was done   catch-up worker
 *                    128  int32  id of the last request                 forwarder
 *                    256  f64    bytes that were read                   catch-up worker
 * INVARIANTS  1. Requests are done in the order in which they were made, so that one id says which.
 *             2. A slot is given back after its id was published as done: the successor of a worker
 *                that died finds what was begun, and does it again.
 *             3. The fd stays open until the request is done: CatchupClient holds the segment.
 * REFUSED     The position instead of the fd (a segment that retention has unlinked cannot be
 *             opened, and is just what a lagging channel reads). Only when the forwarder dies, its
 *             fds are closed and may be other files: reading those into a buffer harms nobody.
 */
import { CACHE_LINE_PAIR_BYTES } from '../../toolkit/base/limits.ts';
import { IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import type { CatchupHandle } from '../setup.ts';

const SLOT_BYTES = 32;
export const REQUEST_ID = 0;
export const REQUEST_FD = 1;
const REQUEST_OFFSET_LOW = 2;
const REQUEST_OFFSET_HIGH = 3;
export const REQUEST_LENGTH = 4;

/** One for each of the channels that there are at most, rounded up. */
const REQUEST_SLOTS = 256;

const REQUESTED_WORD = CACHE_LINE_PAIR_BYTES / 4;
const BYTES_WORD = (2 * CACHE_LINE_PAIR_BYTES) / 8;
const WORDS_BYTES = 3 * CACHE_LINE_PAIR_BYTES;
const TWO_32 = 4294967296;

/** What forwarder and catch-up worker share, for all their lives. */
export function createCatchup(): CatchupHandle {
  const ring = SpscRing.create({ capacity: REQUEST_SLOTS, slotBytes: SLOT_BYTES, creditEvery: 1 });
  return {
    ring: ring.handle,
    idle: IdleStrategy.create().handle,
    done: new SharedArrayBuffer(WORDS_BYTES),
  };
}

export function setRequestOffset(words: Int32Array, slot: number, offset: number): void {
  words[slot + REQUEST_OFFSET_LOW] = offset | 0;
  words[slot + REQUEST_OFFSET_HIGH] = Math.floor(offset / TWO_32);
}

export function requestOffset(words: Int32Array, slot: number): number {
  return words[slot + REQUEST_OFFSET_HIGH]! * TWO_32 + (words[slot + REQUEST_OFFSET_LOW]! >>> 0);
}

/** The words of `done`. */
export class CatchupWords {
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;

  constructor(done: SharedArrayBuffer) {
    this.#ints = new Int32Array(done);
    this.#floats = new Float64Array(done);
  }

  get done(): number {
    return Atomics.load(this.#ints, 0);
  }

  /** Catch-up worker only. */
  set done(id: number) {
    Atomics.store(this.#ints, 0, id);
  }

  get requested(): number {
    return Atomics.load(this.#ints, REQUESTED_WORD);
  }

  /** Forwarder only. */
  set requested(id: number) {
    Atomics.store(this.#ints, REQUESTED_WORD, id);
  }

  get bytes(): number {
    return this.#floats[BYTES_WORD]!;
  }

  /** Catch-up worker only. */
  addBytes(bytes: number): void {
    this.#floats[BYTES_WORD]! += bytes;
  }
}
