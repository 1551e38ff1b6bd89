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
 *             2. Tables of at most one batch never enter DuckDB (parquet-write.ts says why).
 */
import type { RecordColumns } from '../../rdr/index.ts';
import type { LedgerCounts } from './commit-record.ts';
import { MinuteRollup } from './minute-rollup.ts';
import { encodeParquet } from './parquet-write.ts';
import { RawBatch } from './raw-batch.ts';
import type { RecordBatch } from './record-batch.ts';
import type { StagedTable } from './staging.ts';
import {
  MALFORMED_TABLE,
  OTHER_TABLE,
  type Table,
  TRAFFIC_MINUTE,
  tableByName,
  USAGE_MINUTE,
} from './tables.ts';
import type { EscapeCounts } from './text-escape.ts';

/** Rows that are a Parquet file already. */
export interface DirectFile {
  readonly table: string;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

/** One generation, sealed: what a flush writes. */
export interface SealedGeneration {
  readonly hour: number;
  readonly from: number;
  readonly to: number;
  readonly toOrdinal: number;
  readonly records: number;
  readonly direct: readonly DirectFile[];
  readonly staged: readonly StagedTable[];
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
  readonly delivered: Record<string, number> = {};
  readonly malformedCounts: Record<string, number> = {};
  readonly dropped: Record<string, number> = {};
  readonly traffic = new MinuteRollup();
  readonly usage = new MinuteRollup();
  readonly malformed = new RawBatch('reason');
  readonly other = new RawBatch('tag');
  readonly #direct: DirectFile[] = [];
  readonly #takeStaging: (table: string) => StagedTable | undefined;
  readonly #staged = new Map<string, StagedTable>();

  /** `takeStaging` gives DuckDB tables to append to, if they are ready. */
  constructor(
    from: number,
    fromOrdinal: number,
    takeStaging: (table: string) => StagedTable | undefined,
  ) {
    this.#takeStaging = takeStaging;
    this.from = from;
    this.to = from;
    this.toOrdinal = fromOrdinal;
  }

  /** Raw bytes held, which count against memory beside the rows. */
  get rawBytes(): number {
    return this.malformed.bytes + this.other.bytes;
  }

  /** A full batch: into DuckDB, or as a file of its own while the table has no staging yet. */
  takeFull(batch: RecordBatch, counts: EscapeCounts): void {
    const name = batch.columns.tableName;
    const staged = this.#staged.get(name) ?? this.#takeStaging(name);
    if (staged === undefined) {
      this.#encode(tableByName(name)!, batch, counts);
      return;
    }
    this.#staged.set(name, staged);
    staged.append(batch, counts);
  }

  #encode(table: Table, batch: RecordBatch, counts: EscapeCounts): void {
    const rows = batch.columns.rowCount;
    this.#direct.push({
      table: table.name,
      rows,
      bytes: encodeParquet(table, batch.asBatch(counts)),
    });
  }

  /** Takes what is left in the batches and closes the generation. Resets the batches it takes. */
  seal(batches: readonly RecordBatch[], counts: EscapeCounts): SealedGeneration {
    for (const batch of batches) {
      const { columns } = batch;
      if (columns.rowCount === 0) continue;
      const staged = this.#staged.get(columns.tableName);
      if (staged !== undefined) staged.append(batch, counts);
      else this.#encode(tableByName(columns.tableName)!, batch, counts);
      resetBatch(batch, columns);
    }
    this.#sealRaw();
    for (const staged of this.#staged.values()) staged.close();
    const staged = [...this.#staged.values()];
    return {
      hour: this.hour,
      from: this.from,
      to: this.to,
      toOrdinal: this.toOrdinal,
      records: this.records,
      direct: this.#direct,
      staged,
      ledger: {
        delivered: this.delivered,
        malformed: this.malformedCounts,
        filtered: 0,
        dropped: this.dropped,
        expired: {},
      },
    };
  }

  #sealRaw(): void {
    const add = (name: string, batch: { readonly rowCount: number }, bytes: () => Uint8Array) => {
      if (batch.rowCount > 0) {
        this.#direct.push({ table: name, rows: batch.rowCount, bytes: bytes() });
      }
    };
    const file = (name: string, batch: Parameters<typeof encodeParquet>[1]): Uint8Array =>
      encodeParquet(tableByName(name)!, batch);
    add(MALFORMED_TABLE, this.malformed, () => file(MALFORMED_TABLE, this.malformed.asBatch()));
    add(OTHER_TABLE, this.other, () => file(OTHER_TABLE, this.other.asBatch()));
    add(TRAFFIC_MINUTE, this.traffic, () => file(TRAFFIC_MINUTE, this.traffic.asBatch(3, false)));
    add(USAGE_MINUTE, this.usage, () => file(USAGE_MINUTE, this.usage.asBatch(1, true)));
  }
}

function resetBatch(batch: RecordBatch, columns: RecordColumns): void {
  columns.reset();
  batch.resetOrigin();
}
