/**
 * Segment window: one reused buffer that slides over one segment file.
 *
 * WHY         Small blocks must not cost a read(2) each, large ones must not need a second buffer,
 *             and memory must stay bounded by the largest block ever seen.
 * LAYOUT      bytes[0 .. filled) holds the file from offset `start`; what is still needed moves to
 *             the front before more is read, so no byte is read twice unless drop() says so.
 * OWNERSHIP   One reader; views that it hands out are valid until its next call.
 * INVARIANTS  filled <= bytes.length; the buffer only grows, to the next power of two.
 * REFUSED     mmap (a native call; a truncated file would kill the process with SIGBUS); a Buffer
 *             per block (garbage in the store's hot loop).
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { PAGE_BYTES } from '../../toolkit/base/limits.ts';
import { openSegment } from './segment-list.ts';

export class SegmentWindow {
  #bytes = new Uint8Array(PAGE_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #fd = -1;
  #path = '';
  #start = 0;
  #filled = 0;

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Over the same memory as `bytes`, from its start; both change when the buffer grows. */
  get view(): DataView {
    return this.#view;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  get path(): string {
    return this.#path;
  }

  open(path: string): void {
    this.close();
    this.#fd = openSegment(path);
    this.#path = path;
    this.drop();
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Size of the file now, in bytes. */
  sizeBytes(): number {
    return fstatSync(this.#fd).size;
  }

  /** Forgets what was read: the file may hold something else there by now (a live tail). */
  drop(): void {
    this.#start = 0;
    this.#filled = 0;
  }

  /**
   * Makes `length` bytes of the file at `offset` readable, reading ahead up to `end` at most.
   * Returns their index in `bytes`, or -1 when the file is shorter.
   */
  ensure(offset: number, length: number, end: number): number {
    const at = offset - this.#start;
    if (at >= 0 && at + length <= this.#filled) return at;
    this.#slideTo(offset, length);
    while (this.#filled < length) {
      const room = Math.min(this.#bytes.length, end - offset) - this.#filled;
      if (room <= 0) return -1;
      const count = this.#read(this.#filled, room, offset + this.#filled);
      if (count === 0) return -1;
      this.#filled += count;
    }
    return 0;
  }

  /** Bytes of the window from index `at` on that are filled. */
  filledFrom(at: number): number {
    return this.#filled - at;
  }

  #slideTo(offset: number, length: number): void {
    const at = offset - this.#start;
    const kept = at >= 0 && at < this.#filled ? this.#filled - at : 0;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
      grown.set(this.#bytes.subarray(at, at + kept));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    } else if (kept > 0) {
      this.#bytes.copyWithin(0, at, at + kept);
    }
    this.#start = offset;
    this.#filled = kept;
  }

  #read(at: number, length: number, offset: number): number {
    try {
      return readSync(this.#fd, this.#bytes, at, length, offset);
    } catch (error) {
      throw new MillraceError(
        'MR_INPUT',
        `${this.#path} cannot be read at offset ${offset}: ${(error as Error).message}`,
        'check the disk; journal verify names damaged blocks',
        { cause: error },
      );
    }
  }
}
