/**
 * Stamped messages: every 4 KiB says which connection, message and life of a page it belongs to.
 *
 * WHY         A page that is written again too early arrives with a right TCP checksum. The stamp
 *             shows it, and tells it from noise: it names the generation that was seen.
 * LAYOUT      A message is cut into pieces of 4 KiB from its start; each piece:
 *                 [ connection | sequence | piece | generation | crc32 | filler ... ]   u32 each
 *             crc32 is of all but itself. A piece of less than 20 bytes is a hash of the same.
 */
import { crc32 } from 'node:zlib';

export const PIECE_BYTES = 4096;
const CRC_OFFSET = 16;
const STAMP_BYTES = 20;
const FINDINGS_MAX = 5;
/** With how many later messages a short piece is compared. */
const LATER_MESSAGES = 4096;

export interface Stamp {
  readonly connection: number;
  readonly sequence: number;
  readonly generation: number;
}

function mix(a: number, b: number): number {
  const z = Math.imul((a ^ b) + 0x9e3779b9, 0x21f0aaad);
  return Math.imul(z ^ (z >>> 15), 0x735a2d97) ^ (z >>> 13);
}

function shortByte(stamp: Stamp, piece: number, at: number): number {
  const seed = mix(mix(stamp.connection, stamp.sequence), mix(piece, stamp.generation));
  return mix(seed, at) & 0xff;
}

function crcOf(bytes: Uint8Array, offset: number, length: number): number {
  const head = crc32(bytes.subarray(offset, offset + CRC_OFFSET));
  return crc32(bytes.subarray(offset + STAMP_BYTES, offset + length), head);
}

/** Writes a message of `length` bytes at `offset`. */
export function stampMessage(
  bytes: Uint8Array,
  offset: number,
  length: number,
  stamp: Stamp,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0, piece = 0; start < length; start += PIECE_BYTES, piece++) {
    const at = offset + start;
    const size = Math.min(PIECE_BYTES, length - start);
    if (size < STAMP_BYTES) {
      for (let i = 0; i < size; i++) bytes[at + i] = shortByte(stamp, piece, i);
      continue;
    }
    view.setUint32(at, stamp.connection);
    view.setUint32(at + 4, stamp.sequence);
    view.setUint32(at + 8, piece);
    view.setUint32(at + 12, stamp.generation);
    bytes.fill(mix(stamp.sequence, stamp.generation + piece), at + STAMP_BYTES, at + size);
    view.setUint32(at + CRC_OFFSET, crcOf(bytes, at, size));
  }
}

export interface StreamFindings {
  bytes: number;
  /** Pieces of up to 4 KiB that were compared. */
  pieces: number;
  corrupt: number;
  /** Of those: pieces that show a later life of their page. */
  rewritten: number;
  /** The first few, in words. */
  readonly words: string[];
}

/** Reads a stream of messages of one size, in any portions, against what was sent. */
export class StreamChecker {
  readonly findings: StreamFindings = { bytes: 0, pieces: 0, corrupt: 0, rewritten: 0, words: [] };
  readonly #messageBytes: number;
  readonly #stamps: readonly Stamp[];
  readonly #piece = Buffer.alloc(PIECE_BYTES);
  #filled = 0;

  /** `stamps`: of each message in the order of the stream; it may grow meanwhile. */
  constructor(messageBytes: number, stamps: readonly Stamp[]) {
    this.#messageBytes = messageBytes;
    this.#stamps = stamps;
  }

  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const inMessage = (this.findings.bytes - this.#filled) % this.#messageBytes;
      const size = Math.min(PIECE_BYTES, this.#messageBytes - inMessage);
      const taken = Math.min(size - this.#filled, bytes.length - at);
      this.#piece.set(bytes.subarray(at, at + taken), this.#filled);
      at += taken;
      this.#filled += taken;
      this.findings.bytes += taken;
      if (this.#filled < size) return;
      this.#check(Math.floor((this.findings.bytes - size) / this.#messageBytes), inMessage, size);
      this.#filled = 0;
    }
  }

  #check(message: number, inMessage: number, size: number): void {
    const piece = inMessage / PIECE_BYTES;
    this.findings.pieces++;
    const stamp = this.#stamps[message];
    if (stamp === undefined) this.#find(`message ${message} was never sent`, false);
    else if (size < STAMP_BYTES) this.#checkShort(message, stamp, piece, size);
    else this.#checkLong(stamp, piece, size);
  }

  #checkShort(message: number, stamp: Stamp, piece: number, size: number): void {
    const isOf = (one: Stamp) => {
      for (let i = 0; i < size; i++) if (this.#piece[i] !== shortByte(one, piece, i)) return false;
      return true;
    };
    if (isOf(stamp)) return;
    // One byte fits by chance to one stamp in 256: that a later one fits is a hint, no more.
    const later = this.#stamps
      .slice(message + 1, message + 1 + LATER_MESSAGES)
      .find((one) => isOf(one));
    this.#find(
      `message ${stamp.sequence}: ${size} bytes of message ${later?.sequence} instead`,
      later !== undefined,
    );
  }

  #checkLong(stamp: Stamp, piece: number, size: number): void {
    const bytes = this.#piece;
    const [connection, sequence, seenPiece, generation] = [0, 4, 8, 12].map((at) =>
      bytes.readUInt32BE(at),
    );
    const isWhole = bytes.readUInt32BE(CRC_OFFSET) === crcOf(bytes, 0, size);
    const expected = stamp.generation >>> 0;
    const isRight =
      isWhole &&
      connection === stamp.connection &&
      sequence === stamp.sequence &&
      seenPiece === piece &&
      generation === expected;
    if (isRight) return;
    const isLater = sequence! > stamp.sequence && sequence! <= this.#stamps.at(-1)!.sequence;
    this.#find(
      `message ${stamp.sequence} piece ${piece} of connection ${stamp.connection}: expected ` +
        `generation ${expected}, saw ${generation} of message ${sequence} piece ${seenPiece} ` +
        `of connection ${connection}, CRC ${isWhole ? 'right' : 'wrong'}`,
      isLater,
    );
  }

  #find(words: string, isRewritten: boolean): void {
    this.findings.corrupt++;
    if (isRewritten) this.findings.rewritten++;
    if (this.findings.words.length < FINDINGS_MAX) this.findings.words.push(words);
  }
}
