/**
 * Token bucket: how many bytes a destination may be sent now.
 *
 * WHY         `rateBytesPerSecond` holds for a destination, whatever the number of its connections;
 *             so they share one bucket.
 * INVARIANTS  In any span of t ms at most rate * (t + BURST_MS) / 1000 bytes are taken (and one
 *             byte, where the rate is so low that this rounds to nothing).
 * TIMERS      An empty bucket names the time at which it holds a step (STEP_MS of the rate) again:
 *             a limited destination wakes its worker 50 times a second, not once a record.
 */

/** What gathers while nothing is sent: a pause of the caller is made up for, a long one is not. */
export const BURST_MS = 100;
const STEP_MS = 20;

export class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  readonly #stepBytes: number;
  #bytes: number;
  #filledMs = Number.NEGATIVE_INFINITY;

  constructor(rateBytesPerSecond: number) {
    this.#bytesPerMs = rateBytesPerSecond / 1000;
    this.#burstBytes = Math.max(1, this.#bytesPerMs * BURST_MS);
    this.#stepBytes = Math.max(1, this.#bytesPerMs * STEP_MS);
    this.#bytes = this.#burstBytes;
  }

  /** Whole bytes that may be sent now; 0 until a step has gathered. */
  available(nowMs: number): number {
    if (nowMs > this.#filledMs) {
      const gathered = (nowMs - this.#filledMs) * this.#bytesPerMs;
      this.#bytes = Math.min(this.#burstBytes, this.#bytes + gathered);
      this.#filledMs = nowMs;
    }
    return this.#bytes < this.#stepBytes ? 0 : Math.floor(this.#bytes);
  }

  /** Takes what was sent: at most what `available` said. */
  take(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** When `available` answers more than 0 again. */
  get readyMs(): number {
    const missing = this.#stepBytes - this.#bytes;
    return missing <= 0 ? this.#filledMs : this.#filledMs + Math.ceil(missing / this.#bytesPerMs);
  }
}
