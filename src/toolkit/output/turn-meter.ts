/**
 * Turn meter: will what is written now gather to something worth a reference?
 *
 * WHY         The first write of a turn does not know what follows. The last turns do.
 * RULE        A turn is what is written between two calls of flush(). A write that is long enough
 *             by itself goes by reference; so do all that follow a turn that brought enough. Else
 *             writes are copied, until enough came without a flush: then a trial. A caller that
 *             does not flush while nothing is pending looks like one that never flushes, so trials
 *             that gather too little become rarer (each asks for twice the bytes, to
 *             TRIAL_BYTES_MAX).
 */

const TRIAL_BYTES_MAX = 1 << 20;

export class TurnMeter {
  readonly #turnBelowBytes: number;
  /** By reference since the last flush. */
  #gatheredBytes = 0;
  /** By copy since the last flush. */
  #copiedBytes = 0;
  #isGathering = false;
  /** Seen once: a flush with nothing pending. So copies since the last one are of one turn. */
  #flushesAlways = false;
  #trialBytes: number;

  /** 0: turns do not count. */
  constructor(turnBelowBytes: number) {
    this.#turnBelowBytes = turnBelowBytes;
    this.#trialBytes = turnBelowBytes;
  }

  /** Whether a write that starts a turn, as far as can be told, is worth a reference. */
  isWorthReference(length: number): boolean {
    if (this.#isGathering || length >= this.#turnBelowBytes) return true;
    return this.#copiedBytes + length > this.#trialBytes;
  }

  addReference(bytes: number): void {
    this.#gatheredBytes += bytes;
  }

  addCopy(bytes: number): void {
    this.#copiedBytes += bytes;
  }

  /** The caller flushes. */
  endTurn(): void {
    if (this.#gatheredBytes === 0) {
      if (this.#copiedBytes === 0) return;
      this.#flushesAlways = true;
      this.#isGathering = this.#copiedBytes >= this.#turnBelowBytes;
    } else {
      const turnBytes = this.#gatheredBytes + (this.#flushesAlways ? this.#copiedBytes : 0);
      this.#isGathering = turnBytes >= this.#turnBelowBytes;
      this.#trialBytes = this.#isGathering
        ? this.#turnBelowBytes
        : Math.min(2 * this.#trialBytes, TRIAL_BYTES_MAX);
    }
    this.#copiedBytes = 0;
    this.#gatheredBytes = 0;
  }
}
