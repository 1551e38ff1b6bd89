/**
 * Stored text: a decoded text column made ready to be stored: valid UTF-8, and for DuckDB ASCII
 * only.
 *
 * WHY         DuckDB takes 2,048 texts as one ASCII heap and cuts them apart with substring(); on
 *             ASCII that is a copy, on other UTF-8 it would count characters from the heap's start.
 *             Texts that are not ASCII therefore travel as hex and come back by decode(unhex(...)).
 * LAYOUT      Row i is bytes[starts[i] .. ends[i]); with ends[i] | HEX_MARK it is hex of UTF-8.
 * OWNERSHIP   Scratch of one table writer; a result is valid until the next prepare().
 */
import { TEXT_FLAG, type TextColumn } from '../../rdr/index.ts';
import { type EscapeCounts, escapeBytes } from './text-escape.ts';

/** Set in `ends` of a row whose bytes are the hex form of its UTF-8. */
export const HEX_MARK = 0x80000000;

/** How a column is made ready. */
export const PLAIN_UTF8 = 0;
/** For DuckDB: escaped, and hex where that is not ASCII. */
export const ASCII_ONLY = 1;
/** `extra` is JSON whose texts are escaped already: valid UTF-8, nothing to double. */
export const AS_IT_IS = 2;
/** The same for DuckDB. */
export const AS_IT_IS_ASCII = 3;
export type TextMode =
  | typeof PLAIN_UTF8
  | typeof ASCII_ONLY
  | typeof AS_IT_IS
  | typeof AS_IT_IS_ASCII;

/** mode -> flags of a column that cannot be handed over untouched. */
const NEEDS_WORK = [
  TEXT_FLAG.NON_ASCII | TEXT_FLAG.BACKSLASH,
  TEXT_FLAG.NON_ASCII | TEXT_FLAG.BACKSLASH,
  0,
  TEXT_FLAG.NON_ASCII,
] as const;
const HEX_DIGITS = new TextEncoder().encode('0123456789abcdef');

export class StoredText {
  bytes: Uint8Array = new Uint8Array(0);
  readonly starts: Uint32Array;
  ends: Uint32Array;
  /** True when a row carries HEX_MARK. */
  hasHex = false;
  readonly #ownEnds: Uint32Array;
  #heap = new Uint8Array(0);
  #value = new Uint8Array(0);

  constructor(capacity: number) {
    this.starts = new Uint32Array(capacity);
    this.#ownEnds = new Uint32Array(capacity);
    this.ends = this.#ownEnds;
  }

  /** Takes rows 0 .. rows - 1 (at least one). */
  prepare(column: TextColumn, rows: number, mode: TextMode, counts: EscapeCounts): void {
    this.hasHex = false;
    const { ends } = column;
    this.starts[0] = 0;
    this.starts.set(ends.subarray(0, rows - 1), 1);
    if ((column.flags & NEEDS_WORK[mode]) === 0) {
      this.bytes = column.bytes;
      this.ends = ends;
      return;
    }
    this.ends = this.#ownEnds;
    const asciiOnly = mode === ASCII_ONLY || mode === AS_IT_IS_ASCII;
    const { bytes } = column;
    let at = 0;
    for (let row = 0; row < rows; row++) {
      const start = this.starts[row]!;
      const end = ends[row]!;
      this.#room(at, (end - start) * 8);
      this.starts[row] = at;
      if (mode === AS_IT_IS_ASCII) {
        this.#value = bytes.slice(start, end);
        at = this.#store(end - start, at, row, true);
        continue;
      }
      if (isPlain(bytes, start, end)) {
        for (let i = start; i < end; i++) this.#heap[at++] = bytes[i]!;
        this.ends[row] = at;
        continue;
      }
      const size = (end - start) * 4;
      if (this.#value.length < size) this.#value = new Uint8Array(size);
      const length = escapeBytes(bytes, start, end, this.#value, 0, counts);
      at = this.#store(length, at, row, asciiOnly);
    }
    this.bytes = this.#heap;
  }

  /** Puts the escaped value behind the heap, as hex where it must be ASCII and is not. */
  #store(length: number, at: number, row: number, asciiOnly: boolean): number {
    const value = this.#value;
    let write = at;
    if (!asciiOnly || isAscii(value, length)) {
      for (let i = 0; i < length; i++) this.#heap[write++] = value[i]!;
      this.ends[row] = write;
      return write;
    }
    for (let i = 0; i < length; i++) {
      this.#heap[write++] = HEX_DIGITS[value[i]! >> 4]!;
      this.#heap[write++] = HEX_DIGITS[value[i]! & 15]!;
    }
    this.ends[row] = (write | HEX_MARK) >>> 0;
    this.hasHex = true;
    return write;
  }

  #room(used: number, need: number): void {
    if (used + need <= this.#heap.length) return;
    const grown = new Uint8Array(Math.max(this.#heap.length * 2, used + need));
    grown.set(this.#heap.subarray(0, used));
    this.#heap = grown;
  }
}

const BACKSLASH = 0x5c;

function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i]! >= 0x80 || bytes[i] === BACKSLASH) return false;
  }
  return true;
}

function isAscii(bytes: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}
