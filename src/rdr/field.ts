/**
 * Field walk: do the fields of a frame fill it exactly, and does each have a length its type
 * allows?
 *
 * WHY      The stream describes itself, so a record can be checked without the catalogue. A record
 *          that fails is skipped by its frame length; the stream goes on (rule 2 of the framing
 *          rules in docs/reference/rdrv1.md).
 * REASONS  The list is closed: names are labels of counters and values of
 *          `malformed_records.reason`.
 */
import { FIELD_COUNT_OFFSET, FIELD_HEADER_BYTES, FIXED_LENGTH, HEADER_BYTES } from './constants.ts';

export const WELL_FORMED = 0;

/** Why a record is malformed. 0 is kept for "it is not". */
export const MALFORMED = {
  /** The fields end before the frame does. */
  FIELDS_SHORT: 1,
  /** A field's length goes beyond the frame. */
  FIELD_OVERRUN: 2,
  /** A type of fixed size (integers, FLOAT, BOOLEAN) has another length. */
  FIXED_LENGTH: 3,
  /** The frame ends before `fieldCount` fields were found. */
  COUNT_HIGH: 4,
} as const;

export type MalformedReason = (typeof MALFORMED)[keyof typeof MALFORMED];

/** Reason code -> label. Index 0 is empty: a well-formed record has no reason. */
export const MALFORMED_NAMES = [
  '',
  'fields_short',
  'field_overrun',
  'fixed_length',
  'count_high',
] as const;

/**
 * Walks the fields of the frame of `length` bytes (>= 20, all readable) at `offset`. WELL_FORMED
 * (0), or the MALFORMED code of the first thing that is wrong. Unknown types are skipped by their
 * length. `bytes` and `view` are over the same memory, from its start.
 */
export function walkFields(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
): number {
  const end = offset + length;
  const count = bytes[offset + FIELD_COUNT_OFFSET]!;
  let at = offset + HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const room = end - at - FIELD_HEADER_BYTES;
    if (room < 0) return MALFORMED.COUNT_HIGH;
    // Signed on purpose: a length of 2^31 and more reads as negative and is an overrun, too.
    const valueBytes = view.getInt32(at + 1);
    if (valueBytes < 0 || valueBytes > room) return MALFORMED.FIELD_OVERRUN;
    const fixed = FIXED_LENGTH[bytes[at]!]!;
    if (fixed !== 0 && fixed !== valueBytes) return MALFORMED.FIXED_LENGTH;
    at += FIELD_HEADER_BYTES + valueBytes;
  }
  return at === end ? WELL_FORMED : MALFORMED.FIELDS_SHORT;
}
