/**
 * Report schedule: which periodic report is due by the virtual clock.
 *
 * A report of period P is sent for every full multiple of P from the start of the stream on, one
 * record per counter, each with that multiple as its END_TIME. Reports go out between the other
 * records, as an SCE sends them; when more than a period late they go out back to back.
 */

export interface ScheduledReport {
  readonly layoutIndex: number;
  readonly periodSeconds: number;
  /** Counters, and so records per period. */
  readonly records: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export class ReportSchedule {
  readonly #reports: readonly ScheduledReport[];
  readonly #nextEnd: Float64Array;
  readonly #nextKey: Float64Array;
  #soonest: number;
  /** Set by take(): the report, its counter and the end of its period. */
  layoutIndex = 0;
  periodSeconds = 0;
  endTime = 0;
  key = 0;

  constructor(reports: readonly ScheduledReport[], startSeconds: number) {
    this.#reports = reports;
    this.#nextKey = new Float64Array(reports.length);
    this.#nextEnd = Float64Array.from(reports, ({ periodSeconds }) => {
      return Math.ceil(startSeconds / periodSeconds) * periodSeconds;
    });
    this.#soonest = this.#findSoonest();
  }

  isDue(nowSeconds: number): boolean {
    return this.#soonest <= nowSeconds;
  }

  /** True when a report is due for longer than its own period. */
  isLate(nowSeconds: number): boolean {
    if (this.#soonest > nowSeconds) return false;
    const reports = this.#reports;
    for (let i = 0; i < reports.length; i++) {
      if (this.#nextEnd[i]! + reports[i]!.periodSeconds <= nowSeconds) return true;
    }
    return false;
  }

  /** Takes the record that is due for longest; the caller has asked isDue(). */
  take(): void {
    const nextEnd = this.#nextEnd;
    let index = 0;
    while (nextEnd[index] !== this.#soonest) index++;
    const report = this.#reports[index]!;
    this.layoutIndex = report.layoutIndex;
    this.periodSeconds = report.periodSeconds;
    this.endTime = nextEnd[index]!;
    this.key = this.#nextKey[index]!;
    const nextKey = this.key + 1;
    if (nextKey < report.records) {
      this.#nextKey[index] = nextKey;
      return;
    }
    this.#nextKey[index] = 0;
    nextEnd[index] = this.endTime + report.periodSeconds;
    this.#soonest = this.#findSoonest();
  }

  #findSoonest(): number {
    let soonest = NEVER;
    for (const end of this.#nextEnd) soonest = Math.min(soonest, end);
    return soonest;
  }
}
