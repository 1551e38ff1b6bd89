/**
 * BroadcastWriter: the writing end of a BroadcastRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One writer a ring, one thread. It releases what slots refer to, keeps aside what a
 *            lapped reader may still touch, admits joining readers and evicts slow ones. Between
 *            claim and publish the claimed slot is its own. All its state is in the shared words
 *            but for the claim: who takes the role over goes on.
 * PROGRESS   lock-free: an eviction is tried again when the reader has moved meanwhile, which it
 *            can do once, or by putting its slot back. Nothing waits.
 */
import { assert } from '../base/assert.ts';
import type { BroadcastRelease, BroadcastRingHandle } from './broadcast-handle.ts';
import {
  broadcastClaim,
  broadcastEvictOldest,
  broadcastEvictSlowest,
  broadcastPassed,
  broadcastPublish,
  broadcastRecover,
  broadcastRoom,
  broadcastTakeAside,
  broadcastTakePassed,
  broadcastWriteSlot,
} from './broadcast-kernel.ts';
import { BROADCAST_WRITE_WORD, BROADCAST_WRITER_WORD } from './broadcast-layout.ts';
import { NO_SLOT } from './layout.ts';
import { claimRole, closeRole } from './roles.ts';

export class BroadcastWriter {
  readonly handle: BroadcastRingHandle;
  /** A slot is written here, by Atomics.store, at the index that claim returned. */
  readonly words: Int32Array;
  readonly #release: BroadcastRelease | null;
  #isClaimed = false;

  /** Takes the role; see BroadcastRing.writer. */
  constructor(handle: BroadcastRingHandle, release: BroadcastRelease | null) {
    const words = new Int32Array(handle.memory.buffer);
    claimRole(words, BROADCAST_WRITER_WORD);
    this.handle = handle;
    this.words = words;
    this.#release = release;
    broadcastRecover(words);
  }

  /** u32: the sequence of the slot that claim gives next. */
  get nextSeq(): number {
    return this.words[BROADCAST_WRITE_WORD]! >>> 0;
  }

  /** Published slots whose reference is not yet released, those aside not counted. */
  get unreleased(): number {
    return this.handle.capacity - broadcastRoom(this.words);
  }

  /**
   * The word index for the next slot; makes room by evicting who holds the oldest one. A claim
   * without publish shows nothing; the next one replaces it.
   */
  claim(): number {
    const words = this.words;
    if (broadcastRoom(words) < 1) {
      broadcastEvictOldest(words);
      this.poll();
      assert(broadcastRoom(words) >= 1, 'eviction frees the oldest slot');
    }
    this.#isClaimed = true;
    return broadcastClaim(words);
  }

  /** The claimed slot is written, by Atomics.store: readers may see it. */
  publish(): void {
    if (!this.#isClaimed) assert(false, 'a slot is claimed before it is published');
    this.#isClaimed = false;
    broadcastPublish(this.words);
  }

  /** Claims a slot, copies the words at `at` of `slot` to it, publishes it. */
  push(slot: Int32Array, at = 0): void {
    const to = this.claim();
    broadcastWriteSlot(this.words, to, slot, at);
    this.publish();
  }

  /** Admits joining readers, releases what everybody has passed. */
  poll(): void {
    const words = this.words;
    const release = this.#release;
    let at = broadcastTakeAside(words);
    while (at !== NO_SLOT) {
      if (release !== null) release(words, at);
      at = broadcastTakeAside(words);
    }
    const passed = broadcastPassed(words);
    at = broadcastTakePassed(words, passed);
    while (at !== NO_SLOT) {
      if (release !== null) release(words, at);
      at = broadcastTakePassed(words, passed);
    }
  }

  /** Evicts the reader that is furthest behind, if any is behind; true when there was one. */
  evictSlowest(): boolean {
    const isEvicted = broadcastEvictSlowest(this.words);
    if (isEvicted) this.poll();
    return isEvicted;
  }

  /**
   * Gives the role back. Readers can read to the end; what is not released is left to the next
   * writer.
   */
  close(): void {
    this.#isClaimed = false;
    closeRole(this.words, BROADCAST_WRITER_WORD);
  }
}
