/**
 * BroadcastReader: a reading end of a BroadcastRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One reader an index, one thread. Between tryRead and finish it may touch what the slot
 *            refers to, even if the writer laps it meanwhile. Where slots are values, `slot` is a
 *            copy of its own, and finish may be left to the next tryRead.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import type { BroadcastRingHandle } from './broadcast-handle.ts';
import {
  broadcastBegin,
  broadcastConfirm,
  broadcastCopySlot,
  broadcastFinish,
  broadcastJoin,
  broadcastLeave,
  broadcastNext,
  broadcastTryRead,
  READ_EVICTED,
  READ_OK,
} from './broadcast-kernel.ts';
import {
  BROADCAST_WRITE_WORD,
  BROADCAST_WRITER_WORD,
  READER_ASKING,
  READER_IDLE,
  READER_LAPPED,
  READER_LOST,
  READER_MISSED,
  READER_NEXT,
  READER_READING,
  READER_ROLE,
  readerLine,
  STATE_MASK,
} from './broadcast-layout.ts';
import {
  claimRole,
  closeRole,
  isClosable,
  isRoleGone,
  type RoleState,
  roleState,
  takeRole,
} from './roles.ts';

/** Takes the role of `index`, of the first free one when it is -1. Returns the index. */
function takeReader(words: Int32Array, readerCount: number, index: number): number {
  assert(index >= -1 && index < readerCount, "a reader index below the ring's count");
  if (index >= 0) {
    claimRole(words, readerLine(index) + READER_ROLE);
    return index;
  }
  for (let free = 0; free < readerCount; free++) {
    if (takeRole(words, readerLine(free) + READER_ROLE)) return free;
  }
  assert(false, 'a ring has places for as many readers as it was made for: all are taken');
  return -1;
}

export class BroadcastReader {
  readonly handle: BroadcastRingHandle;
  readonly index: number;
  /** The words of the slot that tryRead answered READ_OK for: a private copy. */
  readonly slot: Int32Array;
  readonly #words: Int32Array;
  readonly #line: number;
  #isReading = false;

  /** Takes the role; see BroadcastRing.reader. */
  constructor(handle: BroadcastRingHandle, index: number) {
    this.handle = handle;
    this.#words = new Int32Array(handle.memory.buffer);
    this.index = takeReader(this.#words, handle.readerCount, index);
    this.#line = readerLine(this.index);
    this.slot = new Int32Array(handle.slotWords);
  }

  /**
   * Asks for a place at the write position, the first time or after an eviction; the writer grants
   * it in its next poll. Nothing happens when there is one, or one was asked for.
   */
  join(): void {
    broadcastJoin(this.#words, this.#line);
  }

  /** True while the reader has a place in the ring. */
  get joined(): boolean {
    const state = Atomics.load(this.#words, this.#line) & STATE_MASK;
    return state === READER_IDLE || state === READER_READING || state === READER_LAPPED;
  }

  /**
   * u32: the first slot that this reader has not finished. After an eviction: where it lost touch,
   * until it gets the first slot of its new place.
   */
  get nextSeq(): number {
    return this.#words[this.#line + READER_NEXT]! >>> 0;
  }

  /**
   * u32: where this reader lost touch: the first slot that it had not finished. It holds from
   * READ_EVICTED until the next eviction: also when the first slot of a new place is there, which
   * comes missedCount later. The first reader of an index begins with the ring's first slot, a
   * later one where the last one stood.
   */
  get lostSeq(): number {
    const words = this.#words;
    const isIn = this.joined && words[this.#line + READER_ASKING] === 0;
    return words[this.#line + (isIn ? READER_LOST : READER_NEXT)]! >>> 0;
  }

  /**
   * Slots from lostSeq on that it has missed, modulo 2^32; known with the first READ_OK of a new
   * place.
   */
  get missedCount(): number {
    return this.#words[this.#line + READER_MISSED]! >>> 0;
  }

  /** Published slots that this reader has not finished, if it has a place. */
  get lag(): number {
    if (!this.joined) return 0;
    const nextSeq = broadcastNext(this.#words, this.#line);
    return (Atomics.load(this.#words, BROADCAST_WRITE_WORD) - nextSeq) >>> 0;
  }

  /**
   * READ_OK: `slot` holds the next slot, and finish must follow before what it refers to is
   * forgotten; the next tryRead does it where the caller has not. READ_NOTHING: nothing is new, or
   * the place that was asked for is not yet granted. READ_EVICTED: this reader has no place: it was
   * too slow (see lostSeq), or has never joined.
   */
  tryRead(): number {
    if (this.#isReading) this.finish();
    const answer = broadcastTryRead(this.#words, this.#line, this.slot, 0);
    this.#isReading = answer === READ_OK;
    return answer;
  }

  /**
   * For slots that are values: copies as many whole slots as there are and as fit into `into`, and
   * is done with them. Returns their number; 0, READ_NOTHING and READ_EVICTED as in tryRead.
   */
  readBatch(into: Int32Array): number {
    if (this.#isReading) this.finish();
    const words = this.#words;
    const line = this.#line;
    const answer = broadcastBegin(words, line);
    if (answer !== READ_OK) return answer;
    const { slotWords } = this.handle;
    const nextSeq = broadcastNext(words, line);
    const available = (Atomics.load(words, BROADCAST_WRITE_WORD) - nextSeq) | 0;
    const count = Math.min(Math.floor(into.length / slotWords), available, this.handle.capacity);
    for (let i = 0; i < count; i++) {
      broadcastCopySlot(words, (nextSeq + i) | 0, into, i * slotWords);
    }
    const isWhole = broadcastConfirm(words, line, nextSeq);
    if (!isWhole) return READ_EVICTED;
    broadcastFinish(words, line, count);
    return count;
  }

  /** The reader has let go of what the slot refers to. */
  finish(): void {
    assert(this.#isReading, 'finish follows tryRead');
    this.#isReading = false;
    broadcastFinish(this.#words, this.#line, 1);
  }

  /** Lets go of the slot without passing it: the next tryRead finds it again. */
  putBack(): void {
    assert(this.#isReading, 'putBack follows tryRead');
    this.#isReading = false;
    broadcastFinish(this.#words, this.#line, 0);
  }

  /** Gives the place up; join asks for another. */
  leave(): void {
    this.#isReading = false;
    broadcastLeave(this.#words, this.#line);
  }

  peerState(): RoleState {
    return roleState(this.#words, BROADCAST_WRITER_WORD);
  }

  /**
   * The writer has closed or its thread has died. What it had published is still there: look at
   * this first, then read until there is nothing, and nothing is missed.
   */
  isPeerGone(): boolean {
    return isRoleGone(this.#words, BROADCAST_WRITER_WORD);
  }

  /** Gives place and role back. */
  close(): void {
    if (!isClosable(this.#words, this.#line + READER_ROLE)) return;
    this.leave();
    closeRole(this.#words, this.#line + READER_ROLE);
  }
}
