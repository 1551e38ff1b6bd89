/**
 * Raw framer: whole records out of raw RDRv1 bytes that come in pieces.
 *
 * WHY         A capture or a generator's file has no journal around it. The framing rules are those
 *             of the collector (docs/reference/rdrv1.md): lengths lead, garbage is passed over up
 *             to the next anchor, a half record at the end is truncated.
 * LAYOUT      One buffer; bytes[#at .. #end) is not yet framed. It is moved to the front when the
 *             next piece does not fit; it grows only if a piece is larger than the buffer.
 * INVARIANTS  framed + resyncBytes + truncatedBytes = bytes that were pushed, after finish().
 */
import { findAnchor } from './anchor.ts';
import { PREFIX_BYTES } from './constants.ts';
import { BAD_PREFIX, frameLength } from './frame.ts';

const BUFFER_BYTES = 512 * 1024;

/** Whole records back to back: bytes[offset .. offset + length); valid until the next push. */
export type OnRecords = (bytes: Uint8Array, view: DataView, offset: number, length: number) => void;

export class RawFramer {
  readonly #onRecords: OnRecords;
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  #end = 0;
  #isLost = false;
  /** Bytes of garbage that were passed over, and in how many runs. */
  resyncBytes = 0;
  resyncRuns = 0;
  /** Bytes of the half record at the end; known after finish(). */
  truncatedBytes = 0;

  /** `bufferBytes`: what is kept from the start; a piece that does not fit makes it grow. */
  constructor(onRecords: OnRecords, bufferBytes: number = BUFFER_BYTES) {
    this.#onRecords = onRecords;
    this.#bytes = new Uint8Array(bufferBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  push(piece: Uint8Array): void {
    this.#makeRoom(piece.length);
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
    if (!this.#isLost) this.#frame();
    while (this.#isLost && this.#search()) this.#frame();
  }

  /** The stream has ended: what could have become a record cannot any more. */
  finish(): void {
    while (this.#isLost && this.#at < this.#end) {
      if (this.#search()) this.#frame();
      else if (this.#at < this.#end) this.#skipTo(this.#at + 1);
    }
    this.truncatedBytes = this.#end - this.#at;
    this.#at = this.#end;
  }

  #makeRoom(length: number): void {
    const kept = this.#end - this.#at;
    if (this.#end + length <= this.#bytes.length) return;
    if (kept + length > this.#bytes.length) {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(kept + length)));
      grown.set(this.#bytes.subarray(this.#at, this.#end));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    } else {
      this.#bytes.copyWithin(0, this.#at, this.#end);
    }
    this.#at = 0;
    this.#end = kept;
  }

  /** Takes whole records in sync; ends at a half record or at a prefix that cannot be one. */
  #frame(): void {
    const start = this.#at;
    let at = start;
    while (this.#end - at >= PREFIX_BYTES) {
      const length = frameLength(this.#bytes, at);
      if (length === BAD_PREFIX) {
        this.#isLost = true;
        this.resyncRuns++;
        break;
      }
      if (this.#end - at < length) break;
      at += length;
    }
    this.#at = at;
    if (at > start) this.#onRecords(this.#bytes, this.#view, start, at - start);
  }

  /** Looks for the next anchor; true when one was found. */
  #search(): boolean {
    const found = findAnchor(this.#bytes, this.#view, this.#at, this.#end);
    this.#skipTo(found >= 0 ? found : ~found);
    this.#isLost = found < 0;
    return found >= 0;
  }

  #skipTo(at: number): void {
    this.resyncBytes += at - this.#at;
    this.#at = at;
  }
}
