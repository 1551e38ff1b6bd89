/**
 * Back-off: how long to wait before the next attempt to connect.
 *
 * WHY      A destination that is down is asked less and less often, and many senders that lost it
 *          in one moment do not come back in one moment: half of each delay is random.
 * RULE     The n-th delay lies in (d/2, d], d = min * 2^n, at most max. Progress sets n to 0. A
 *          file that cannot be opened has nobody to meet there: its delays are whole (longerMs).
 */

/** The delay behind one of `beforeMs` (0: the first), doubled, within the bounds. */
export function longerMs(beforeMs: number, msMin: number, msMax: number): number {
  return Math.min(msMax, Math.max(msMin, 2 * beforeMs));
}

export class BackOff {
  #msMin = 0;
  #msMax = 0;
  readonly #random: () => number;
  #failures = 0;

  /** `random`: uniform in [0, 1). */
  constructor(msMin: number, msMax: number, random: () => number) {
    this.#random = random;
    this.configure(msMin, msMax);
  }

  /** Other bounds; failures count on. */
  configure(msMin: number, msMax: number): void {
    this.#msMin = msMin;
    this.#msMax = Math.max(msMin, msMax);
  }

  /** The longest delay: for what needs a change of the configuration to get better. */
  get msMax(): number {
    return this.#msMax;
  }

  /** Milliseconds until the next attempt. */
  nextMs(): number {
    const wholeMs = Math.min(this.#msMax, this.#msMin * 2 ** this.#failures);
    if (wholeMs < this.#msMax) this.#failures += 1;
    return wholeMs * (1 - this.#random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
