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
  #isGathering: boolean;
  #trialBytes: number;
  /** Seen once: a flush with nothing pending. So copies since the last one are of one turn. */
  #flushesAlways = false;

  /** 0: turns do not count. */
  constructor(turnBelowBytes: number) {
    this.#turnBelowBytes = turnBelowBytes;
    this.#trialBytes = turnBelowBytes;
    this.#isGathering = turnBelowBytes === 0;
  }

  /** The last turn was worth references; so this one is taken to be. */
  get isGathering(): boolean {
    return this.#isGathering;
  }

  /** Whether a write is worth a reference, after `copiedBytes` copied since the last flush. */
  isWorthReference(length: number, copiedBytes: number): boolean {
    if (this.#isGathering || length >= this.#turnBelowBytes) return true;
    return copiedBytes + length > this.#trialBytes;
  }

  /** The caller flushes, after so many bytes went by reference, and so many by copy. */
  endTurn(gatheredBytes: number, copiedBytes: number): void {
    const least = this.#turnBelowBytes;
    if (gatheredBytes === 0) {
      if (copiedBytes === 0) return;
      this.#flushesAlways = true;
      this.#isGathering = copiedBytes >= least;
      return;
    }
    const turnBytes = gatheredBytes + (this.#flushesAlways ? copiedBytes : 0);
    this.#isGathering = turnBytes >= least;
    this.#trialBytes = this.#isGathering ? least : Math.min(2 * this.#trialBytes, TRIAL_BYTES_MAX);
  }
}
