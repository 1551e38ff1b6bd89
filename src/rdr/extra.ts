/**
 * Extra: what a record holds beyond its columns, as JSON, so that nothing is lost.
 *
 * WHY      Releases append fields, and types on the wire may differ from what the catalogue
 *          believes. Such values are kept beside the row instead of breaking the schema of its
 *          table.
 * FORMAT   A JSON list of [index, type, value], one per field, in wire order: index from 0, type
 *          the code on the wire, value by that code: integers and BOOLEAN a number, FLOAT a number
 *          (or "NaN", "Infinity", "-Infinity"), STRING text escaped as text.ts says, other codes
 *          the bytes in hex.
 * COST     Not the normal path: this makes garbage.
 */
import { assert } from '../toolkit/base/assert.ts';
import type { RecordColumns } from './columns.ts';
import { FIELD_TYPE, FRAME_BYTES_MAX } from './constants.ts';
import { decodeText, scanTextFlags } from './text.ts';

/** Upper bound of one row's JSON: at most six bytes (`\u0000`) for each of a frame, and slack. */
export const EXTRA_BYTES_MAX = 7 * FRAME_BYTES_MAX;

const utf8 = new TextEncoder();

/** The integer of a field of integer type or BOOLEAN at `at` (signed or not as its type says). */
export function integerAt(view: DataView, type: number, at: number): number {
  switch (type) {
    case FIELD_TYPE.INT8:
      return view.getInt8(at);
    case FIELD_TYPE.INT16:
      return view.getInt16(at);
    case FIELD_TYPE.INT32:
      return view.getInt32(at);
    case FIELD_TYPE.UINT16:
      return view.getUint16(at);
    case FIELD_TYPE.UINT32:
      return view.getUint32(at);
    default:
      return view.getUint8(at);
  }
}

export function isIntegerType(type: number): boolean {
  return (type >= FIELD_TYPE.INT8 && type <= FIELD_TYPE.UINT32) || type === FIELD_TYPE.BOOLEAN;
}

/** Value of a field as the file head says: what `extra` holds, and what RdrReader shows. */
export function fieldValue(
  bytes: Uint8Array,
  view: DataView,
  type: number,
  at: number,
  length: number,
): number | string {
  if (isIntegerType(type)) return integerAt(view, type, at);
  if (type === FIELD_TYPE.STRING) return decodeText(bytes, at, at + length);
  if (type === FIELD_TYPE.FLOAT) return view.getFloat32(at);
  let hex = '';
  for (let i = 0; i < length; i++) hex += bytes[at + i]!.toString(16).padStart(2, '0');
  return hex;
}

/** `text` with one more field; begin with ''. */
export function appendExtra(
  text: string,
  bytes: Uint8Array,
  view: DataView,
  index: number,
  type: number,
  at: number,
  length: number,
): string {
  let value = fieldValue(bytes, view, type, at, length);
  if (typeof value === 'number' && !Number.isFinite(value)) value = String(value);
  return `${text === '' ? '[' : `${text},`}[${index},${type},${JSON.stringify(value)}]`;
}

/** Ends the JSON and makes it the `extra` of `row`; '' leaves NULL. Room was reserved before. */
export function writeExtra(columns: RecordColumns, row: number, text: string): void {
  const extra = columns.extra;
  if (text === '') {
    extra.nullCount++;
  } else {
    const from = extra.byteCount;
    const { written } = utf8.encodeInto(`${text}]`, extra.bytes.subarray(from));
    extra.byteCount = from + written;
    assert(extra.byteCount < extra.bytes.length, 'the JSON of a row is within its bound');
    extra.flags |= scanTextFlags(extra.bytes, from, extra.byteCount);
    extra.valid[row] = 1;
  }
  extra.ends[row] = extra.byteCount;
}
