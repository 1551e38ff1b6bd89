/**
 * Text escaping: any bytes to valid UTF-8 and back, without loss.
 *
 * WHY         Parquet text must be UTF-8; SCE strings are bytes that some subscriber's device
 *             chose.
 * FORMAT      A backslash is stored as two. A byte that is not part of a valid UTF-8 sequence is
 *             stored as `\xHH` (lower-case hex). Everything else, NUL and line ends included,
 *             stays. As the backslash is always doubled, `\x` can only come from this function.
 *             The inverse is `encodeText` of rdr, whose `decodeText` gives the same text by the
 *             value; here whole columns are rewritten without making strings.
 * REFUSED     U+FFFD (loses the bytes); base64 (unreadable for the 99.99 % that is text).
 */

const BACKSLASH = 0x5c;
const LETTER_X = 0x78;
const HEX = '0123456789abcdef';
const HEX_BYTES = new Uint8Array(16);
for (let i = 0; i < 16; i++) HEX_BYTES[i] = HEX.charCodeAt(i);

/** What a pass over a column has seen. */
export interface EscapeCounts {
  /** Values that held at least one invalid byte. */
  invalidValues: number;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Length (1..4) of the valid UTF-8 sequence at `at`, or 0 when there is none (RFC 3629). */
export function utf8Length(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const second = at + 1 < end ? bytes[at + 1] : undefined;
  if (first < 0xc2 || first > 0xf4 || !isContinuation(second)) return 0;
  if (first < 0xe0) return 2;
  const third = at + 2 < end ? bytes[at + 2] : undefined;
  if (!isContinuation(third)) return 0;
  if (first < 0xf0) {
    if (first === 0xe0 && second! < 0xa0) return 0;
    if (first === 0xed && second! > 0x9f) return 0;
    return 3;
  }
  if (first === 0xf0 && second! < 0x90) return 0;
  if (first === 0xf4 && second! > 0x8f) return 0;
  return isContinuation(at + 3 < end ? bytes[at + 3] : undefined) ? 4 : 0;
}

/**
 * Escapes bytes[start, end) into `out` at `to`; `out` must have room for 4 bytes per byte.
 * Returns the new end in `out`.
 */
export function escapeBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  to: number,
  counts: EscapeCounts,
): number {
  let write = to;
  let isInvalid = false;
  for (let at = start; at < end; ) {
    const byte = bytes[at]!;
    if (byte < 0x80) {
      if (byte === BACKSLASH) out[write++] = BACKSLASH;
      out[write++] = byte;
      at++;
      continue;
    }
    const length = utf8Length(bytes, at, end);
    if (length === 0) {
      isInvalid = true;
      out[write++] = BACKSLASH;
      out[write++] = LETTER_X;
      out[write++] = HEX_BYTES[byte >> 4]!;
      out[write++] = HEX_BYTES[byte & 15]!;
      at++;
      continue;
    }
    for (let i = 0; i < length; i++) out[write++] = bytes[at++]!;
  }
  if (isInvalid) counts.invalidValues++;
  return write;
}
