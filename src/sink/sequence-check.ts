/**
 * Sequence check: the flow context ids of simulated streams, held against order and completeness.
 *
 * WHY         `millrace generate` writes the ordinal of a record in its connection into the flow
 *             context id, and with --mark the connection into the address samples. So a receiver
 *             behind any number of hops can tell order, gaps and doubles without knowing what was
 *             sent.
 * STREAM      All records of one key: the mark, or one connection of the sink where there are none.
 * INVARIANTS  Order is judged within one connection of the sink; completeness over all of them. The
 *             id 0 behind a higher one, on one connection, begins the stream anew (a generator that
 *             was started again).
 */
import { Ranges } from './ranges.ts';

/**
 * What fails a run: `order`: a record behind a later one; `complete`: gaps too; `exact`: doubles
 * too.
 */
export const STRICTNESS = ['order', 'complete', 'exact'] as const;
export type Strictness = (typeof STRICTNESS)[number];

export interface SequenceTotals {
  /** With `order` gaps, missing and doubles are not counted: they are 0. */
  readonly strictness: Strictness;
  /** Streams that were told apart. */
  readonly streams: number;
  /** Records that came behind a later one, or behind themselves, on one connection. */
  readonly backwards: number;
  /** Runs of records that are missing between the first and the last of a stream, and records. */
  readonly gaps: number;
  readonly missing: number;
  /** Records that came a second time, over whichever connection. */
  readonly doubles: number;
  /** Streams that began anew. */
  readonly restarts: number;
}

/** The last id of each stream on one connection: key -> id. */
export type LastSeen = Map<number, number>;

export class SequenceCheck {
  readonly #strictness: Strictness;
  readonly #streams = new Map<number, Ranges>();
  /** Of streams that began anew. */
  #closedGaps = 0;
  #closedMissing = 0;
  #backwards = 0;
  #doubles = 0;
  #restarts = 0;

  constructor(strictness: Strictness) {
    this.#strictness = strictness;
  }

  see(lastSeen: LastSeen, key: number, sequence: number): void {
    const last = lastSeen.get(key) ?? -1;
    lastSeen.set(key, sequence);
    let isRestart = false;
    if (sequence <= last) {
      if (sequence === 0 && last > 0) isRestart = true;
      else this.#backwards++;
    }
    if (isRestart) this.#restarts++;
    let ranges = this.#streams.get(key);
    if (ranges === undefined || isRestart) {
      if (ranges !== undefined) this.#close(ranges);
      ranges = new Ranges();
      this.#streams.set(key, ranges);
    }
    // A filter leaves holes everywhere: where they are allowed nobody counts them.
    if (this.#strictness !== 'order' && !ranges.add(sequence)) this.#doubles++;
  }

  totals(): SequenceTotals {
    let gaps = this.#closedGaps;
    let missing = this.#closedMissing;
    for (const ranges of this.#streams.values()) {
      gaps += ranges.gaps;
      missing += ranges.missing;
    }
    return {
      strictness: this.#strictness,
      streams: this.#streams.size,
      backwards: this.#backwards,
      gaps,
      missing,
      doubles: this.#doubles,
      restarts: this.#restarts,
    };
  }

  /** What is wrong, in words; empty when nothing is. */
  findings(): string[] {
    const { backwards, gaps, missing, doubles } = this.totals();
    const found: string[] = [];
    if (backwards > 0) found.push(`${backwards} records out of order`);
    if (gaps > 0) found.push(`${missing} records missing in ${gaps} gaps`);
    if (this.#strictness === 'exact' && doubles > 0) found.push(`${doubles} records twice`);
    return found;
  }

  #close(ranges: Ranges): void {
    this.#closedGaps += ranges.gaps;
    this.#closedMissing += ranges.missing;
  }
}
