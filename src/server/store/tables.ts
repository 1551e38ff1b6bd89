/**
 * Tables: the name and the fixed columns of every table of the store.
 *
 * WHY         A Parquet schema must not depend on what happened to arrive: files of one table are
 *             merged and read together. So it is derived from the catalogue alone.
 * COLUMNS     arrival_time, exporter, connection_id, record_ordinal, nine header_*, the fields in
 *             wire order, extra. Integers BIGINT, text VARCHAR, floats DOUBLE, times TIMESTAMP (us,
 *             UTC).
 */
import { type CatalogEntry, TABLES as RECORD_TYPES } from '../../rdr/index.ts';

export type ColumnType = 'timestamp' | 'int' | 'text' | 'float' | 'blob';

export interface TableColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly TableColumn[];
  /** records = one row a record; raw = bytes that have no table; rollup = sums. */
  readonly kind: 'records' | 'raw' | 'rollup';
  /** For roll-ups: the columns that identify a row; the others are sums. */
  readonly keys: readonly string[];
}

/** Names of the header columns, in the order of the frame. */
export const HEADER_COLUMNS = [
  'header_processor_id',
  'header_length',
  'header_source_ip_sample',
  'header_destination_ip_sample',
  'header_source_port',
  'header_destination_port',
  'header_flow_context_id',
  'header_tag',
  'header_field_count',
] as const;

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  timestamp: 'TIMESTAMP',
  int: 'BIGINT',
  text: 'VARCHAR',
  float: 'DOUBLE',
  blob: 'BLOB',
};

export function sqlType(type: ColumnType): string {
  return SQL_TYPES[type];
}

/** `"name"`, safe in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `'text'`, safe in SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const ORIGIN: readonly TableColumn[] = [
  { name: 'arrival_time', type: 'timestamp' },
  { name: 'exporter', type: 'text' },
  { name: 'connection_id', type: 'int' },
  { name: 'record_ordinal', type: 'int' },
];

function recordTable(entry: CatalogEntry): Table {
  const columns: TableColumn[] = [...ORIGIN];
  for (const name of HEADER_COLUMNS) columns.push({ name, type: 'int' });
  for (const { column, kind } of entry.fields) columns.push({ name: column, type: kind });
  columns.push({ name: 'extra', type: 'text' });
  return { name: entry.tableName!, columns, kind: 'records', keys: [] };
}

/** Records whose fields do not hold together: reason and the whole frame. */
export const MALFORMED_TABLE = 'malformed_records';
/** Whole records of a tag that has no table. */
export const OTHER_TABLE = 'other_records';
export const TRAFFIC_MINUTE = 'traffic_minute';
export const TRAFFIC_HOUR = 'traffic_hour';
export const USAGE_MINUTE = 'usage_minute';

const TRAFFIC_SUMS: readonly TableColumn[] = [
  { name: 'records', type: 'int' },
  { name: 'sessions', type: 'int' },
  { name: 'upstream_bytes', type: 'int' },
  { name: 'downstream_bytes', type: 'int' },
];

function rollup(name: string, keys: readonly TableColumn[], sums: readonly TableColumn[]): Table {
  return { name, columns: [...keys, ...sums], kind: 'rollup', keys: keys.map((key) => key.name) };
}

const EXTRA_TABLES: readonly Table[] = [
  {
    name: MALFORMED_TABLE,
    kind: 'raw',
    keys: [],
    columns: [...ORIGIN, { name: 'reason', type: 'text' }, { name: 'raw', type: 'blob' }],
  },
  {
    name: OTHER_TABLE,
    kind: 'raw',
    keys: [],
    columns: [...ORIGIN, { name: 'tag', type: 'int' }, { name: 'raw', type: 'blob' }],
  },
  rollup(
    TRAFFIC_MINUTE,
    [
      { name: 'minute', type: 'timestamp' },
      { name: 'exporter', type: 'text' },
      { name: 'service_id', type: 'int' },
      { name: 'package_id', type: 'int' },
      { name: 'protocol_id', type: 'int' },
    ],
    TRAFFIC_SUMS,
  ),
  rollup(
    USAGE_MINUTE,
    [
      { name: 'minute', type: 'timestamp' },
      { name: 'exporter', type: 'text' },
      { name: 'source', type: 'text' },
      { name: 'service_usage_counter_id', type: 'int' },
    ],
    [
      { name: 'records', type: 'int' },
      { name: 'sessions', type: 'int' },
      { name: 'upstream_kilobytes', type: 'int' },
      { name: 'downstream_kilobytes', type: 'int' },
    ],
  ),
  rollup(
    TRAFFIC_HOUR,
    [
      { name: 'hour', type: 'timestamp' },
      { name: 'subscriber_id', type: 'text' },
      { name: 'service_id', type: 'int' },
    ],
    TRAFFIC_SUMS,
  ),
];

/** Every table of the store: 33 of records, two of raw bytes, three roll-ups. */
export const STORE_TABLES: readonly Table[] = Object.freeze([
  ...RECORD_TYPES.map(recordTable),
  ...EXTRA_TABLES,
]);

const BY_NAME: ReadonlyMap<string, Table> = new Map(STORE_TABLES.map((t) => [t.name, t]));

export function tableByName(name: string): Table | undefined {
  return BY_NAME.get(name);
}

/** What the traffic roll-ups and `top` read: one record a session, volumes in bytes. */
export interface TrafficSource {
  readonly table: string;
  readonly subscriber: string;
  readonly host: string;
}

export const TRAFFIC_FAMILY: readonly TrafficSource[] = [
  'transaction_usage',
  'http_transaction_usage',
  'rtsp_transaction_usage',
  'voip_transaction_usage',
  'video_transaction_usage',
  'anonymized_http_transaction_usage',
].map((table) =>
  table === 'anonymized_http_transaction_usage'
    ? { table, subscriber: 'hashed_subscriber_id', host: 'host' }
    : { table, subscriber: 'subscriber_id', host: 'access_string' },
);

/** Periodic records: kilobytes that count the same traffic again, each source by itself. */
export const USAGE_FAMILY: readonly string[] = [
  'subscriber_usage',
  'realtime_subscriber_usage',
  'package_usage',
  'link_usage',
  'virtual_links_usage',
  'zone_usage',
];
