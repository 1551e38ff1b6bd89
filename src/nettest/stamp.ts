/**
 * Stamps: every 4 KiB of a message says whose it is, so that a page which was rewritten while it
 * was in flight can be named, not only noticed.
 *
 * WHY        The checksum of a message says that something is wrong. A stamp says what the receiver
 *            saw instead: which message of which connection, and which generation of the page. A
 *            later generation means that the page was filled again too early.
 * LAYOUT     A chunk is the part of a message in one aligned run of 4,096 bytes (the first starts
 *            behind the header). At its start, little endian:
 *
 *              offset  bytes  name
 *                   0      4  crc         lower half of the CRC of the chunk behind this field
 *                   4      4  mark        COUNTED_MARK or FIXED_MARK
 *                   8      4  connection  number of the connection (fan-out: of the group)
 *                  12      4  sequence    number of the message on it, from 0, wrapping
 *                  16      4  generation  how often this page was filled
 *                  20      4  chunk       number of the chunk in the message
 *
 * INVARIANTS 1. a chunk shorter than a stamp carries none  2. all stamps of a message agree
 *            3. COUNTED: message n of a connection carries sequence n; FIXED: contents repeat.
 * REFUSED    Stamps in every stream: the old programs fill the payload themselves, and the plain
 *            format must stay theirs. So both sides are told (--stamp).
 */
import { MessageCrc } from './crc.ts';
import { HEADER_BYTES } from './format.ts';

export const CHUNK_BYTES = 4096;
export const STAMP_BYTES = 24;

const CRC_BYTES = 4;
/** "MRc1" and "MRf1". */
const COUNTED_MARK = 0x3163_524d;
const FIXED_MARK = 0x3166_524d;

/** What a stamp says. */
export interface Stamp {
  connection: number;
  sequence: number;
  generation: number;
  /** True: contents are sent again and again, sequences do not count up. */
  isFixed: boolean;
}

export function makeStamp(): Stamp {
  return { connection: 0, sequence: 0, generation: 0, isFixed: false };
}

/** What a chunk turned out to be. */
export const STAMP_GOOD = 0;
/** The chunk is whole, but belongs to another message or another fill of the page. */
export const STAMP_OTHER = 1;
/** Stamp and contents do not belong together. */
export const STAMP_TORN = 2;
/** There is no stamp where one should stand. */
export const STAMP_MISSING = 3;

/** Writes and checks the stamps of messages in one piece of memory. */
export class Stamper {
  readonly #view: DataView;
  readonly #crc: MessageCrc;
  readonly #sum = new Uint32Array(2);
  /** Of the chunk that check() stopped at: its number, and what its stamp says. */
  badChunk = 0;
  readonly seen: Stamp = makeStamp();

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#crc = new MessageCrc(bytes);
  }

  /** Stamps every chunk of the message at `offset`. */
  write(offset: number, messageBytes: number, stamp: Readonly<Stamp>): void {
    const view = this.#view;
    for (let chunk = 0; chunk * CHUNK_BYTES < messageBytes; chunk++) {
      const at = offset + chunkStart(chunk);
      const end = offset + chunkEnd(chunk, messageBytes);
      if (end - at < STAMP_BYTES) continue;
      view.setUint32(at + 4, stamp.isFixed ? FIXED_MARK : COUNTED_MARK, true);
      view.setUint32(at + 8, stamp.connection, true);
      view.setUint32(at + 12, stamp.sequence, true);
      view.setUint32(at + 16, stamp.generation, true);
      view.setUint32(at + 20, chunk, true);
      this.#crc.compute(at + CRC_BYTES, end - at - CRC_BYTES, this.#sum);
      view.setUint32(at, this.#sum[0]!, true);
    }
  }

  /** Reads the first stamp of a message into `seen`; false when there is none. */
  read(offset: number, messageBytes: number): boolean {
    if (messageBytes - HEADER_BYTES < STAMP_BYTES) return false;
    return this.#readAt(offset + HEADER_BYTES);
  }

  /**
   * Checks every chunk of a message against `want` (all but the generation, which must be the same
   * in all chunks). Returns STAMP_GOOD, or what the first bad chunk is; see badChunk and seen.
   */
  check(offset: number, messageBytes: number, want: Readonly<Stamp>): number {
    let generation = -1;
    for (let chunk = 0; chunk * CHUNK_BYTES < messageBytes; chunk++) {
      const at = offset + chunkStart(chunk);
      const end = offset + chunkEnd(chunk, messageBytes);
      if (end - at < STAMP_BYTES) continue;
      const verdict = this.#checkChunk(at, end, chunk, want, generation);
      if (verdict !== STAMP_GOOD) {
        this.badChunk = chunk;
        return verdict;
      }
      generation = this.seen.generation;
    }
    return STAMP_GOOD;
  }

  #checkChunk(
    at: number,
    end: number,
    chunk: number,
    want: Readonly<Stamp>,
    generation: number,
  ): number {
    if (!this.#readAt(at)) return STAMP_MISSING;
    this.#crc.compute(at + CRC_BYTES, end - at - CRC_BYTES, this.#sum);
    if (this.#sum[0] !== this.#view.getUint32(at, true)) return STAMP_TORN;
    const { seen } = this;
    const isSame =
      seen.isFixed === want.isFixed &&
      seen.connection === want.connection &&
      seen.sequence === want.sequence &&
      this.#view.getUint32(at + 20, true) === chunk &&
      (generation === -1 || seen.generation === generation);
    return isSame ? STAMP_GOOD : STAMP_OTHER;
  }

  #readAt(at: number): boolean {
    const view = this.#view;
    const mark = view.getUint32(at + 4, true);
    this.seen.isFixed = mark === FIXED_MARK;
    this.seen.connection = view.getUint32(at + 8, true);
    this.seen.sequence = view.getUint32(at + 12, true);
    this.seen.generation = view.getUint32(at + 16, true);
    return mark === COUNTED_MARK || mark === FIXED_MARK;
  }
}

function chunkStart(chunk: number): number {
  return chunk === 0 ? HEADER_BYTES : chunk * CHUNK_BYTES;
}

function chunkEnd(chunk: number, messageBytes: number): number {
  return Math.min((chunk + 1) * CHUNK_BYTES, messageBytes);
}
