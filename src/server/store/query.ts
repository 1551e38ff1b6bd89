/**
 * Query engine: SQL over the store, from any process, also while the server runs.
 *
 * WHY         The truth is the commit log and the files it names; so a reader needs no server: it
 *             reads the log, makes one view per table over exactly those files, and asks an own
 *             in-memory DuckDB.
 * OWNERSHIP   One engine per caller; read-only for the data folder.
 * INVARIANTS  1. A table without files is an empty relation with the table's columns.
 *             2. A file that vanishes between reading the log and reading the file (merged and
 *                unlinked meanwhile) costs one retry with the new log.
 *             3. Roll-up tables show one row per key, whatever files they lie in.
 * REFUSED     Globbing the folder (finds files that are not committed); sharing an instance with
 *             the store worker (a query could take its memory).
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type DuckDBResult } from '@duckdb/node-api';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { LOG_NAME, readStoreState, StoreState } from './commit-log.ts';
import { partitionOf, type StoredFile } from './commit-record.ts';
import { familySql, readSql, sumSql } from './merge.ts';
import { quoteName, STORE_TABLES, sqlType, type Table, TRAFFIC_FAMILY } from './tables.ts';

export interface QueryOptions {
  readonly memoryBytes?: number;
  readonly threads?: number;
}

const MEMORY_BYTES = 1024 * 1024 * 1024;
const THREADS = 2;

/** The view that joins the traffic family in common column names. */
export const TRAFFIC_VIEW = 'traffic';

/** `ip(167772161)` is `10.0.0.1`; NULL stays NULL. Signed values are taken as their 32 bits. */
const IP_MACRO = `CREATE OR REPLACE MACRO ip(x) AS
  CASE WHEN x IS NULL THEN NULL ELSE
    ((x::BIGINT >> 24) & 255) || '.' || ((x::BIGINT >> 16) & 255) || '.' ||
    ((x::BIGINT >> 8) & 255) || '.' || (x::BIGINT & 255) END`;

export class QueryEngine {
  readonly storeDir: string;
  readonly #connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  #state = new StoreState();
  #logMark = '';

  private constructor(storeDir: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.storeDir = storeDir;
    this.#instance = instance;
    this.#connection = connection;
  }

  /** Opens an engine over a data folder. An empty or missing store has empty tables. */
  static async open(dataDir: string, options: QueryOptions = {}): Promise<QueryEngine> {
    const memory = options.memoryBytes ?? MEMORY_BYTES;
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${Math.floor(memory / 1024)}KiB`,
      threads: String(options.threads ?? THREADS),
      temp_directory: '',
      autoinstall_known_extensions: 'false',
    });
    const connection = await instance.connect();
    const engine = new QueryEngine(join(dataDir, 'store'), instance, connection);
    await connection.run(IP_MACRO);
    await engine.refresh();
    return engine;
  }

  /** What the log said at the last refresh. */
  get state(): StoreState {
    return this.#state;
  }

  /** Reads the log again if it has changed, and makes the views of tables whose files changed. */
  async refresh(force = false): Promise<void> {
    const mark = this.#readMark();
    if (!force && mark === this.#logMark) return;
    const before = this.#state;
    this.#state = readStoreState(this.storeDir);
    const old = filesByTable(before);
    const now = filesByTable(this.#state);
    const isFirst = this.#logMark === '';
    this.#logMark = mark;
    for (const table of STORE_TABLES) {
      const files = now.get(table.name) ?? [];
      if (!isFirst && !force && isSame(files, old.get(table.name) ?? [])) continue;
      await this.#connection.run(viewSql(this.storeDir, table, files));
    }
    if (!isFirst) return;
    const parts = TRAFFIC_FAMILY.map(({ table }) => familySql(table, quoteName(table)));
    await this.#connection.run(
      `CREATE OR REPLACE VIEW ${TRAFFIC_VIEW} AS ${parts.join(' UNION ALL ')}`,
    );
  }

  #readMark(): string {
    try {
      const { mtimeMs, size, ino } = statSync(join(this.storeDir, LOG_NAME));
      return `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
      throw error;
    }
  }

  /** Files of a table in hours first .. last (since 1970). */
  filesOf(table: string, firstHour = -Infinity, lastHour = Infinity): StoredFile[] {
    return [...this.#state.files.values()].filter(({ path }) => {
      const partition = partitionOf(path);
      const { hour } = partition;
      return partition.table === table && hour >= firstHour && hour <= lastHour;
    });
  }

  /** Runs SQL on the newest state; rows come as they are read. Throws MR_SQL. */
  async run(sql: string): Promise<DuckDBResult> {
    return this.retry(() => sql);
  }

  /** As run(), for SQL that is made from the state (it is made again for the retry). */
  async retry(makeSql: () => string): Promise<DuckDBResult> {
    await this.refresh();
    try {
      return await this.#connection.stream(makeSql());
    } catch (error) {
      if (!isVanished(error)) throw sqlError(error);
    }
    await this.refresh(true);
    try {
      return await this.#connection.stream(makeSql());
    } catch (error) {
      throw sqlError(error);
    }
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

function filesByTable(state: StoreState): Map<string, StoredFile[]> {
  const tables = new Map<string, StoredFile[]>();
  for (const file of state.files.values()) {
    const { table } = partitionOf(file.path);
    const files = tables.get(table);
    if (files === undefined) tables.set(table, [file]);
    else files.push(file);
  }
  return tables;
}

function isSame(a: readonly StoredFile[], b: readonly StoredFile[]): boolean {
  return a.length === b.length && a.every(({ path }, i) => path === b[i]!.path);
}

/** SELECT with the columns of a table and no rows. */
export function emptySql(table: Table): string {
  const columns = table.columns.map((c) => `NULL::${sqlType(c.type)} AS ${quoteName(c.name)}`);
  return `SELECT ${columns.join(', ')} WHERE false`;
}

function viewSql(storeDir: string, table: Table, files: readonly StoredFile[]): string {
  const name = quoteName(table.name);
  if (files.length === 0) return `CREATE OR REPLACE VIEW ${name} AS ${emptySql(table)}`;
  const source = readSql(storeDir, files);
  const select = table.kind === 'rollup' ? sumSql(table, source) : `SELECT * FROM ${source}`;
  return `CREATE OR REPLACE VIEW ${name} AS ${select}`;
}

function isVanished(error: unknown): boolean {
  const text = (error as Error).message;
  return /No such file|No files found|Cannot open file|Could not read enough bytes/i.test(text);
}

/** The DuckDB message with our code. */
export function sqlError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError(
    'MR_SQL',
    (error as Error).message,
    'tables: millrace query "SHOW TABLES"; columns: millrace query "DESCRIBE transaction_usage"',
    { cause: error },
  );
}
