/**
 * Rounds of timed sections: sized by time, repeated where another program took a CPU.
 */
import type { Subject } from './subjects.ts';

export interface MeasureOptions {
  /** How long a section shall take. */
  readonly sectionMs: number;
  readonly warmMs: number;
  readonly isFifo: boolean;
}

/** How often a disturbed section is tried again in the same round. */
const ATTEMPTS = 4;
const WARM_RUNS_MAX = 400;
/** Threads and checks share the items evenly. */
const ITEMS_STEP = 256;

/** Measures one subject. */
export class Meter {
  readonly subject: Subject;
  readonly #options: MeasureOptions;
  #items: number;
  /** Sections that were thrown away. */
  discarded = 0;
  sections = 0;

  constructor(subject: Subject, items: number, options: MeasureOptions) {
    this.subject = subject;
    this.#items = items;
    this.#options = options;
  }

  /** Compiles what there is to compile, and finds how many items take so long as they shall. */
  async warm(): Promise<void> {
    const { sectionMs, warmMs } = this.#options;
    let spentNs = 0;
    for (let run = 0; run < WARM_RUNS_MAX && spentNs < warmMs * 1e6; run++) {
      const { ns } = await this.subject.run(this.#items, false);
      spentNs += ns;
      const wanted = (this.#items * sectionMs * 1e6) / ns;
      // Not by more than twice at once: the first runs are slow, or were disturbed.
      const next = Math.min(2 * this.#items, Math.max(this.#items / 2, wanted));
      this.#items = Math.max(ITEMS_STEP, Math.round(next / ITEMS_STEP) * ITEMS_STEP);
    }
  }

  /**
   * Items per microsecond; null: every attempt was disturbed. `isOrdinary`: no SCHED_FIFO, and
   * every section counts, as a wait that lets another thread run is a switch too.
   */
  async measure(isOrdinary: boolean): Promise<number | null> {
    const isFifo = this.#options.isFifo && !isOrdinary;
    const isAnyGood = isOrdinary || this.subject.isCrowded;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { ns, switches } = await this.subject.run(this.#items, isFifo);
      this.sections++;
      if (switches === 0 || isAnyGood) return (this.#items * 1000) / ns;
      this.discarded++;
    }
    return null;
  }
}
