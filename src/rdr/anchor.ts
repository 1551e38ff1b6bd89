/**
 * Anchor: a place in a broken stream where records can be read again.
 *
 * WHY      When the five prefix bytes of a frame are impossible, the reader has lost its place.
 *          Digits alone are everywhere in text, so a place to go on must hold more: the prefix
 *          (rule 1), the first bytes of every known tag, F0 F0 F? at 15..17, and fields that fill
 *          the frame exactly (rule 2). A record of an unknown tag is accepted in sync, never as a
 *          place to resync.
 * CUT      Bytes arrive in pieces. A place whose bytes so far fit, but are not all there yet, may
 *          still become an anchor: the search stops there and says "not yet", so that the answer
 *          does not depend on how the stream was cut (a test cuts it everywhere).
 * COST     Four digits in a row are required: one byte in four is looked at in other garbage.
 * REFUSED  A second frame behind the first as further proof: the last record of a stream has none.
 */
import {
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIXED_LENGTH,
  HEADER_BYTES,
  LENGTH_OFFSET,
  PREFIX_BYTES,
  TAG_OFFSET,
} from './constants.ts';
import { WELL_FORMED, walkFields } from './field.ts';
import { frameLength } from './frame.ts';

const EXCLUDED = 0;
const POSSIBLE = 1;
const ANCHOR = 2;

const DIGIT_ZERO = 0x30;
const TAG_BYTE = 0xf0;

/**
 * The next anchor in `start .. end`.
 *
 * `>= 0`: the offset of an anchor whose whole frame is there.
 * `< 0`: none yet. `~result` is the first offset that may still become one when more bytes arrive
 * (`end` when there is none): everything before it is garbage, everything from it must be kept.
 * At the end of a stream, search again from `~result + 1`: that place never got its bytes.
 */
export function findAnchor(bytes: Uint8Array, view: DataView, start: number, end: number): number {
  let at = start;
  const lastDigit = LENGTH_OFFSET + 3;
  while (at < end) {
    // A byte that is no digit rules out the four places that would need a digit there.
    if (at + lastDigit < end && (bytes[at + lastDigit]! - DIGIT_ZERO) >>> 0 > 9) {
      at += 4;
      continue;
    }
    const verdict = judge(bytes, view, at, end);
    if (verdict === ANCHOR) return at;
    if (verdict === POSSIBLE) return ~at;
    at++;
  }
  return ~end;
}

/** Is there an anchor at `at`, can there be one, or not? Only bytes before `end` are read. */
function judge(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  const have = end - at;
  if (have < PREFIX_BYTES) {
    for (let i = LENGTH_OFFSET; i < have; i++) {
      if ((bytes[at + i]! - DIGIT_ZERO) >>> 0 > 9) return EXCLUDED;
    }
    return POSSIBLE;
  }
  const length = frameLength(bytes, at);
  if (length < 0) return EXCLUDED;
  if (have > TAG_OFFSET && bytes[at + TAG_OFFSET] !== TAG_BYTE) return EXCLUDED;
  if (have > TAG_OFFSET + 1 && bytes[at + TAG_OFFSET + 1] !== TAG_BYTE) return EXCLUDED;
  if (have > TAG_OFFSET + 2 && (bytes[at + TAG_OFFSET + 2]! & TAG_BYTE) !== TAG_BYTE) {
    return EXCLUDED;
  }
  if (have < HEADER_BYTES) return POSSIBLE;
  if (have >= length) {
    return walkFields(bytes, view, at, length) === WELL_FORMED ? ANCHOR : EXCLUDED;
  }
  return canFill(bytes, view, at, length, have) ? POSSIBLE : EXCLUDED;
}

/** The fields so far leave room for the others, and the frame can still be filled exactly. */
function canFill(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  have: number,
): boolean {
  const end = offset + length;
  const readable = offset + have;
  let left = bytes[offset + FIELD_COUNT_OFFSET]!;
  let at = offset + HEADER_BYTES;
  while (left > 0 && at + FIELD_HEADER_BYTES <= readable) {
    const room = end - at - FIELD_HEADER_BYTES * left;
    const valueBytes = view.getInt32(at + 1);
    if (valueBytes < 0 || valueBytes > room) return false;
    const fixed = FIXED_LENGTH[bytes[at]!]!;
    if (fixed !== 0 && fixed !== valueBytes) return false;
    at += FIELD_HEADER_BYTES + valueBytes;
    left--;
  }
  return left === 0 ? at === end : end - at >= FIELD_HEADER_BYTES * left;
}
