/**
 * Generation: the rows taken in since the last flush began, and what they will be once written.
 *
 * WHY         While one generation is being written, the next one is filled: the flow does not wait
 *             for the disk. All rows of a generation arrived in one hour, so that it has one
 *             partition.
 * OWNERSHIP   Filled by the store's turn (`doWork`); sealed once; then owned by the flush until its
 *             commit. Nothing in it changes after seal(), so that a failed flush can be tried
 *             again.
 * INVARIANTS  1. records = delivered + malformed + dropped of the ledger delta.
 *             2. Rows are encoded when their batch is full: what is held is bytes of files.
 */

import type { Batch } from './batch.ts';
import type { LedgerCounts } from './commit-record.ts';
import { MinuteRollup } from './minute-rollup.ts';
import type { PlainFile, PlainFilePool } from './plain-file.ts';
import { RawBatch } from './raw-batch.ts';
import type { RecordBatch } from './record-batch.ts';
import {
  MALFORMED_TABLE,
  OTHER_TABLE,
  TRAFFIC_MINUTE,
  tableByName,
  USAGE_MINUTE,
} from './tables.ts';
import type { EscapeCounts } from './text-escape.ts';

/** One generation, sealed: what a flush writes. */
export interface SealedGeneration {
  readonly hour: number;
  readonly from: number;
  readonly to: number;
  readonly toOrdinal: number;
  readonly records: number;
  readonly firstArrivalUs: number;
  readonly files: readonly PlainFile[];
  readonly ledger: LedgerCounts;
}

export class Generation {
  readonly from: number;
  to: number;
  toOrdinal: number;
  /** Hours since 1970 of all rows; -1 while empty. */
  hour = -1;
  records = 0;
  /** Monotonic ms of the first record; 0 while empty. */
  startedMs = 0;
  /** Arrival of the oldest record, us since 1970; 0 while empty. */
  firstArrivalUs = 0;
  readonly delivered: Record<string, number> = {};
  readonly malformedCounts: Record<string, number> = {};
  readonly dropped: Record<string, number> = {};
  readonly traffic = new MinuteRollup();
  readonly usage = new MinuteRollup();
  readonly malformed = new RawBatch('reason');
  readonly other = new RawBatch('tag');
  readonly #pool: PlainFilePool;
  readonly #files = new Map<string, PlainFile>();
  #fileBytes = 0;

  constructor(from: number, fromOrdinal: number, pool: PlainFilePool) {
    this.#pool = pool;
    this.from = from;
    this.to = from;
    this.toOrdinal = fromOrdinal;
  }

  /** Bytes held: encoded rows, and raw records. */
  get heldBytes(): number {
    return this.#fileBytes + this.malformed.bytes + this.other.bytes;
  }

  /** A full batch. */
  takeFull(batch: RecordBatch, counts: EscapeCounts): void {
    this.#append(batch.columns.tableName, batch.asBatch(counts));
  }

  #append(tableName: string, batch: Batch): void {
    if (batch.rowCount === 0) return;
    let file = this.#files.get(tableName);
    if (file === undefined) {
      file = this.#pool.take(tableByName(tableName)!);
      this.#files.set(tableName, file);
    }
    this.#fileBytes += file.append(batch);
  }

  /** Takes what is left in the batches and closes the generation. Resets the batches it takes. */
  seal(batches: readonly RecordBatch[], counts: EscapeCounts): SealedGeneration {
    for (const batch of batches) {
      if (batch.columns.rowCount === 0) continue;
      this.takeFull(batch, counts);
      batch.columns.reset();
      batch.resetOrigin();
    }
    this.#append(MALFORMED_TABLE, this.malformed.asBatch());
    this.#append(OTHER_TABLE, this.other.asBatch());
    this.#append(TRAFFIC_MINUTE, this.traffic.asBatch(3, false));
    this.#append(USAGE_MINUTE, this.usage.asBatch(1, true));
    return {
      hour: this.hour,
      from: this.from,
      to: this.to,
      toOrdinal: this.toOrdinal,
      records: this.records,
      firstArrivalUs: this.firstArrivalUs,
      files: [...this.#files.values()],
      ledger: {
        delivered: this.delivered,
        malformed: this.malformedCounts,
        filtered: 0,
        dropped: this.dropped,
        expired: {},
      },
    };
  }
}
