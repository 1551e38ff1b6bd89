/**
 * Store worker: the store stage as the supervisor knows stages: reports, drains by command.
 *
 * WHY  The store knows nothing of control words and messages, so that tests drive it directly; this
 *      is the thin layer between.
 */
import type { Control, SinkReport } from '../control.ts';
import type { RingBlockSource } from '../journal/ring-source.ts';
import type { Stage } from '../stage.ts';
import type { StoreStage } from './store-stage.ts';

const REPORT_EVERY_MS = 200;
/** What is not committed by then stays pending in the journal. */
const DRAIN_MS = 7_500;

export class StoreWorker implements Stage {
  readonly roleName = 'store';
  readonly #stage: StoreStage;
  readonly #control: Control;
  readonly #report: (report: SinkReport) => void;
  readonly #source: () => RingBlockSource | null;
  #nextReportMs = 0;
  done = false;

  /** `source` gives the source that the stage has opened, for its evictions. */
  constructor(
    stage: StoreStage,
    control: Control,
    source: () => RingBlockSource | null,
    report: (report: SinkReport) => void,
  ) {
    this.#stage = stage;
    this.#control = control;
    this.#source = source;
    this.#report = report;
  }

  async onStart(): Promise<void> {
    await this.#stage.onStart();
    this.#tell();
  }

  async doWork(): Promise<number> {
    if (this.#control.isDraining) {
      await this.#stage.drain(DRAIN_MS);
      this.done = true;
      return 0;
    }
    const records = this.#stage.doWork();
    if (performance.now() >= this.#nextReportMs) this.#tell();
    return records;
  }

  async onClose(): Promise<void> {
    this.#tell();
    await this.#stage.onClose();
    this.#control.close();
  }

  #tell(): void {
    this.#nextReportMs = performance.now() + REPORT_EVERY_MS;
    const stats = this.#stage.stats();
    this.#report({
      received: stats.received,
      pending: stats.pending,
      delivered: stats.delivered,
      filtered: stats.filtered,
      malformed: stats.malformed,
      dropped: stats.dropped,
      malformedByReason: stats.malformedNow,
      tables: stats.decoded,
      committedPosition: stats.position,
      oldestHeldMs: stats.oldestHeldMs,
      source: stats.source === 'ring' ? 'ring' : 'segments',
      evictions: this.#source()?.evictions ?? 0,
      commits: stats.commits,
      flushMs: stats.flushMs,
      files: stats.files,
      invalidText: stats.invalidText,
      misfits: stats.misfits,
      errors: stats.errors,
    });
  }
}
