/**
 * Pacer: how many records of one connection may be sent by now, at a given rate.
 *
 * It counts from the start and not from the last call, so the mean rate holds however late a timer
 * fires. When the receiver held the sender up for long, at most a second is made up for.
 */

/** Timers below this are not worth their wake-up: more records go out at once instead. */
const WAIT_MS_MIN = 5;
const CATCH_UP_MS_MAX = 1000;

export class Pacer {
  readonly #recordsPerMs: number;
  #originMs: number;
  #sent = 0;

  /** `recordsPerSecond` of Infinity never makes anybody wait. */
  constructor(recordsPerSecond: number, nowMs: number) {
    this.#recordsPerMs = recordsPerSecond / 1000;
    this.#originMs = nowMs;
  }

  /** Records that may be sent now; 0 when it is too early. */
  allowed(nowMs: number): number {
    if (this.#recordsPerMs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const due = (nowMs - this.#originMs) * this.#recordsPerMs - this.#sent;
    const most = CATCH_UP_MS_MAX * this.#recordsPerMs;
    if (due > most && due > 1) {
      const forgiven = due - Math.max(most, 1);
      this.#originMs += forgiven / this.#recordsPerMs;
      return Math.floor(due - forgiven);
    }
    return Math.max(0, Math.floor(due));
  }

  count(records: number): void {
    this.#sent += records;
  }

  /** Milliseconds until a record may be sent; at least WAIT_MS_MIN. */
  waitMs(nowMs: number): number {
    const dueMs = this.#originMs + (this.#sent + 1) / this.#recordsPerMs;
    return Math.max(WAIT_MS_MIN, Math.ceil(dueMs - nowMs));
  }
}
