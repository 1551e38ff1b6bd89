/**
 * Garbage: bytes between records that a collector must skip, and whose count it must get right.
 *
 * WHY         Totals are exact only if nothing in a run of garbage, and nothing across its end into
 *             the next record, can be taken for a record.
 * GUARANTEE   A place q is an anchor only if q+1 .. q+4 are digits and q+15, q+16 are F0 F0 (and
 *             more).
 *             1. The first place is no frame: byte 1 is no digit (or the digits say less than 15).
 *             2. No two F0 stand together, except at 15, 16 of an image whose digits are broken or
 *                whose first field overruns any frame, so no place whose F0 F0 lies inside is one.
 *             3. The last 20 bytes hold no digit, so no place whose F0 F0 lies in the next record
 *                is one.
 *             4. The record that follows starts with a processor id below 16, which is no digit,
 *                has a known tag and well-formed fields: every reader finds its place there.
 *             A run shorter than 20 bytes holds no digit at all.
 */
import { FIELD_TYPE, FRAME_BYTES_MIN } from '../rdr/index.ts';
import type { Prng } from '../toolkit/base/prng.ts';

/** What a run of garbage is made of. */
export const GARBAGE_NAMES = [
  'random_bytes',
  'text_lines',
  'zeros',
  'length_not_digits',
  'length_too_small',
  'near_anchor',
  'short_run',
] as const;

export const GARBAGE_BYTES_MAX = 1024;

const QUIET_TAIL_BYTES = 20;
const SHORT_RUN_MAX = 19;
const PAIR = 0xf0;

const LINES = new TextEncoder().encode(
  'GET /status HTTP/1.1\r\nHost: 10.0.0.1:33000\r\nUser-Agent: probe/1.0\r\n\r\n' +
    '<134>Jan  1 00:00:00 sce-1 rdr: 0242 0100 9999 records\n',
);

/** Writes a run of garbage of a kind (index of GARBAGE_NAMES) at `offset`: its bytes. */
export function writeGarbage(bytes: Uint8Array, offset: number, kind: number, prng: Prng): number {
  let length = FRAME_BYTES_MIN + QUIET_TAIL_BYTES + prng.below(GARBAGE_BYTES_MAX - 240);
  switch (GARBAGE_NAMES[kind]) {
    case 'text_lines': {
      const phase = prng.below(LINES.length);
      for (let i = 0; i < length; i++) bytes[offset + i] = LINES[(phase + i) % LINES.length]!;
      break;
    }
    case 'zeros':
      bytes.fill(0, offset, offset + length);
      break;
    case 'length_not_digits':
      writeImage(bytes, offset, length, prng);
      bytes[offset + 1 + prng.below(4)] = 0x3a + prng.below(0x20);
      return finish(bytes, offset, length, true);
    case 'length_too_small':
      writeImage(bytes, offset, length, prng);
      writeDigits(bytes, offset, prng.below(15));
      return finish(bytes, offset, length, true);
    case 'near_anchor':
      return writeNearAnchor(bytes, offset, length, prng);
    case 'short_run':
      length = 1 + prng.below(SHORT_RUN_MAX);
      writeRandom(bytes, offset, length, prng);
      break;
    default:
      writeRandom(bytes, offset, length, prng);
  }
  return finish(bytes, offset, length, false);
}

/**
 * A frame as it should be, but its first field is longer than any frame can be. It stands inside
 * the run, so that the whole of it is known before the next record starts.
 */
function writeNearAnchor(bytes: Uint8Array, offset: number, length: number, prng: Prng): number {
  writeRandom(bytes, offset, length, prng);
  const front = 2 + prng.below(8);
  const image = offset + front;
  const room = length - front - QUIET_TAIL_BYTES;
  finish(bytes, offset, length, false);
  if (room < FRAME_BYTES_MIN + 5) return length;
  writeImage(bytes, image, room, prng);
  // One byte more: a pair may lie across the end of the image.
  silencePairs(bytes, image, room + 1, image + 15);
  writeDigits(bytes, image, room - 5);
  bytes[image + 19] = 1;
  bytes[image + 20] = FIELD_TYPE.STRING;
  bytes[image + 21] = 0x80 | prng.below(0x70);
  return length;
}

/** Random bytes with the prefix and the tag of a Transaction Usage record over them. */
function writeImage(bytes: Uint8Array, offset: number, length: number, prng: Prng): void {
  writeRandom(bytes, offset, length, prng);
  bytes[offset] = prng.below(12);
  writeDigits(bytes, offset, length - 5);
  bytes[offset + 14] = 0;
  bytes[offset + 15] = PAIR;
  bytes[offset + 16] = PAIR;
  bytes[offset + 17] = 0xf4;
  bytes[offset + 18] = 0x38;
}

function writeDigits(bytes: Uint8Array, offset: number, value: number): void {
  let rest = value;
  for (let i = 4; i >= 1; i--) {
    bytes[offset + i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

function writeRandom(bytes: Uint8Array, offset: number, length: number, prng: Prng): void {
  for (let i = 0; i < length; i++) bytes[offset + i] = prng.nextU32() >>> 24;
}

/** Makes the guarantee true for a run whose only allowed F0 F0 is at 15 (an image at its start). */
function finish(bytes: Uint8Array, offset: number, length: number, hasImage: boolean): number {
  silencePairs(bytes, offset, length, hasImage ? offset + 15 : -1);
  // The image keeps its digits: one of them is broken, or their value is below 15.
  const quietFrom = Math.max(offset + (hasImage ? 5 : 0), offset + length - QUIET_TAIL_BYTES);
  for (let i = quietFrom; i < offset + length; i++) {
    if (isDigit(bytes[i]!)) bytes[i] = bytes[i]! + 0x31;
  }
  if (!hasImage && length > 1 && isDigit(bytes[offset + 1]!)) bytes[offset + 1] = 0x2d;
  return length;
}

/** Breaks every F0 F0 except the one at `allowedAt`. */
function silencePairs(bytes: Uint8Array, offset: number, length: number, allowedAt: number): void {
  for (let i = offset; i + 1 < offset + length; i++) {
    if (i !== allowedAt && bytes[i] === PAIR && bytes[i + 1] === PAIR) bytes[i + 1] = 0xe1;
  }
}

function isDigit(value: number): boolean {
  return value >= 0x30 && value <= 0x39;
}
