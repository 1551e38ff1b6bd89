/**
 * Staging pool: has the DuckDB tables of the next generation ready before it begins.
 *
 * WHY         CREATE TABLE is a query, and queries answer later; the generation that follows must
 *             take its first full batch at once. Only tables that fill batches get a place.
 * OWNERSHIP   The store's turn calls it; at most one preparation is under way.
 */
import type { DuckWriter } from './duckdb.ts';
import type { RecordBatch } from './record-batch.ts';
import { StagedTable, StagingShape } from './staging.ts';
import { tableByName } from './tables.ts';

export class StagingPool {
  readonly #duck: DuckWriter;
  readonly #shapes = new Map<string, StagingShape>();
  readonly #ready = new Map<string, StagedTable>();
  readonly #wanted = new Set<string>();
  #number = 0;
  #preparing: Promise<void> | null = null;
  /** Preparations that failed; batches go the plain way meanwhile. */
  failures = 0;

  constructor(duck: DuckWriter, batches: readonly RecordBatch[]) {
    this.#duck = duck;
    for (const { columns } of batches) {
      const table = tableByName(columns.tableName)!;
      this.#shapes.set(table.name, new StagingShape(table, columns));
    }
  }

  /** The staging of a table for a new generation, or undefined: not ready yet, asked for now. */
  take(table: string): StagedTable | undefined {
    const staged = this.#ready.get(table);
    this.#ready.delete(table);
    this.#wanted.add(table);
    this.#preparing ??= this.#prepare();
    return staged;
  }

  async #prepare(): Promise<void> {
    try {
      for (const table of this.#wanted) {
        const shape = this.#shapes.get(table)!;
        const number = this.#number++;
        await this.#duck.run(StagedTable.createSql(shape, number));
        this.#wanted.delete(table);
        this.#ready.set(table, StagedTable.open(this.#duck, shape, number));
      }
    } catch (error) {
      // Not lost: the batch that asked is written plainly, and the next one asks again.
      void error;
      this.failures++;
    } finally {
      this.#preparing = null;
    }
  }

  async close(): Promise<void> {
    await this.#preparing;
    for (const staged of this.#ready.values()) staged.close();
  }
}
