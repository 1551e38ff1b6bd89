/**
 * Parquet writer for few rows: one row group, plain encoding, no compression.
 *
 * WHY         A COPY of 40 columns costs DuckDB 7 to 10 ms whatever the row count, and a flush may
 *             touch 33 tables: 2.5 us a record at 131,072 records. Plain pages cost some 0.1 ms a
 *             table. The hourly compaction rewrites these files, so that their size does not matter
 *             for long.
 * LAYOUT      "PAR1", per column one data page (v1: definition levels as RLE, then plain values),
 *             footer (Thrift, see parquet.thrift in apache/parquet-format), footer length, "PAR1".
 *             Columns are OPTIONAL and typed exactly as DuckDB writes them, so that files of both
 *             writers are read and merged together.
 * OWNERSHIP   The returned bytes belong to the caller.
 * INVARIANTS  Integers have min/max statistics (arrival_time prunes files); text has none.
 * REFUSED     Dictionary pages and compression here (that is DuckDB's work, where it pays).
 */
import type { Batch, BatchColumn } from './batch.ts';
import { getWords } from './batch.ts';
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
const MAGIC_BYTES = textValue(PARQUET_MAGIC);

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
const PAGE_DATA = 0;
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

/** The footer's schema list of a table. */
export function schemaOf(table: Table): ThriftStruct[] {
  const root: ThriftStruct = [
    field(3, T_I32, REPETITION_REQUIRED),
    field(4, T_BINARY, textValue('duckdb_schema')),
    field(5, T_I32, table.columns.length),
  ];
  return [root, ...table.columns.map(schemaElement)];
}

/** Bytes under construction; grows by doubling. */
class Output {
  bytes = new Uint8Array(64 * 1024);
  view = new DataView(this.bytes.buffer);
  length = 0;

  room(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  append(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  u32(value: number): void {
    this.room(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }
}

function validOf(column: BatchColumn): Uint8Array | null {
  return column.kind === 'small' || column.kind === 'same' ? null : column.valid;
}

function countNulls(valid: Uint8Array | null, rows: number): number {
  if (valid === null) return 0;
  let nulls = 0;
  for (let i = 0; i < rows; i++) nulls += 1 - valid[i]!;
  return nulls;
}

/** Definition levels: one RLE run when there is no NULL, else one bit a row. */
function writeLevels(out: Output, valid: Uint8Array | null, rows: number, nulls: number): void {
  const run = new ThriftWriter();
  if (nulls === 0 || valid === null) {
    run.varint(rows * 2);
    const head = run.bytes();
    out.u32(head.length + 1);
    out.append(head);
    out.append(Uint8Array.of(1));
    return;
  }
  const groups = Math.ceil(rows / 8);
  run.varint(groups * 2 + 1);
  const head = run.bytes();
  out.u32(head.length + groups);
  out.append(head);
  const bits = new Uint8Array(groups);
  for (let i = 0; i < rows; i++) bits[i >> 3]! |= valid[i]! << (i & 7);
  out.append(bits);
}

/** Min and max of an integer column, exact below 2^53 (RDRv1 has 32-bit fields). */
interface Range {
  min: number;
  max: number;
}

function writeInts(out: Output, column: BatchColumn, rows: number, nulls: number, range: Range) {
  out.room(rows * 8);
  const { view } = out;
  let at = out.length;
  for (let i = 0; i < rows; i++) {
    let value: number;
    if (column.kind === 'int') {
      if (nulls > 0 && column.valid![i] === 0) continue;
      value = getWords(column.words, i);
      view.setInt32(at, column.words[2 * i]!, true);
      view.setInt32(at + 4, column.words[2 * i + 1]!, true);
    } else {
      value = column.kind === 'small' ? column.values[i]! : (column as { value: number }).value;
      view.setUint32(at, value, true);
      view.setUint32(at + 4, 0, true);
    }
    if (value < range.min) range.min = value;
    if (value > range.max) range.max = value;
    at += 8;
  }
  out.length = at;
}

function writeFloats(out: Output, values: Float64Array, valid: Uint8Array | null, rows: number) {
  out.room(rows * 8);
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    out.view.setFloat64(out.length, values[i]!, true);
    out.length += 8;
  }
}

function writeTexts(out: Output, column: BatchColumn & { kind: 'text' }, rows: number): void {
  const { bytes, starts, ends, valid } = column;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const start = starts[i]!;
    const length = ends[i]! - start;
    out.room(4 + length);
    out.view.setUint32(out.length, length, true);
    out.bytes.set(bytes.subarray(start, start + length), out.length + 4);
    out.length += 4 + length;
  }
}

function statistics(range: Range, nulls: number): ThriftStruct {
  const stats: ThriftStruct = [field(3, T_I64, nulls)];
  if (range.min > range.max) return stats;
  const int64 = (value: number): Uint8Array => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
    return bytes;
  };
  stats.push(field(5, T_BINARY, int64(range.max)), field(6, T_BINARY, int64(range.min)));
  return stats;
}

function pageHeader(rows: number, pageBytes: number): Uint8Array {
  const writer = new ThriftWriter();
  writer.struct([
    field(1, T_I32, PAGE_DATA),
    field(2, T_I32, pageBytes),
    field(3, T_I32, pageBytes),
    field(5, T_STRUCT, [
      field(1, T_I32, rows),
      field(2, T_I32, ENCODING_PLAIN),
      field(3, T_I32, ENCODING_RLE),
      field(4, T_I32, ENCODING_RLE),
    ]),
  ]);
  return writer.bytes();
}

/** Writes one column's page; returns its ColumnChunk. */
function writeColumn(
  out: Output,
  page: Output,
  schema: TableColumn,
  column: BatchColumn,
  rows: number,
): ThriftStruct {
  page.length = 0;
  const valid = validOf(column);
  const nulls = countNulls(valid, rows);
  const range: Range = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  writeLevels(page, valid, rows, nulls);
  if (column.kind === 'text') writeTexts(page, column, rows);
  else if (column.kind === 'float') writeFloats(page, column.values, column.valid, rows);
  else writeInts(page, column, rows, nulls, range);
  const offset = out.length;
  out.append(pageHeader(rows, page.length));
  out.append(page.bytes.subarray(0, page.length));
  const chunkBytes = out.length - offset;
  const meta: ThriftStruct = [
    field(1, T_I32, PHYSICAL[schema.type]),
    field(2, T_LIST, list(T_I32, [ENCODING_PLAIN, ENCODING_RLE])),
    field(3, T_LIST, list(T_BINARY, [textValue(schema.name)])),
    field(4, T_I32, CODEC_NONE),
    field(5, T_I64, rows),
    field(6, T_I64, chunkBytes),
    field(7, T_I64, chunkBytes),
    field(9, T_I64, offset),
    field(12, T_STRUCT, statistics(range, nulls)),
  ];
  return [field(2, T_I64, 0), field(3, T_STRUCT, meta)];
}

/** A whole Parquet file of these rows (at least one). */
export function encodeParquet(table: Table, batch: Batch): Uint8Array {
  const out = new Output();
  const page = new Output();
  out.append(MAGIC_BYTES);
  const chunks: ThriftStruct[] = [];
  for (let i = 0; i < table.columns.length; i++) {
    chunks.push(writeColumn(out, page, table.columns[i]!, batch.columns[i]!, batch.rowCount));
  }
  const dataBytes = out.length - MAGIC_BYTES.length;
  const rowGroup: ThriftStruct = [
    field(1, T_LIST, list(T_STRUCT, chunks)),
    field(2, T_I64, dataBytes),
    field(3, T_I64, batch.rowCount),
    field(5, T_I64, MAGIC_BYTES.length),
    field(6, T_I64, dataBytes),
  ];
  appendFooter(out, [
    field(1, T_I32, 1),
    field(2, T_LIST, list(T_STRUCT, schemaOf(table))),
    field(3, T_I64, batch.rowCount),
    field(4, T_LIST, list(T_STRUCT, [rowGroup])),
    field(6, T_BINARY, textValue('Millrace')),
    field(
      7,
      T_LIST,
      list(
        T_STRUCT,
        table.columns.map(() => [field(1, T_STRUCT, [])]),
      ),
    ),
  ]);
  return out.bytes.subarray(0, out.length);
}

function appendFooter(out: Output, metadata: ThriftStruct): void {
  out.append(footerBytes(metadata));
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
