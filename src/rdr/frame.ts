/**
 * Frame: how long a record is. Five bytes tell it, and nothing else of the record is looked at.
 */
import { LENGTH_MIN, LENGTH_OFFSET, PREFIX_BYTES } from './constants.ts';

/** The four length bytes are not digits, or say less than the rest of the header. */
export const BAD_PREFIX = -1;

const ZERO = 0x30;

/**
 * Bytes of the whole frame at `offset` (20..10,004), or BAD_PREFIX. The caller guarantees that five
 * bytes are readable; whether the rest of the frame is there is the caller's question.
 */
export function frameLength(bytes: Uint8Array, offset: number): number {
  const a = bytes[offset + LENGTH_OFFSET]! - ZERO;
  const b = bytes[offset + LENGTH_OFFSET + 1]! - ZERO;
  const c = bytes[offset + LENGTH_OFFSET + 2]! - ZERO;
  const d = bytes[offset + LENGTH_OFFSET + 3]! - ZERO;
  if (a >>> 0 > 9 || b >>> 0 > 9 || c >>> 0 > 9 || d >>> 0 > 9) return BAD_PREFIX;
  const value = a * 1000 + b * 100 + c * 10 + d;
  return value < LENGTH_MIN ? BAD_PREFIX : PREFIX_BYTES + value;
}
