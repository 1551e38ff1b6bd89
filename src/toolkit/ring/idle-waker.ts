/**
 * IdleWaker: wakes the sleeper of an IdleStrategy, where the protocol stands.
 *
 * OWNERSHIP  Any number; nothing is claimed.
 * PROGRESS   wait-free: one atomic load while nobody sleeps.
 */
import { idleClaimWake } from './idle-kernel.ts';
import { IDLE_ASLEEP_WORD } from './idle-layout.ts';
import type { IdleHandle } from './idle-strategy.ts';

export class IdleWaker {
  readonly handle: IdleHandle;
  readonly #words: Int32Array;

  constructor(handle: IdleHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer);
  }

  /**
   * After work was published: after push() or flush() of a ring, not before. True when the sleeper
   * was asleep and this call woke it.
   */
  wake(): boolean {
    if (!idleClaimWake(this.#words)) return false;
    Atomics.notify(this.#words, IDLE_ASLEEP_WORD);
    return true;
  }
}
