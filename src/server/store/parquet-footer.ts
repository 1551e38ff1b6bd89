/**
 * Parquet footer: the schema of the store's tables and the end of a file, as Thrift structs.
 *
 * WHY         Files are written and merged without DuckDB (plain-file.ts, parquet-merge.ts).
 *             Columns are OPTIONAL and typed exactly as DuckDB writes them, so that files of both
 *             writers are read together.
 * LAYOUT      "PAR1", pages, FileMetaData (parquet.thrift in apache/parquet-format), its length,
 *             "PAR1".
 */
import type { ColumnType, Table, TableColumn } from './tables.ts';
import {
  field,
  T_BINARY,
  T_FALSE,
  T_I32,
  T_I64,
  T_LIST,
  T_STRUCT,
  type ThriftStruct,
  type ThriftValue,
  ThriftWriter,
  textValue,
} from './thrift-compact.ts';

export const PARQUET_MAGIC = 'PAR1';
export const MAGIC_BYTES = textValue(PARQUET_MAGIC);

const TYPE_INT64 = 2;
const TYPE_DOUBLE = 5;
const TYPE_BYTE_ARRAY = 6;
const REPETITION_REQUIRED = 0;
const REPETITION_OPTIONAL = 1;
const CONVERTED_UTF8 = 0;
const CONVERTED_TIMESTAMP_MICROS = 10;
const CONVERTED_INT_64 = 18;
const ENCODING_PLAIN = 0;
const ENCODING_RLE = 3;
const CODEC_NONE = 0;

const PHYSICAL: Readonly<Record<ColumnType, number>> = {
  timestamp: TYPE_INT64,
  int: TYPE_INT64,
  text: TYPE_BYTE_ARRAY,
  blob: TYPE_BYTE_ARRAY,
  float: TYPE_DOUBLE,
};

function list(elementType: number, items: ThriftValue[]): ThriftValue {
  return { elementType, items };
}

function schemaElement(column: TableColumn): ThriftStruct {
  const element: ThriftStruct = [
    field(1, T_I32, PHYSICAL[column.type]),
    field(3, T_I32, REPETITION_OPTIONAL),
    field(4, T_BINARY, textValue(column.name)),
  ];
  if (column.type === 'text') element.push(field(6, T_I32, CONVERTED_UTF8));
  if (column.type === 'int') element.push(field(6, T_I32, CONVERTED_INT_64));
  if (column.type === 'timestamp') {
    const micros: ThriftStruct = [field(2, T_STRUCT, [])];
    const timestamp: ThriftStruct = [field(1, T_FALSE, false), field(2, T_STRUCT, micros)];
    element.push(field(6, T_I32, CONVERTED_TIMESTAMP_MICROS));
    element.push(field(10, T_STRUCT, [field(8, T_STRUCT, timestamp)]));
  }
  return element;
}

function schemaOf(table: Table): ThriftStruct[] {
  const root: ThriftStruct = [
    field(3, T_I32, REPETITION_REQUIRED),
    field(4, T_BINARY, textValue('duckdb_schema')),
    field(5, T_I32, table.columns.length),
  ];
  return [root, ...table.columns.map(schemaElement)];
}

/** What the footer tells of one column of a plain file. */
export interface PlainChunk {
  readonly offset: number;
  readonly bytes: number;
  readonly nulls: number;
  /** Smallest and largest integer, exact up to 2^53; null = not known. */
  readonly range: { readonly min: number; readonly max: number } | null;
}

function int64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}

function columnChunk(column: TableColumn, chunk: PlainChunk, rows: number): ThriftStruct {
  const { range } = chunk;
  const statistics: ThriftStruct = [field(3, T_I64, chunk.nulls)];
  if (range !== null) {
    statistics.push(field(5, T_BINARY, int64(range.max)), field(6, T_BINARY, int64(range.min)));
  }
  const meta: ThriftStruct = [
    field(1, T_I32, PHYSICAL[column.type]),
    field(2, T_LIST, list(T_I32, [ENCODING_PLAIN, ENCODING_RLE])),
    field(3, T_LIST, list(T_BINARY, [textValue(column.name)])),
    field(4, T_I32, CODEC_NONE),
    field(5, T_I64, rows),
    field(6, T_I64, chunk.bytes),
    field(7, T_I64, chunk.bytes),
    field(9, T_I64, chunk.offset),
    field(12, T_STRUCT, statistics),
  ];
  return [field(2, T_I64, 0), field(3, T_STRUCT, meta)];
}

/** The footer of a file of one row group with these columns. */
export function plainFooter(table: Table, chunks: readonly PlainChunk[], rows: number): Uint8Array {
  const dataBytes = chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  const columns = table.columns.map((column, i) => columnChunk(column, chunks[i]!, rows));
  const rowGroup: ThriftStruct = [
    field(1, T_LIST, list(T_STRUCT, columns)),
    field(2, T_I64, dataBytes),
    field(3, T_I64, rows),
    field(5, T_I64, MAGIC_BYTES.length),
    field(6, T_I64, dataBytes),
  ];
  const orders = table.columns.map((): ThriftStruct => [field(1, T_STRUCT, [])]);
  return footerBytes([
    field(1, T_I32, 1),
    field(2, T_LIST, list(T_STRUCT, schemaOf(table))),
    field(3, T_I64, rows),
    field(4, T_LIST, list(T_STRUCT, [rowGroup])),
    field(6, T_BINARY, textValue('Millrace')),
    field(7, T_LIST, list(T_STRUCT, orders)),
  ]);
}

/** The end of a file: FileMetaData, its length, the magic. */
export function footerBytes(metadata: ThriftStruct): Uint8Array {
  const writer = new ThriftWriter();
  writer.struct(metadata);
  const body = writer.bytes();
  const bytes = new Uint8Array(body.length + 8);
  bytes.set(body);
  new DataView(bytes.buffer).setUint32(body.length, body.length, true);
  bytes.set(MAGIC_BYTES, body.length + 4);
  return bytes;
}
