/**
 * Held: one pinned thread, and how much it has waited lately.
 */
import type { Pinned } from '../toolkit/cpu/index.ts';

export class Held {
  readonly pinned: Pinned;
  /** Its CPU went away; the kernel runs it elsewhere. */
  isLost = false;
  /** Of the last whole window; null before there was one. */
  waitFraction: number | null = null;
  #sinceMs = Number.NaN;
  #waitedMs = 0;
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(pinned: Pinned) {
    this.pinned = pinned;
  }

  /** `waitedMs` since the thread started. The fraction when a window is full, else null. */
  noteWait(waitedMs: number | null, nowMs: number, windowMs: number): number | null {
    if (waitedMs === null) return null;
    const spanMs = nowMs - this.#sinceMs;
    if (spanMs < windowMs) return null;
    const isFirst = Number.isNaN(spanMs);
    const fraction = isFirst ? null : (waitedMs - this.#waitedMs) / spanMs;
    this.#sinceMs = nowMs;
    this.#waitedMs = waitedMs;
    if (fraction !== null) this.waitFraction = fraction;
    return fraction;
  }

  /** At most once in `everyMs`. */
  mayWarn(nowMs: number, everyMs: number): boolean {
    if (nowMs - this.#warnedMs < everyMs) return false;
    this.#warnedMs = nowMs;
    return true;
  }
}
