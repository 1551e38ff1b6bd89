/**
 * Count rows: what the ledger says was delivered, compared with what is really in the files.
 *
 * WHY     The sink ledger is only worth something when its largest term is checked against the
 *         truth. DuckDB answers count(*) of Parquet from the footers: cheap, whatever the rows.
 */
import { QueryEngine } from './query.ts';
import { readRows } from './render.ts';
import { quoteName, STORE_TABLES } from './tables.ts';

export interface TableCount {
  readonly table: string;
  /** Records and other_records: delivered - expired. Others: rows of the committed files. */
  readonly expected: number;
  readonly found: number;
}

export interface CountReport {
  readonly tables: readonly TableCount[];
  /** Rows of records, raw bytes excluded, that the files hold. */
  readonly found: number;
  /** Sum of |expected - found|; 0 when the ledger tells the truth. */
  readonly difference: number;
}

/** Counts every table of a data folder. Throws MR_STORE_LOG, MR_SQL. */
export async function countRows(dataDir: string): Promise<CountReport> {
  const engine = await QueryEngine.open(dataDir);
  try {
    const { ledger } = engine.state;
    const tables: TableCount[] = [];
    let records = 0;
    let difference = 0;
    for (const { name, kind } of STORE_TABLES) {
      if (kind === 'rollup') continue;
      const isDelivered = kind === 'records' || name === 'other_records';
      const inFiles = engine.filesOf(name).reduce((sum, file) => sum + file.rows, 0);
      const delivered = (ledger.delivered[name] ?? 0) - (ledger.expired[name] ?? 0);
      const expected = isDelivered ? delivered : inFiles;
      const rows = await readRows(await engine.run(`SELECT count(*) AS n FROM ${quoteName(name)}`));
      const found = Number(rows[0]!.n);
      if (isDelivered) records += found;
      difference += Math.abs(expected - found);
      if (expected !== 0 || found !== 0) tables.push({ table: name, expected, found });
    }
    return { tables, found: records, difference };
  } finally {
    engine.close();
  }
}
