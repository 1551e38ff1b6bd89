/**
 * Plain file: a Parquet file of one table, built batch by batch in memory, written without DuckDB.
 *
 * WHY         A COPY of 40 columns costs DuckDB 7 to 10 ms whatever the row count, and all rows are
 *             compressed again when an hour is merged. So a flush writes plain pages only; DuckDB
 *             sees each row once, in large batches (docs/decisions/0005-text-into-duckdb.md).
 * LAYOUT      "PAR1", the pages of column 1, of column 2, ..., the footer: one row group.
 * OWNERSHIP   Taken from the pool by a generation, given back when its flush has been committed.
 *             Buffers keep their size, so that a steady flow allocates nothing.
 * INVARIANTS  The parts are valid until the next append or reset. The pool holds at most
 *             POOL_BYTES_MAX: what exceeds it is left to the garbage collector.
 */
import type { Batch } from './batch.ts';
import { MAGIC_BYTES, type PlainChunk, plainFooter } from './parquet-footer.ts';
import { PlainColumn } from './plain-column.ts';
import type { Table } from './tables.ts';

const POOL_BYTES_MAX = 96 * 1024 * 1024;

export class PlainFile {
  readonly table: Table;
  rowCount = 0;
  readonly #columns: readonly PlainColumn[];

  constructor(table: Table) {
    this.table = table;
    this.#columns = table.columns.map(({ type }) => new PlainColumn(type === 'timestamp'));
  }

  /** Adds the rows (at least one) as a page a column; the bytes that this took. */
  append(batch: Batch): number {
    let bytes = 0;
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i]!;
      bytes -= column.length;
      column.append(batch.columns[i]!, batch.rowCount);
      bytes += column.length;
    }
    this.rowCount += batch.rowCount;
    return bytes;
  }

  /** The whole file in pieces, at least one row. */
  parts(): Uint8Array[] {
    const parts: Uint8Array[] = [MAGIC_BYTES];
    const chunks: PlainChunk[] = [];
    let offset = MAGIC_BYTES.length;
    for (const { bytes, length, nulls, min, max } of this.#columns) {
      parts.push(bytes.subarray(0, length));
      chunks.push({ offset, bytes: length, nulls, range: min > max ? null : { min, max } });
      offset += length;
    }
    parts.push(plainFooter(this.table, chunks, this.rowCount));
    return parts;
  }

  reset(): void {
    this.rowCount = 0;
    for (const column of this.#columns) column.reset();
  }

  /** Bytes of all buffers, used or not. */
  get capacityBytes(): number {
    return this.#columns.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }
}

/** Empty plain files with their buffers. */
export class PlainFilePool {
  readonly #free = new Map<string, PlainFile[]>();
  #freeBytes = 0;

  take(table: Table): PlainFile {
    const file = this.#free.get(table.name)?.pop();
    if (file === undefined) return new PlainFile(table);
    this.#freeBytes -= file.capacityBytes;
    return file;
  }

  give(file: PlainFile): void {
    const bytes = file.capacityBytes;
    if (this.#freeBytes + bytes > POOL_BYTES_MAX) return;
    this.#freeBytes += bytes;
    file.reset();
    const list = this.#free.get(file.table.name) ?? [];
    list.push(file);
    this.#free.set(file.table.name, list);
  }
}
