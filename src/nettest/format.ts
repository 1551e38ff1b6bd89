/**
 * Message format of nettest: what xmit sends and recv checks, the same on the wire as the nettest
 * programs of J. Axboe's splice tests (state of 2010) on a 64-bit little-endian machine.
 *
 * WHY        Whoever has the old programs can put ours at either end and compare.
 * LAYOUT     A stream is messages of one fixed size, one behind the other:
 *
 *              offset  bytes  name
 *                   0      8  message size with this header, u64 little endian
 *                   8      8  checksum of the payload, u64 little endian (crc.ts)
 *                  16      n  payload
 *
 * INVARIANTS 1. every message of a stream has the size that both sides were told (-s)
 *            2. the checksum covers the payload only
 *            3. nothing else is on the stream: no greeting, no end mark.
 * REFUSED    Framing by the size field: a field that lies would move every later message. The size
 *            is known, so a bad field costs one message (recv --keep-going).
 */

export const HEADER_BYTES = 16;
/**
 * Above it a message would not fit the 32-bit lengths of system calls; far below it in practice.
 */
export const MESSAGE_BYTES_MAX = 1024 ** 3;

/**
 * What recv --ack sends back: how many bytes it has checked, u64 little endian. No part of the old
 * programs' format.
 */
export const ACK_BYTES = 8;

const SIZE_OFFSET = 0;
const CRC_OFFSET = 8;
const HIGH_WORD_BYTES = 4;

/** Writes the header of a message at `offset`; `crc` is [low, high]. */
export function writeHeader(
  view: DataView,
  offset: number,
  messageBytes: number,
  crc: Uint32Array,
): void {
  view.setUint32(offset + SIZE_OFFSET, messageBytes, true);
  view.setUint32(offset + SIZE_OFFSET + HIGH_WORD_BYTES, 0, true);
  view.setUint32(offset + CRC_OFFSET, crc[0]!, true);
  view.setUint32(offset + CRC_OFFSET + HIGH_WORD_BYTES, crc[1]!, true);
}

/** True when the size field at `offset` says `messageBytes`. */
export function hasLength(view: DataView, offset: number, messageBytes: number): boolean {
  return (
    view.getUint32(offset + SIZE_OFFSET, true) === messageBytes &&
    view.getUint32(offset + SIZE_OFFSET + HIGH_WORD_BYTES, true) === 0
  );
}

/** The size field as it stands, for a message to people. */
export function readLength(view: DataView, offset: number): bigint {
  return view.getBigUint64(offset + SIZE_OFFSET, true);
}

/** True when the checksum field at `offset` equals `crc`, [low, high]. */
export function hasCrc(view: DataView, offset: number, crc: Uint32Array): boolean {
  return (
    view.getUint32(offset + CRC_OFFSET, true) === crc[0]! &&
    view.getUint32(offset + CRC_OFFSET + HIGH_WORD_BYTES, true) === crc[1]!
  );
}

/** The checksum field as it stands, for a message to people. */
export function readCrc(view: DataView, offset: number): bigint {
  return view.getBigUint64(offset + CRC_OFFSET, true);
}
