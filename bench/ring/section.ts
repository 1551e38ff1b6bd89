/**
 * A timed section: so many items from one thread to another, timed inside of the threads.
 */

export interface Section {
  /** From the first thread's start to the last one's end. */
  readonly ns: number;
  /** Involuntary context switches of its threads meanwhile: other programs took their CPU. */
  readonly switches: number;
}

/** What a worker is told to do, and what it answers. */
export interface SectionOrder {
  readonly items: number;
  /** All threads of the section have arrived when the barrier's word has come to this. */
  readonly arrivals: number;
}

export interface SectionReport {
  readonly startedNs: number;
  readonly endedNs: number;
  readonly switches: number;
  /** Of the items that this thread received. */
  readonly sum: number;
}

/** What a worker is made from (workerData). */
export interface Seat {
  readonly name: string;
  /** Which thread of its case. */
  readonly index: number;
  readonly cpu: number;
  /** One int32. */
  readonly barrier: SharedArrayBuffer;
  /** Threads wait asleep, as there is no CPU for each. */
  readonly isCrowded: boolean;
  readonly data: unknown;
}

/** Of the items 0 to items - 1. */
export function sumBelow(items: number): number {
  return (items * (items - 1)) / 2;
}
