/**
 * Merge: the SQL and the choice of means behind maintenance.ts.
 *
 * RULES   Roll-ups are summed by key. Compressed files with large row groups are concatenated; the
 *         others, and all that a flush wrote plainly, are rewritten by DuckDB into one first, which
 *         is then concatenated with the large ones.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { partitionPath, type StoredFile, spanOf } from './commit-record.ts';
import { type CommitContext, fsyncFile, makeFolders, type PendingFile } from './flush.ts';
import type { Partition } from './maintenance.ts';
import type { StoreOptions } from './options.ts';
import { mergeParquet } from './parquet-merge.ts';
import { quoteName, quoteText, type Table, TRAFFIC_FAMILY, TRAFFIC_HOUR } from './tables.ts';

/** Row groups of so many rows are worth keeping as they are. */
const GROUP_ROWS_MIN = 24_576;

/** Rows of a group: DuckDB holds a group of all columns while it writes, some 350 bytes a row. */
const GROUP_ROWS = 65_536;

/** Measured: docs/decisions/0005-text-into-duckdb.md. */
function copyOptions(compression: StoreOptions['compression']): string {
  const level = compression === 'zstd' ? ', COMPRESSION_LEVEL 1' : '';
  return (
    `FORMAT parquet, PARQUET_VERSION V2, COMPRESSION ${compression}${level}, ` +
    `DICTIONARY_SIZE_LIMIT 1000, WRITE_BLOOM_FILTER false, ROW_GROUP_SIZE ${GROUP_ROWS}`
  );
}

function isLarge(file: StoredFile): boolean {
  return file.plain !== true && file.rows >= GROUP_ROWS_MIN * file.groups;
}

function fileList(storeDir: string, files: readonly StoredFile[]): string {
  return `[${files.map(({ path }) => quoteText(join(storeDir, path))).join(', ')}]`;
}

/** SELECT of all rows of files of one table. */
export function readSql(storeDir: string, files: readonly StoredFile[]): string {
  return `read_parquet(${fileList(storeDir, files)}, hive_partitioning = false)`;
}

/** SELECT that sums a roll-up by its keys. */
export function sumSql(table: Table, source: string): string {
  const columns = table.columns.map(({ name }) =>
    table.keys.includes(name)
      ? quoteName(name)
      : `sum(${quoteName(name)})::BIGINT AS ${quoteName(name)}`,
  );
  return `SELECT ${columns.join(', ')} FROM ${source} GROUP BY ALL ORDER BY ALL`;
}

/** Name of what replaces these files: covers their positions, and is none of theirs. */
function mergedPath(table: string, hour: number, inputs: readonly StoredFile[], above = 0): string {
  const spans = inputs.map(({ path }) => spanOf(path));
  const from = Math.min(...spans.map((span) => span.from));
  const to = Math.max(...spans.map((span) => span.to));
  const n = 1 + Math.max(above, ...spans.map((span) => span.n));
  return `${partitionPath(table, hour)}/${from}-${to}-${n}.parquet`;
}

async function copySql(
  context: CommitContext,
  select: string,
  tmpPath: string,
): Promise<{ rows: number; bytes: number; groups: number }> {
  const options = copyOptions(context.options.compression);
  const rows = await context.duck.run(
    `COPY (${select}) TO ${quoteText(tmpPath)} (${options}, USE_TMP_FILE false)`,
  );
  return { rows, bytes: await fsyncFile(tmpPath), groups: Math.ceil(rows / GROUP_ROWS) };
}

/** Writes the merged file of these inputs as .tmp: two or more, or one plain. */
export async function mergeFiles(
  context: CommitContext,
  table: Table,
  hour: number,
  inputs: readonly StoredFile[],
): Promise<PendingFile> {
  const { storeDir } = context;
  const path = mergedPath(table.name, hour, inputs);
  makeFolders(storeDir, path);
  const tmpPath = join(storeDir, `${path}.tmp`);
  if (table.kind === 'rollup') {
    const made = await copySql(context, sumSql(table, readSql(storeDir, inputs)), tmpPath);
    return { file: { path, ...made }, tmpPath };
  }
  const large = inputs.filter(isLarge);
  const small = inputs.filter((file) => !isLarge(file));
  const expected = inputs.reduce((sum, file) => sum + file.rows, 0);
  const made =
    large.length === 0
      ? await copySql(context, `SELECT * FROM ${readSql(storeDir, small)}`, tmpPath)
      : await concatenate(context, large, small, tmpPath);
  if (made.rows !== expected) {
    throw new Error(`merging ${path} gave ${made.rows} rows of ${expected}`);
  }
  return { file: { path, ...made }, tmpPath };
}

async function concatenate(
  context: CommitContext,
  large: readonly StoredFile[],
  small: readonly StoredFile[],
  tmpPath: string,
): Promise<{ rows: number; bytes: number; groups: number }> {
  const { storeDir } = context;
  const paths = large.map(({ path }) => join(storeDir, path));
  const smallPath = `${tmpPath}.small.tmp`;
  if (small.length > 0) {
    await copySql(context, `SELECT * FROM ${readSql(storeDir, small)}`, smallPath);
    paths.push(smallPath);
  }
  const { rows, groups } = await mergeParquet(paths, tmpPath);
  if (small.length > 0) await unlink(smallPath);
  return { rows, groups, bytes: await fsyncFile(tmpPath) };
}

/** One SELECT over a table of the traffic family, in common column names. */
export function familySql(table: string, source: string): string {
  const { subscriber, host } = TRAFFIC_FAMILY.find((family) => family.table === table)!;
  return (
    `SELECT arrival_time, exporter, ${subscriber} AS subscriber_id, package_id, service_id, ` +
    `protocol_id, ${host} AS host, server_ip, client_ip, ` +
    'coalesce(session_upstream_volume, 0) AS upstream_bytes, ' +
    'coalesce(session_downstream_volume, 0) AS downstream_bytes, ' +
    `${quoteText(table)} AS source FROM ${source}`
  );
}

/** traffic_hour from the files of an hour, or null when `old` covers them or there are none. */
export async function makeTrafficHour(
  context: CommitContext,
  hour: number,
  family: readonly Partition[],
  old: readonly StoredFile[],
): Promise<PendingFile | null> {
  const { storeDir } = context;
  const inputs = family.flatMap(({ files }) => files);
  if (inputs.length === 0) return null;
  const covered = Math.max(-1, ...old.map(({ path }) => spanOf(path).to));
  if (old.length > 0 && inputs.every(({ path }) => spanOf(path).to <= covered)) return null;
  const above = Math.max(0, ...old.map(({ path }) => spanOf(path).n));
  const path = mergedPath(TRAFFIC_HOUR, hour, inputs, above);
  makeFolders(storeDir, path);
  const tmpPath = join(storeDir, `${path}.tmp`);
  const parts = family.map(({ table, files }) => familySql(table, readSql(storeDir, files)));
  const hourText = new Date(hour * 3_600_000).toISOString().slice(0, 19);
  const select =
    `SELECT TIMESTAMP '${hourText}' AS hour, subscriber_id, service_id, ` +
    'count(*)::BIGINT AS records, count(*)::BIGINT AS sessions, ' +
    'sum(upstream_bytes)::BIGINT AS upstream_bytes, ' +
    'sum(downstream_bytes)::BIGINT AS downstream_bytes ' +
    `FROM (${parts.join(' UNION ALL ')}) GROUP BY ALL ORDER BY ALL`;
  return { file: { path, ...(await copySql(context, select, tmpPath)) }, tmpPath };
}
