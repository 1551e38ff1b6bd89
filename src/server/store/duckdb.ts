/**
 * DuckDB for writing: one in-memory instance, SQL, and raw data chunks with every bound checked.
 *
 * WHY         `copy_data_to_vector` of the bindings is a memcpy that checks nothing: a wrong offset
 *             is a crash or worse. All use of it is in this file, behind lengths and types.
 * OWNERSHIP   One instance per store worker, always in memory; files are the truth, never DuckDB.
 * INVARIANTS  1. Bytes copied = rows * width of the vector's type <= 2,048 * width, and lie inside
 *                the source.  2. Text enters by vector_assign_string_element_len only.
 * REFUSED     Pointers in string_t (a freed heap behind them is silent corruption); the public
 *             setColumns / row appender (five to ten times the cost).
 */
import duckdb from '@duckdb/node-bindings';
import { assert } from '../../toolkit/base/assert.ts';
import { MillraceError } from '../../toolkit/base/errors.ts';

/** DuckDB's vector size: rows of one data chunk at most. */
export const VECTOR_ROWS = 2048;

/** Fixed-width types that are copied as memory; 'text' is assigned value by value. */
export type VectorType = 'int64' | 'uint32' | 'uint16' | 'uint8' | 'double' | 'timestamp' | 'text';

const WIDTHS: Readonly<Record<VectorType, number>> = {
  int64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  double: 8,
  timestamp: 8,
  text: 0,
};

const TYPE_IDS: Readonly<Record<VectorType, number>> = {
  int64: duckdb.Type.BIGINT,
  uint32: duckdb.Type.UINTEGER,
  uint16: duckdb.Type.USMALLINT,
  uint8: duckdb.Type.UTINYINT,
  double: duckdb.Type.DOUBLE,
  timestamp: duckdb.Type.TIMESTAMP,
  text: duckdb.Type.VARCHAR,
};

const SQL_NAMES: Readonly<Record<VectorType, string>> = {
  int64: 'BIGINT',
  uint32: 'UINTEGER',
  uint16: 'USMALLINT',
  uint8: 'UTINYINT',
  double: 'DOUBLE',
  timestamp: 'TIMESTAMP',
  text: 'VARCHAR',
};

export function vectorSqlType(type: VectorType): string {
  return SQL_NAMES[type];
}

/** A typed array over a plain ArrayBuffer (DuckDB's binding refuses shared memory on Node 20). */
export type PlainArray =
  | Int32Array<ArrayBufferLike>
  | Uint32Array<ArrayBufferLike>
  | Uint16Array<ArrayBufferLike>
  | Uint8Array<ArrayBufferLike>
  | Float64Array<ArrayBufferLike>;

/** A reused data chunk of up to 2,048 rows. */
export class Chunk {
  readonly #chunk: duckdb.DataChunk;
  readonly #types: readonly VectorType[];
  readonly #bits = new Uint8Array(VECTOR_ROWS / 8);

  constructor(types: readonly VectorType[]) {
    this.#types = types;
    this.#chunk = duckdb.create_data_chunk(
      types.map((type) => duckdb.create_logical_type(TYPE_IDS[type])),
    );
  }

  get raw(): duckdb.DataChunk {
    return this.#chunk;
  }

  reset(): void {
    duckdb.data_chunk_reset(this.#chunk);
  }

  setRows(rows: number): void {
    assert(rows > 0 && rows <= VECTOR_ROWS, 'rows of a data chunk');
    duckdb.data_chunk_set_size(this.#chunk, rows);
  }

  /** Copies the first `rows` values of `source` into column `index`. */
  setValues(index: number, source: PlainArray, rows: number): void {
    const width = WIDTHS[this.#types[index]!];
    const byteCount = rows * width;
    assert(width > 0 && rows <= VECTOR_ROWS, 'a fixed-width column of at most 2,048 rows');
    assert(byteCount <= source.byteLength, 'the source of a column is long enough');
    assert(source.buffer instanceof ArrayBuffer, 'DuckDB takes plain memory only');
    duckdb.copy_data_to_vector(
      duckdb.data_chunk_get_vector(this.#chunk, index),
      0,
      source.buffer,
      source.byteOffset,
      byteCount,
    );
  }

  /**
   * Marks as NULL the rows whose byte in `valid` is 0. Call after a reset, for columns with NULLs.
   */
  setValid(index: number, valid: Uint8Array, rows: number): void {
    assert(rows <= VECTOR_ROWS && rows <= valid.length, 'validity of at most 2,048 rows');
    const bits = this.#bits;
    bits.fill(0);
    for (let i = 0; i < rows; i++) bits[i >> 3]! |= valid[i]! << (i & 7);
    const vector = duckdb.data_chunk_get_vector(this.#chunk, index);
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.length);
  }

  /** Assigns UTF-8 bytes to one row of a text column. */
  setText(index: number, row: number, bytes: Uint8Array): void {
    assert(this.#types[index] === 'text' && row < VECTOR_ROWS, 'a row of a text column');
    const vector = duckdb.data_chunk_get_vector(this.#chunk, index);
    duckdb.vector_assign_string_element_len(vector, row, bytes);
  }
}

/** Appends chunks to one table. Rows are in the table after close(). */
export class Appender {
  readonly #appender: duckdb.Appender;

  constructor(connection: duckdb.Connection, table: string) {
    this.#appender = duckdb.appender_create(connection, 'main', table);
  }

  append(chunk: Chunk): void {
    duckdb.append_data_chunk(this.#appender, chunk.raw);
  }

  /** Flushes and ends; blocks the event loop for the last, unflushed rows. */
  close(): void {
    duckdb.appender_close_sync(this.#appender);
  }
}

export interface DuckWriterOptions {
  readonly memoryBytes: number;
  readonly threads: number;
  /** Where DuckDB may spill; a folder that it owns alone. */
  readonly spillDir: string;
}

/** The instance of a store worker: connections for appends, flushes and merges. */
export class DuckWriter {
  readonly #database: duckdb.Database;
  readonly #appends: duckdb.Connection;
  readonly #queries: duckdb.Connection;
  readonly #beside: duckdb.Connection;

  private constructor(
    database: duckdb.Database,
    appends: duckdb.Connection,
    queries: duckdb.Connection,
    beside: duckdb.Connection,
  ) {
    this.#database = database;
    this.#appends = appends;
    this.#queries = queries;
    this.#beside = beside;
  }

  static async open(options: DuckWriterOptions): Promise<DuckWriter> {
    const config = duckdb.create_config();
    duckdb.set_config(config, 'memory_limit', `${Math.floor(options.memoryBytes / 1024)}KiB`);
    duckdb.set_config(config, 'threads', String(options.threads));
    duckdb.set_config(config, 'temp_directory', options.spillDir);
    duckdb.set_config(config, 'autoinstall_known_extensions', 'false');
    const database = await duckdb.open(':memory:', config);
    const appends = await duckdb.connect(database);
    const queries = await duckdb.connect(database);
    const beside = await duckdb.connect(database);
    return new DuckWriter(database, appends, queries, beside);
  }

  appender(table: string): Appender {
    return new Appender(this.#appends, table);
  }

  /** Runs statements of a flush; the number of rows that the last one changed (COPY: wrote). */
  run(sql: string): Promise<number> {
    return this.#run(this.#queries, sql);
  }

  /** The same on a connection of its own, so that a flush does not wait for a merge. */
  runBeside(sql: string): Promise<number> {
    return this.#run(this.#beside, sql);
  }

  async #run(connection: duckdb.Connection, sql: string): Promise<number> {
    try {
      return duckdb.rows_changed(await duckdb.query(connection, sql));
    } catch (error) {
      throw new MillraceError('MR_SQL', (error as Error).message, '', { cause: error });
    }
  }

  close(): void {
    duckdb.disconnect_sync(this.#appends);
    duckdb.disconnect_sync(this.#queries);
    duckdb.disconnect_sync(this.#beside);
    duckdb.close_sync(this.#database);
  }
}
