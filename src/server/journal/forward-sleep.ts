/**
 * Forward sleep: how the forwarder sleeps in epoll_wait(2) and misses no block of the journal.
 *
 * WHY          The forwarder waits for sockets and for blocks at once, so that it sleeps at an
 *              epoll, and the journal wakes it by an eventfd. A write(2) for every block would be
 *              dear: the journal pays one store and one load while the forwarder is awake.
 * LAYOUT       `forwardSleep` of JournalSharedHandle, int32 words, 128 bytes apart:
 *                0 asleep      forwarder sets it; forwarder and journal clear it (by exchange)
 *                32 published  journal: low half of the position that it has published
 * OWNERSHIP    ForwardSleep: the forward worker. ForwardWaker: the journal. Who else gives the
 *              forwarder work (main thread, catch-up worker) signals the eventfd itself.
 * MEMORY ORDER The journal stores `published` by Atomics, behind its plain stores of position and
 *              ordinal, then loads `asleep`. The forwarder stores `asleep`, then loads `published`
 *              by Atomics, then compares the position. In the single order of Atomics either the
 *              journal sees the flag and signals, or the forwarder sees the position.
 * INVARIANTS   A flag that is set is taken back by one waker alone: one signal a sleep.
 *              A signal that comes after the sleep has ended costs one empty turn.
 * REFUSED      Atomics.wait (deaf to sockets); a timer of a millisecond (wakes up for nothing, and
 *              late).
 */
import { CACHE_LINE_PAIR_BYTES } from '../../toolkit/base/limits.ts';
import { idleArm, idleClaimWake, idleDisarm } from '../../toolkit/ring/idle-kernel.ts';
import { eventfdClear, eventfdSignal } from '../../toolkit/sys/index.ts';
import { JournalShared, type JournalSharedHandle } from './shared.ts';

const PUBLISHED_LOW_WORD = CACHE_LINE_PAIR_BYTES / 4;

/** The forwarder's end. */
export class ForwardSleep {
  /** eventfd; the forwarder's epoll watches it for reading. */
  readonly wakeFd: number;
  readonly #shared: JournalShared;
  readonly #words: Int32Array;

  constructor(handle: JournalSharedHandle, wakeFd: number) {
    this.wakeFd = wakeFd;
    this.#shared = new JournalShared(handle);
    this.#words = new Int32Array(handle.forwardSleep);
    // A forwarder before this one may have died asleep.
    idleDisarm(this.#words);
  }

  /**
   * Says that the forwarder will sleep. `seenPosition` is the published position that its last look
   * for work went by. True: it may sleep, until wakeFd is readable. False: more was published; it
   * is awake again.
   */
  arm(seenPosition: number): boolean {
    idleArm(this.#words);
    Atomics.load(this.#words, PUBLISHED_LOW_WORD);
    if (this.#shared.publishedPosition === seenPosition) return true;
    idleDisarm(this.#words);
    return false;
  }

  /** After the sleep, whatever ended it; `isSignalled`: wakeFd was readable. */
  disarm(isSignalled: boolean): void {
    idleDisarm(this.#words);
    if (isSignalled) eventfdClear(this.wakeFd);
  }
}

/** The journal's end. */
export class ForwardWaker {
  readonly #wakeFd: number;
  readonly #words: Int32Array;

  constructor(handle: JournalSharedHandle, wakeFd: number) {
    this.#wakeFd = wakeFd;
    this.#words = new Int32Array(handle.forwardSleep);
  }

  /** Journal only, after JournalShared.publish. True: the forwarder slept and was signalled. */
  wake(publishedPosition: number): boolean {
    Atomics.store(this.#words, PUBLISHED_LOW_WORD, publishedPosition | 0);
    if (!idleClaimWake(this.#words)) return false;
    eventfdSignal(this.#wakeFd);
    return true;
  }
}
