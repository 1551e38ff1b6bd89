/**
 * BroadcastRing: fixed slots from one writer to several readers that each see every slot; the
 * writer never waits.
 *
 * WHY          The journal publishes slices to the store and the forwarders at their own speeds.
 *              One that falls behind must not hold pages for ever: it is evicted, learns the
 *              sequence from which on it has missed slots, and may ask for a place again (the
 *              server's readers read the segments meanwhile, which hold the same bytes).
 * LAYOUT       broadcast-layout.ts; slot of sequence s is s & (capacity - 1). A slot is int32
 *              words: values, or references to something that the writer releases.
 * OWNERSHIP    One writer (broadcast-writer.ts), one reader an index (broadcast-reader.ts), each
 *              claimed by compare-and-swap. This object belongs to nobody: it looks, and gives up
 *              the role of a thread that died.
 * INVARIANTS   broadcast-kernel.ts.
 * MEMORY ORDER broadcast-kernel.ts.
 * DEATHS       A reader: abandonReader; the writer releases what it held with its next poll. The
 *              writer: abandonWriter, and the next one goes on from the shared words: nothing is
 *              lost that was published. Not possible: to know whether the one release that was
 *              running at the end was done (it is not done again); to take back what a claimed slot
 *              that was not published refers to (the caller knows of that, the ring does not).
 * PROGRESS     reader: every method is wait-free. Writer: lock-free, and wait-free unless readers
 *              put back one slot again and again while it evicts them.
 * REFUSED      A reader that gates the writer (one dead disk would stop the intake); copying slots
 *              to each reader (n times the work, and the pages would still be shared); a kernel in
 *              WebAssembly: a slot costs each side under a microsecond here, and stands for a page
 *              or a batch, for which there is far more to do.
 * SOURCE       M. Thompson and others 2011 (LMAX Disruptor) for one writer and gating sequences;
 *              eviction by a state beside the sequence is our own.
 */
import { assert } from '../base/assert.ts';
import type { BroadcastRelease, BroadcastRingHandle } from './broadcast-handle.ts';
import { broadcastLeave } from './broadcast-kernel.ts';
import {
  BROADCAST_CAPACITY_MAX,
  BROADCAST_WRITE_WORD,
  BROADCAST_WRITER_WORD,
  broadcastWords,
  initBroadcast,
  READER_EVICTED,
  READER_IDLE,
  READER_JOINING,
  READER_LAPPED,
  READER_READING,
  READER_ROLE,
  readerLine,
  readerSeq,
  STATE_MASK,
  seqDistance,
} from './broadcast-layout.ts';
import { BroadcastReader } from './broadcast-reader.ts';
import { BroadcastWriter } from './broadcast-writer.ts';
import { isPowerOfTwo } from './layout.ts';
import { abandonRole, type RoleState, roleState } from './roles.ts';
import { createMemory } from './wasm/kernels.ts';

export interface BroadcastRingOptions {
  /** Slots; a power of two, at most 2^27. */
  readonly capacity: number;
  /** int32 words of a slot; 1 when nothing is said. */
  readonly slotWords?: number;
  /** The same in bytes, a multiple of 4. */
  readonly slotBytes?: number;
  /** Places for readers. */
  readonly readerCount: number;
  /** First sequence; a test begins just below the wrap. */
  readonly startSeq?: number;
}

/** none: never asked, or left. joining: asks. joined: reads. evicted: lost its place. */
export type ReaderPlace = 'none' | 'joining' | 'joined' | 'evicted';

export class BroadcastRing {
  readonly handle: BroadcastRingHandle;
  readonly #words: Int32Array;

  /** Looks at a ring that `create` made; no role is taken. */
  constructor(handle: BroadcastRingHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.memory.buffer);
  }

  static create(options: BroadcastRingOptions): BroadcastRing {
    const { capacity, readerCount, slotBytes = 4 * (options.slotWords ?? 1) } = options;
    const slotWords = slotBytes / 4;
    assert(isPowerOfTwo(capacity), 'the capacity of a ring is a power of two');
    assert(capacity <= BROADCAST_CAPACITY_MAX, 'the capacity is at most 2^27');
    assert(slotWords > 0 && Number.isInteger(slotWords), 'a slot holds whole int32 words');
    assert(readerCount >= 0 && Number.isInteger(readerCount), 'a number of readers');
    const sizes = { capacity, slotWords, readerCount };
    const memory = createMemory(4 * broadcastWords(sizes));
    initBroadcast(new Int32Array(memory.buffer), sizes, options.startSeq ?? 0);
    return new BroadcastRing({ memory, ...sizes });
  }

  /**
   * Takes the role of the writer for this thread. A second one is a bug, and asserted. `release`
   * may be left out where slots are values only.
   */
  static writer(
    handle: BroadcastRingHandle,
    options: { readonly release?: BroadcastRelease } = {},
  ): BroadcastWriter {
    return new BroadcastWriter(handle, options.release ?? null);
  }

  /**
   * Takes the role of reader `index` for this thread, of one that is free when none is given. That
   * it is taken, or that none is free, is a bug, and asserted. The reader has no place until join.
   */
  static reader(handle: BroadcastRingHandle, index = -1): BroadcastReader {
    return new BroadcastReader(handle, index);
  }

  writerState(): RoleState {
    return roleState(this.#words, BROADCAST_WRITER_WORD);
  }

  readerState(index: number): RoleState {
    return roleState(this.#words, this.#lineOf(index) + READER_ROLE);
  }

  readerPlace(index: number): ReaderPlace {
    const state = Atomics.load(this.#words, this.#lineOf(index)) & STATE_MASK;
    if (state === READER_JOINING) return 'joining';
    if (state === READER_EVICTED) return 'evicted';
    return hasPlace(state) ? 'joined' : 'none';
  }

  /** Published slots that the reader has not finished; 0 when it has no place. */
  lag(index: number): number {
    const word = Atomics.load(this.#words, this.#lineOf(index));
    if (!hasPlace(word & STATE_MASK)) return 0;
    return Math.max(
      0,
      seqDistance(Atomics.load(this.#words, BROADCAST_WRITE_WORD), readerSeq(word)),
    );
  }

  /**
   * For who learns that the thread of the writer has ended (`exit` of its Worker). The next writer
   * goes on; see DEATHS above. False: nobody held the role.
   */
  abandonWriter(): boolean {
    return abandonRole(this.#words, BROADCAST_WRITER_WORD);
  }

  /**
   * The same for a reader: it gives its place up, and what it held is released by the writer's next
   * poll. The next reader of this index learns where this one stood (lostSeq).
   */
  abandonReader(index: number): boolean {
    const line = this.#lineOf(index);
    if (roleState(this.#words, line + READER_ROLE) !== 'held') return false;
    broadcastLeave(this.#words, line);
    return abandonRole(this.#words, line + READER_ROLE);
  }

  #lineOf(index: number): number {
    assert(index >= 0 && index < this.handle.readerCount, "a reader index below the ring's count");
    return readerLine(index);
  }
}

function hasPlace(state: number): boolean {
  return state === READER_IDLE || state === READER_READING || state === READER_LAPPED;
}
