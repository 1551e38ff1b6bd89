/**
 * Top: who moved the most since a moment, by the roll-ups where they are exact, else by the
 * records.
 *
 * FAMILY      The transaction usage family only (docs/reference/store-schema.md, "Volumes"): bytes.
 * WINDOW      Begins at the full minute of `sinceMs`, so that roll-ups per minute answer exactly;
 *             goes by arrival time; ends with the last commit.
 * SOURCES     services, packages, protocols, exporters: traffic_minute. subscribers: traffic_hour
 *             for whole hours that it covers, the records for the others. hosts: the records.
 */
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { TopMeasure, TopSubject } from '../top-words.ts';
import { partitionOf, type StoredFile, spanOf } from './commit-record.ts';
import { familySql, readSql } from './merge.ts';
import { emptySql, type QueryEngine } from './query.ts';
import { readRows } from './render.ts';
import { TRAFFIC_FAMILY, TRAFFIC_HOUR, TRAFFIC_MINUTE, tableByName } from './tables.ts';

export interface TopOptions {
  readonly subject: TopSubject;
  /** Wall time, ms since 1970. */
  readonly sinceMs: number;
  readonly by: TopMeasure;
  readonly count: number;
}

export interface TopRow {
  readonly name: string;
  readonly bytes: number;
  readonly upstreamBytes: number;
  readonly downstreamBytes: number;
  readonly sessions: number;
  readonly records: number;
}

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 3_600_000;

const KEYS: Readonly<Record<TopSubject, string>> = {
  subscribers: 'subscriber_id',
  services: 'service_id',
  packages: 'package_id',
  hosts: 'host',
  protocols: 'protocol_id',
  exporters: 'exporter',
};

/** Start of the window of `sinceMs`: the full minute. */
export function windowStartMs(sinceMs: number): number {
  return Math.max(0, Math.floor(sinceMs / MS_PER_MINUTE) * MS_PER_MINUTE);
}

function timestamp(ms: number): string {
  return `TIMESTAMP '${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}'`;
}

const SUMS =
  'sum(records)::BIGINT AS records, sum(sessions)::BIGINT AS sessions, ' +
  'sum(upstream_bytes)::BIGINT AS upstream_bytes, ' +
  'sum(downstream_bytes)::BIGINT AS downstream_bytes, ' +
  'sum(upstream_bytes + downstream_bytes)::BIGINT AS bytes';
/** Columns behind `key`, by number: a name would be that of the unsummed column. */
const ORDER_COLUMNS: Readonly<Record<TopMeasure, number>> = { records: 2, sessions: 3, bytes: 6 };

function source(engine: QueryEngine, table: string, files: readonly StoredFile[]): string {
  if (files.length > 0) return readSql(engine.storeDir, files);
  return `(${emptySql(tableByName(table)!)})`;
}

/** Records of the family in these hours, as (key, records, sessions, upstream, downstream). */
function recordsSql(engine: QueryEngine, key: string, startMs: number, hours: Set<number> | null) {
  const first = Math.floor(startMs / MS_PER_HOUR);
  const parts = TRAFFIC_FAMILY.map(({ table }) => {
    const files = engine.filesOf(table, first).filter(({ path }) => {
      return hours === null || !hours.has(partitionOf(path).hour);
    });
    return familySql(table, source(engine, table, files));
  });
  return (
    `SELECT ${key} AS key, 1 AS records, 1 AS sessions, upstream_bytes, downstream_bytes ` +
    `FROM (${parts.join(' UNION ALL ')}) WHERE arrival_time >= ${timestamp(startMs)}`
  );
}

/** Whole hours from `startMs` on whose records traffic_hour covers all. */
export function coveredHours(engine: QueryEngine, startMs: number): Set<number> {
  const first = Math.ceil(startMs / MS_PER_HOUR);
  const covered = new Set<number>();
  for (const { path } of engine.filesOf(TRAFFIC_HOUR, first)) {
    const { hour } = partitionOf(path);
    const { to } = spanOf(path);
    const isCovered = TRAFFIC_FAMILY.every(({ table }) =>
      engine.filesOf(table, hour, hour).every((file) => spanOf(file.path).to <= to),
    );
    if (isCovered) covered.add(hour);
  }
  return covered;
}

function rowsSql(engine: QueryEngine, subject: TopSubject, startMs: number): string {
  const key = KEYS[subject];
  if (subject === 'hosts') return recordsSql(engine, key, startMs, null);
  if (subject === 'subscribers') {
    const hours = coveredHours(engine, startMs);
    const files = engine
      .filesOf(TRAFFIC_HOUR)
      .filter(({ path }) => hours.has(partitionOf(path).hour));
    const hourly =
      'SELECT subscriber_id AS key, records, sessions, upstream_bytes, downstream_bytes ' +
      `FROM ${source(engine, TRAFFIC_HOUR, files)}`;
    return `${recordsSql(engine, key, startMs, hours)} UNION ALL ${hourly}`;
  }
  const files = engine.filesOf(TRAFFIC_MINUTE, Math.floor(startMs / MS_PER_HOUR));
  return (
    `SELECT ${key} AS key, records, sessions, upstream_bytes, downstream_bytes ` +
    `FROM ${source(engine, TRAFFIC_MINUTE, files)} WHERE minute >= ${timestamp(startMs)}`
  );
}

/** The `count` largest, most first. Throws MR_SQL. */
export async function top(engine: QueryEngine, options: TopOptions): Promise<TopRow[]> {
  const startMs = windowStartMs(options.sinceMs);
  const result = await engine.retry(
    () =>
      `SELECT key, ${SUMS} FROM (${rowsSql(engine, options.subject, startMs)}) GROUP BY key ` +
      `ORDER BY ${ORDER_COLUMNS[options.by]} DESC, key LIMIT ${Math.floor(options.count)}`,
  );
  const rows = await readRows(result);
  return rows.map((row) => ({
    name: row.key === null ? '' : String(row.key),
    bytes: Number(row.bytes),
    upstreamBytes: Number(row.upstream_bytes),
    downstreamBytes: Number(row.downstream_bytes),
    sessions: Number(row.sessions),
    records: Number(row.records),
  }));
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: MS_PER_MINUTE,
  h: MS_PER_HOUR,
  d: 24 * MS_PER_HOUR,
};

/** `15m`, `1h`, `7d`, `all`, or a time as ISO 8601 (UTC when it names no zone): ms since 1970. */
export function parseSince(text: string, nowMs: number): number {
  if (text === 'all') return 0;
  const span = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text);
  if (span !== null) return nowMs - Number(span[1]) * UNITS[span[2]!]!;
  const iso = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(
    text,
  );
  const time = iso === null ? Number.NaN : Date.parse(iso[1] ? text : `${text.replace(' ', 'T')}Z`);
  const dayOnly = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : time;
  if (Number.isNaN(dayOnly)) {
    throw new MillraceError(
      'MR_USAGE',
      `"${text}" is no time`,
      'give a span (90s, 15m, 1h, 7d), "all", or a time like 2026-01-31T08:00 (UTC)',
    );
  }
  return dayOnly;
}
