/**
 * Latency stage: takes blocks as a reader does and notes how long ago they were committed; for
 * `--stages latency` in benchmarks.
 *
 * WHY        The time from the commit of a block by the collector (its stamp stands in the block's
 *            header, in this mode alone) to a reader's hands crosses three threads and two rings:
 *            what pinning is to make steady. The journal appends as always; nothing is decoded.
 * READER     Looks, and dozes DOZE_MS when there is nothing: that much is in the figures. A store
 *            on its event loop looks every 5 ms, which would hide what is to be seen.
 * HISTOGRAM  32 buckets per power of two, µs; told as `tables` of the report, `us-LOWER` -> blocks.
 *            The first WARM_MS after the first block are not counted: V8 compiles.
 */
import { monotonicMs, monotonicUs } from '../../toolkit/base/clock.ts';
import { BLOCK_HEADER_BYTES } from '../../toolkit/base/limits.ts';
import { IdleStrategy } from '../../toolkit/ring/index.ts';
import type { Control, SinkReport } from '../control.ts';
import type { BlockSource } from '../journal/block-source.ts';
import { readStamp } from '../journal/format.ts';
import type { Stage } from '../stage.ts';
import { benchReport, REPORT_EVERY_MS } from './bench-report.ts';

const DOZE_MS = 0.1;
const WARM_MS = 700;
const BLOCKS_PER_TURN = 64;

const SUB_BITS = 5;
const SUB_BUCKETS = 1 << SUB_BITS;
const BUCKET_COUNT = SUB_BUCKETS * (33 - SUB_BITS);

/** The bucket of a time in µs (u32). */
export function bucketOf(us: number): number {
  if (us < 2 * SUB_BUCKETS) return us;
  const shift = 31 - Math.clz32(us) - SUB_BITS;
  return shift * SUB_BUCKETS + (us >>> shift);
}

/** The least time of a bucket, µs. */
export function leastOf(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket;
  const shift = (bucket >>> SUB_BITS) - 1;
  return ((bucket & (SUB_BUCKETS - 1)) + SUB_BUCKETS) * 2 ** shift;
}

export class LatencyStage implements Stage {
  readonly roleName = 'store';
  readonly #source: BlockSource;
  readonly #control: Control;
  readonly #publishedPosition: () => number;
  readonly #report: (report: SinkReport) => void;
  readonly #buckets = new Float64Array(BUCKET_COUNT);
  readonly #sleeper = IdleStrategy.sleeper(IdleStrategy.create().handle);
  #records = 0;
  #position = 0;
  #warmUntilMs = Number.NaN;
  #nextReportMs = 0;
  done = false;

  constructor(
    source: BlockSource,
    control: Control,
    publishedPosition: () => number,
    report: (report: SinkReport) => void,
  ) {
    this.#source = source;
    this.#control = control;
    this.#publishedPosition = publishedPosition;
    this.#report = report;
  }

  onStart(): void {
    this.#tell();
  }

  /** Never 0: it has its own way to wait. */
  doWork(): number {
    let blocks = 0;
    while (blocks < BLOCKS_PER_TURN && this.#takeOne()) blocks++;
    if (monotonicMs() >= this.#nextReportMs) this.#tell();
    if (blocks > 0) return blocks;
    const isThrough = this.#position >= this.#publishedPosition() || this.#position === 0;
    if (this.#control.isDraining && isThrough) this.done = true;
    else this.#sleeper.doze(DOZE_MS);
    return 1;
  }

  onClose(): void {
    this.#tell();
    this.#source.close();
    this.#control.close();
    this.#sleeper.close();
  }

  #takeOne(): boolean {
    const block = this.#source.tryNext();
    if (block === null) return false;
    const us = (monotonicUs() - readStamp(block.view, block.offset - BLOCK_HEADER_BYTES)) >>> 0;
    const nowMs = monotonicMs();
    if (Number.isNaN(this.#warmUntilMs)) this.#warmUntilMs = nowMs + WARM_MS;
    if (nowMs >= this.#warmUntilMs) this.#buckets[bucketOf(us)]! += 1;
    this.#records += block.header.recordCount;
    this.#position = block.endPosition;
    this.#source.release();
    return true;
  }

  #tell(): void {
    this.#nextReportMs = monotonicMs() + REPORT_EVERY_MS;
    const tables: Record<string, number> = {};
    this.#buckets.forEach((blocks, bucket) => {
      if (blocks > 0) tables[`us-${leastOf(bucket)}`] = blocks;
    });
    this.#report(
      benchReport({
        received: this.#records,
        delivered: this.#records,
        malformed: 0,
        tables,
        committedPosition: this.#position,
        source: this.#source.source,
      }),
    );
  }
}
