/**
 * IdleStrategy: what a thread does while its rings have nothing for it.
 *
 * WHY          Rings answer "empty" and "full" and never wait. How to wait is another question: a
 *              spin answers within nanoseconds and burns a CPU, a sleep costs a wake-up of up to
 *              0.1 ms; and with more threads than CPUs who spins keeps the peer from running.
 * LAYOUT       idle-layout.ts.
 * OWNERSHIP    One sleeper (idle-sleeper.ts), claimed by compare-and-swap: two of them would take
 *              each other's wake-ups. Any number of wakers (idle-waker.ts), who claim nothing. Many
 *              sleepers that one waker serves have a strategy each.
 * INVARIANTS   idle-kernel.ts.
 * PROGRESS     wake: wait-free. idle, park, doze: blocking, and bounded in time.
 * KINDS        each climbs from the left, one step a call of idle(0), and falls back to the left
 *              when there is work:
 *                spin     look again at once. For a thread with a CPU of its own.
 *                yield    spin, then let other threads run. More threads than CPUs, short waits.
 *                park     spin, yield, then sleep until a waker comes or parkMs are over.
 *                backoff  spin, yield, then sleep for backoffMs, doubled up to backoffMsMax. For
 *                         conditions without a waker.
 * REFUSED      waiting for ever (a waker that died would be waited for); a class for each kind
 *              (V8 calls one function faster than four, and their state is the same count).
 * SOURCE       the idle strategies of Agrona, from their idea.
 */
import { assert } from '../base/assert.ts';
import { IDLE_ASLEEP } from './idle-kernel.ts';
import { IDLE_ASLEEP_WORD, IDLE_BYTES, IDLE_SLEEPER_WORD } from './idle-layout.ts';
import { IdleSleeper, type IdleSleeperOptions } from './idle-sleeper.ts';
import { IdleWaker } from './idle-waker.ts';
import { abandonRole, type RoleState, roleState } from './roles.ts';

export type IdleKind = 'spin' | 'yield' | 'park' | 'backoff';

export interface IdleOptions {
  /** park when nothing is said. */
  readonly kind?: IdleKind;
  /** Calls of idle(0) that look again at once; 100 when nothing is said. */
  readonly spinCount?: number;
  /** Calls of idle(0) that let others run, before it sleeps; 10 when nothing is said. */
  readonly yieldCount?: number;
  /** park: the longest sleep of idle(); 100 ms when nothing is said. */
  readonly parkMs?: number;
  /** backoff: the first sleep of idle(); 0.1 ms when nothing is said. */
  readonly backoffMs?: number;
  /** backoff: the longest; 10 ms when nothing is said. */
  readonly backoffMsMax?: number;
}

/** What travels to workers, by workerData or postMessage. */
export interface IdleHandle extends Required<IdleOptions> {
  readonly buffer: SharedArrayBuffer;
}

export class IdleStrategy {
  readonly handle: IdleHandle;
  readonly #words: Int32Array;

  constructor(handle: IdleHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer);
  }

  static create(options: IdleOptions = {}): IdleStrategy {
    const handle: IdleHandle = {
      kind: options.kind ?? 'park',
      spinCount: options.spinCount ?? 100,
      yieldCount: options.yieldCount ?? 10,
      parkMs: options.parkMs ?? 100,
      backoffMs: options.backoffMs ?? 0.1,
      backoffMsMax: options.backoffMsMax ?? 10,
      buffer: new SharedArrayBuffer(IDLE_BYTES),
    };
    assert(handle.spinCount >= 0 && handle.yieldCount >= 0, 'a ladder has no negative steps');
    assert(Number.isFinite(handle.parkMs) && handle.parkMs > 0, 'sleeps are bounded in time');
    assert(
      handle.backoffMs > 0 &&
        handle.backoffMs <= handle.backoffMsMax &&
        Number.isFinite(handle.backoffMsMax),
      'a back-off grows from backoffMs to backoffMsMax',
    );
    return new IdleStrategy(handle);
  }

  /** Takes the role of the sleeper for this thread. A second one is a bug, and asserted. */
  static sleeper(handle: IdleHandle, options: IdleSleeperOptions = {}): IdleSleeper {
    return new IdleSleeper(handle, options);
  }

  static waker(handle: IdleHandle): IdleWaker {
    return new IdleWaker(handle);
  }

  sleeperState(): RoleState {
    return roleState(this.#words, IDLE_SLEEPER_WORD);
  }

  /** The sleeper sleeps, or is about to: the next wake() wakes it. */
  isAsleep(): boolean {
    return Atomics.load(this.#words, IDLE_ASLEEP_WORD) === IDLE_ASLEEP;
  }

  /**
   * For who learns that the thread of the sleeper has ended (`exit` of its Worker). False: nobody
   * held the role.
   */
  abandonSleeper(): boolean {
    return abandonRole(this.#words, IDLE_SLEEPER_WORD);
  }
}
