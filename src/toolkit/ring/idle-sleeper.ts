/**
 * IdleSleeper: the waiting end of an IdleStrategy, where protocol and kinds stand.
 *
 *     for (;;) {
 *       const work = consumer.popBatch(items);    // the look for work
 *       for (let i = 0; i < work; i++) use(items[i]);
 *       sleeper.idle(work);
 *     }
 *
 * OWNERSHIP  One a strategy, one thread.
 * PROGRESS   idle, park, doze: blocking, bounded in time. waitAsync: blocks nothing.
 */
import { assert } from '../base/assert.ts';
import { IDLE_ASLEEP, idleArm, idleDisarm } from './idle-kernel.ts';
import { IDLE_ASLEEP_WORD, IDLE_NEVER_WORD, IDLE_SLEEPER_WORD } from './idle-layout.ts';
import type { IdleHandle } from './idle-strategy.ts';
import { claimRole, closeRole, isClosable } from './roles.ts';

export interface IdleSleeperOptions {
  /**
   * Lets other threads run: sched_yield(2), where the caller has it. When nothing is said, a sleep
   * of the shortest kind (YIELD_MS).
   */
  readonly yieldCpu?: () => void;
}

/**
 * The shortest time that Atomics.wait sleeps for, and does not return at once. The kernel makes
 * some 60 us of it (its timer slack is 50 us), in which whoever waits for a CPU has it.
 */
const YIELD_MS = 0.001;

/** The longest time of a timer; a longer one would be over at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class IdleSleeper {
  readonly handle: IdleHandle;
  readonly #words: Int32Array;
  readonly #yieldCpu: () => void;
  readonly #yieldFrom: number;
  /** Calls of idle(0) from here on sleep; never, for kinds that do not. */
  readonly #sleepFrom: number;
  readonly #isParking: boolean;
  #idleCount = 0;
  #backoffMs: number;
  #isArmed = false;
  /** Ends the waitAsync that is under way. */
  #endWait: (() => void) | null = null;
  #isClosed = false;

  /** Takes the role; see IdleStrategy.sleeper. */
  constructor(handle: IdleHandle, options: IdleSleeperOptions) {
    const { kind, spinCount, yieldCount } = handle;
    const words = new Int32Array(handle.buffer);
    claimRole(words, IDLE_SLEEPER_WORD);
    // A sleeper before this one may have died asleep.
    idleDisarm(words);
    this.handle = handle;
    this.#words = words;
    this.#yieldCpu = options.yieldCpu ?? (() => this.doze(YIELD_MS));
    this.#yieldFrom = kind === 'spin' ? Infinity : spinCount;
    const sleeps = kind === 'park' || kind === 'backoff';
    this.#sleepFrom = sleeps ? spinCount + yieldCount : Infinity;
    this.#isParking = kind === 'park';
    this.#backoffMs = handle.backoffMs;
  }

  /** Calls of idle(0) since there was work. */
  get idleCount(): number {
    return this.#idleCount;
  }

  /**
   * Once a turn, after the look for work: `work` > 0 starts again at the foot of the ladder, 0
   * takes one step. Between two calls the caller looks for work: a thread that parks says so in one
   * call, and sleeps in the next, so that its own look lies between the two and nothing is missed.
   */
  idle(work: number): void {
    if (work > 0) {
      if (this.#idleCount !== 0) this.reset();
      return;
    }
    const idleCount = this.#idleCount++;
    if (idleCount < this.#yieldFrom) return;
    if (idleCount < this.#sleepFrom) this.#yieldCpu();
    else if (this.#isParking) this.#parkStep();
    else this.#backOff();
  }

  /** Starts again at the foot of the ladder. */
  reset(): void {
    this.#idleCount = 0;
    this.#backoffMs = this.handle.backoffMs;
    if (this.#isArmed) this.#disarm();
  }

  /**
   * Sleeps until a waker comes or the time is over, whatever the kind is; not at all when hasWork()
   * is true, which is asked after wakers were told. False: the time is over. True says nothing of
   * work: the caller looks.
   */
  park(timeoutMs: number, hasWork: () => boolean): boolean {
    assert(this.#endWait === null, 'a sleeper waits in one way at a time');
    const words = this.#words;
    idleArm(words);
    const isWoken =
      hasWork() || Atomics.wait(words, IDLE_ASLEEP_WORD, IDLE_ASLEEP, timeoutMs) !== 'timed-out';
    this.#disarm();
    return isWoken;
  }

  /**
   * Sleeps for the time, deaf to wakers: for a sleeper that expects work soon and would rather find
   * several pieces of it than be woken for each. Wakers then pay one load.
   */
  doze(timeoutMs: number): void {
    Atomics.wait(this.#words, IDLE_NEVER_WORD, 0, timeoutMs);
  }

  /**
   * As park, for an event loop: resolves true when a waker came or hasWork() was true, false when
   * the time was over or the sleeper closed. One at a time. A process lives until the time is over,
   * as with a timer; nothing is left behind after that.
   */
  async waitAsync(timeoutMs: number, hasWork: () => boolean): Promise<boolean> {
    assert(this.#endWait === null && !this.#isArmed, 'a sleeper waits in one way at a time');
    assert(!this.#isClosed, 'who has closed does not wait');
    const words = this.#words;
    idleArm(words);
    if (hasWork()) {
      idleDisarm(words);
      return true;
    }
    const { async: isAsync, value } = Atomics.waitAsync(words, IDLE_ASLEEP_WORD, IDLE_ASLEEP);
    // A waker came between the flag and the wait.
    if (!isAsync) return true;
    let isWoken = true;
    // The time is kept here: V8 holds no process alive for it, and Node.js would end in the middle
    // of an await. The notification is for this thread alone, as it is the only sleeper.
    this.#endWait = () => {
      if (this.#isClosed) return;
      isWoken = false;
      idleDisarm(words);
      Atomics.notify(words, IDLE_ASLEEP_WORD);
    };
    const timer = setTimeout(this.#endWait, Math.min(timeoutMs, TIMER_MS_MAX));
    await value;
    clearTimeout(timer);
    this.#endWait = null;
    // After close the flag may be the next sleeper's.
    if (!this.#isClosed) idleDisarm(words);
    return isWoken;
  }

  /** Ends a waitAsync that is under way, and gives the role back. */
  close(): void {
    if (!isClosable(this.#words, IDLE_SLEEPER_WORD)) return;
    this.#endWait?.();
    this.#isClosed = true;
    this.reset();
    closeRole(this.#words, IDLE_SLEEPER_WORD);
  }

  #parkStep(): void {
    if (!this.#isArmed) {
      this.#isArmed = true;
      idleArm(this.#words);
      return;
    }
    Atomics.wait(this.#words, IDLE_ASLEEP_WORD, IDLE_ASLEEP, this.handle.parkMs);
    this.#disarm();
  }

  #disarm(): void {
    this.#isArmed = false;
    idleDisarm(this.#words);
  }

  #backOff(): void {
    this.doze(this.#backoffMs);
    this.#backoffMs = Math.min(this.handle.backoffMsMax, 2 * this.#backoffMs);
  }
}
