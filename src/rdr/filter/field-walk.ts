/**
 * Field walk: from one field of a frame to another behind it, without trusting a byte.
 *
 * RULES    What walkFields calls malformed ends the walk: a field header or a value that reaches
 *          beyond the frame, or a length that its type cannot have. That field, and all behind it,
 *          are absent. Bytes behind the last field hurt nobody.
 */
import { FIELD_HEADER_BYTES, FIELD_TYPE, FIXED_LENGTH } from '../constants.ts';

/**
 * Passes `gap` fields from `at` on. Returns where the header of the field behind them stands, whose
 * value then lies within the frame; or -1. `end` is the frame's end. The caller has looked whether
 * the frame says that it has so many fields.
 */
export function fieldAt(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  gap: number,
): number {
  let here = at;
  for (let left = gap; ; left--) {
    const room = end - here - FIELD_HEADER_BYTES;
    if (room < 0) return -1;
    // Signed on purpose: a length of 2^31 and more is negative and too long, too.
    const length = view.getInt32(here + 1);
    if (length < 0 || length > room) return -1;
    const fixed = FIXED_LENGTH[bytes[here]!]!;
    if (fixed !== 0 && fixed !== length) return -1;
    if (left === 0) return here;
    here += FIELD_HEADER_BYTES + length;
  }
}

/** The number of a field whose value begins at `at`; NaN when its type is none of a number. */
export function numberAt(view: DataView, type: number, at: number): number {
  switch (type) {
    case FIELD_TYPE.UINT32:
      return view.getUint32(at);
    case FIELD_TYPE.UINT16:
      return view.getUint16(at);
    case FIELD_TYPE.UINT8:
    case FIELD_TYPE.BOOLEAN:
      return view.getUint8(at);
    case FIELD_TYPE.INT32:
      return view.getInt32(at);
    case FIELD_TYPE.INT16:
      return view.getInt16(at);
    case FIELD_TYPE.INT8:
      return view.getInt8(at);
    case FIELD_TYPE.FLOAT:
      return view.getFloat32(at);
    default:
      return Number.NaN;
  }
}

/** Is the text `bytes[at .. at + length)` this one? */
export function isText(bytes: Uint8Array, at: number, length: number, text: Uint8Array): boolean {
  if (length !== text.length) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** Order of the text `bytes[at .. at + length)` and another, by bytes: below 0, 0, above 0. */
export function compareText(
  bytes: Uint8Array,
  at: number,
  length: number,
  text: Uint8Array,
): number {
  const both = Math.min(length, text.length);
  for (let i = 0; i < both; i++) {
    const difference = bytes[at + i]! - text[i]!;
    if (difference !== 0) return difference;
  }
  return length - text.length;
}
