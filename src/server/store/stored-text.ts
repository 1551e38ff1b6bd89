/**
 * Stored text: a decoded text column made ready to be stored: valid UTF-8, reversibly.
 *
 * WHY         Nearly all columns are ASCII without a backslash: the decoder's flags say so, and its
 *             bytes are handed on untouched. Only the others are looked at value by value.
 * LAYOUT      Row i is bytes[starts[i] .. ends[i]).
 * OWNERSHIP   Scratch of one table; a result is valid until the next call.
 */
import { TEXT_FLAG, type TextColumn } from '../../rdr/index.ts';
import { type EscapeCounts, escapeBytes } from './text-escape.ts';

const NEEDS_WORK = TEXT_FLAG.NON_ASCII | TEXT_FLAG.BACKSLASH;

export class StoredText {
  bytes: Uint8Array = new Uint8Array(0);
  readonly starts: Uint32Array;
  ends: Uint32Array;
  readonly #ownEnds: Uint32Array;
  #heap = new Uint8Array(0);

  constructor(capacity: number) {
    this.starts = new Uint32Array(capacity);
    this.#ownEnds = new Uint32Array(capacity);
    this.ends = this.#ownEnds;
  }

  /** Takes rows 0 .. rows - 1 (at least one) as they are: `extra` is valid UTF-8 already. */
  take(column: TextColumn, rows: number): void {
    const { ends } = column;
    this.starts[0] = 0;
    this.starts.set(ends.subarray(0, rows - 1), 1);
    this.bytes = column.bytes;
    this.ends = ends;
  }

  /** Takes rows 0 .. rows - 1 (at least one), escaped where they must be. */
  prepare(column: TextColumn, rows: number, counts: EscapeCounts): void {
    this.take(column, rows);
    if ((column.flags & NEEDS_WORK) === 0) return;
    const { bytes, ends } = column;
    this.ends = this.#ownEnds;
    let at = 0;
    for (let row = 0; row < rows; row++) {
      const start = this.starts[row]!;
      const end = ends[row]!;
      this.#room(at, (end - start) * 4);
      this.starts[row] = at;
      if (isPlain(bytes, start, end)) {
        for (let i = start; i < end; i++) this.#heap[at++] = bytes[i]!;
      } else {
        at = escapeBytes(bytes, start, end, this.#heap, at, counts);
      }
      this.ends[row] = at;
    }
    this.bytes = this.#heap;
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
