/**
 * Generic decoder: one record of any layout into columns, field by field.
 *
 * WHY     It is the reference that generated decoders are compared with, and what decodes layouts
 *         beyond the 64 that get a decoder of their own.
 * RULES   1. The type byte on the wire decides how a value is read, never the catalogue.
 *         2. A value that does not fit its column's kind is NULL there, stands in `extra`, and is
 *         counted
 *            as a misfit. Integers of any width, and BOOLEAN, fit int; FLOAT and integers fit
 *            float; STRING fits text.
 *         3. Fewer fields than columns: NULL. More: `extra`, counted as surplus.
 */
import type { Column, RecordColumns, TextColumn } from './columns.ts';
import {
  DESTINATION_IP_SAMPLE_OFFSET,
  DESTINATION_PORT_OFFSET,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  FLOW_CONTEXT_ID_OFFSET,
  HEADER_BYTES,
  PREFIX_BYTES,
  PROCESSOR_ID_OFFSET,
  SOURCE_IP_SAMPLE_OFFSET,
  SOURCE_PORT_OFFSET,
} from './constants.ts';
import { appendExtra, EXTRA_BYTES_MAX, integerAt, isIntegerType, writeExtra } from './extra.ts';
import { scanTextFlags } from './text.ts';

/** Does a value of this wire type have a place in a column of this kind? */
export function fits(kind: Column['kind'], type: number): boolean {
  switch (kind) {
    case 'int':
      return isIntegerType(type);
    case 'text':
      return type === FIELD_TYPE.STRING;
    case 'float':
      return type === FIELD_TYPE.FLOAT || isIntegerType(type);
  }
}

/**
 * Appends the well-formed frame of `length` bytes at `offset` as a row. False when a text heap has
 * no room: the columns are then marked as full, nothing was appended, and the caller tries again
 * after they were taken.
 */
export function decodeGeneric(
  columns: RecordColumns,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  recordIndex: number,
): boolean {
  if (columns.rowCount === columns.capacity) return false;
  if (!hasTextRoom(columns, length)) {
    columns.isTextFull = true;
    return false;
  }
  const row = columns.rowCount;
  writeHeader(columns, view, row, offset, length);
  columns.recordIndex[row] = recordIndex;
  const fieldCount = view.getUint8(offset + FIELD_COUNT_OFFSET);
  let at = offset + HEADER_BYTES;
  let extra = '';
  for (let i = 0; i < fieldCount; i++) {
    const type = view.getUint8(at);
    const valueBytes = view.getUint32(at + 1);
    at += FIELD_HEADER_BYTES;
    const column = columns.fields[i];
    if (column !== undefined && fits(column.kind, type)) {
      writeValue(column, row, bytes, view, type, at, valueBytes);
    } else {
      if (column !== undefined) {
        writeNull(column, row);
        columns.misfitCount++;
      } else {
        columns.surplusCount++;
      }
      extra = appendExtra(extra, bytes, view, i, type, at, valueBytes);
    }
    at += valueBytes;
  }
  for (let i = fieldCount; i < columns.fields.length; i++) writeNull(columns.fields[i]!, row);
  writeExtra(columns, row, extra);
  columns.rowCount = row + 1;
  return true;
}

function hasTextRoom(columns: RecordColumns, need: number): boolean {
  for (const column of columns.fields) {
    if (column.kind === 'text' && !column.reserve(column.byteCount, need)) return false;
  }
  return columns.extra.reserve(columns.extra.byteCount, EXTRA_BYTES_MAX);
}

function writeHeader(
  columns: RecordColumns,
  view: DataView,
  row: number,
  offset: number,
  length: number,
): void {
  const header = columns.header;
  header.processorId[row] = view.getUint8(offset + PROCESSOR_ID_OFFSET);
  header.length[row] = length - PREFIX_BYTES;
  header.sourceIpSample[row] = view.getUint8(offset + SOURCE_IP_SAMPLE_OFFSET);
  header.destinationIpSample[row] = view.getUint8(offset + DESTINATION_IP_SAMPLE_OFFSET);
  header.sourcePort[row] = view.getUint16(offset + SOURCE_PORT_OFFSET);
  header.destinationPort[row] = view.getUint16(offset + DESTINATION_PORT_OFFSET);
  header.flowContextId[row] = view.getUint32(offset + FLOW_CONTEXT_ID_OFFSET);
  header.fieldCount[row] = view.getUint8(offset + FIELD_COUNT_OFFSET);
}

function writeValue(
  column: Column,
  row: number,
  bytes: Uint8Array,
  view: DataView,
  type: number,
  at: number,
  length: number,
): void {
  if (column.kind === 'text') {
    writeText(column, row, bytes, at, length);
    return;
  }
  const isFloat = type === FIELD_TYPE.FLOAT;
  const value = isFloat ? view.getFloat32(at) : integerAt(view, type, at);
  if (column.kind === 'float') {
    column.values[row] = value;
  } else {
    column.words[2 * row] = value;
    column.words[2 * row + 1] = value < 0 ? -1 : 0;
    if (value < 0) column.hasHighWords = true;
  }
}

function writeText(
  column: TextColumn,
  row: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  const to = column.byteCount;
  for (let i = 0; i < length; i++) column.bytes[to + i] = bytes[at + i]!;
  column.byteCount = to + length;
  column.ends[row] = column.byteCount;
  column.flags |= scanTextFlags(column.bytes, to, column.byteCount);
}

function writeNull(column: Column, row: number): void {
  column.valid[row] = 0;
  column.nullCount++;
  if (column.kind === 'text') column.ends[row] = column.byteCount;
}
