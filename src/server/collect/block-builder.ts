/**
 * Block builder: turns the bytes of one connection into blocks of whole records, in place.
 *
 * WHY         recv(2) writes into a page, the journal writes the same bytes to the segment: the
 *             only copies are of the half record at a block's end and of what follows skipped
 *             garbage.
 * LAYOUT      in a page, by offsets into the arena:
 *
 *               headerAt          payloadAt            parsedAt        fillAt          pageEnd
 *               | block header 128 | whole records ... | half a record | room for recv |
 *
 *             headerAt is a multiple of OS_PAGE_BYTES.
 * OWNERSHIP   The page is filling, held by this builder. After `published` only bytes from the next
 *             OS page on are written (what follows the published slice).
 * INVARIANTS  1. headerAt + 128 = payloadAt <= parsedAt <= fillAt <= pageEnd
 *             2. payloadAt .. parsedAt holds exactly `records` whole frames
 *             3. in sync, less than a frame stands in parsedAt .. fillAt; while resyncing, less
 *                than the longest frame does, so that room for more always exists
 *             4. received bytes = published + resync + truncated + discarded + openBytes.
 * REFUSED     A block per receive (small blocks), validating fields here (the sink that decodes
 *             counts malformed records; the frame's length is all that a stream needs).
 */

import { RUN_BROKEN, RUN_END, RUN_RECORDS, walkFrames } from '../../rdr/frame-run.ts';
import { FRAME_BYTES_MAX, findAnchor, frameLength, PREFIX_BYTES } from '../../rdr/index.ts';
import { assert } from '../../toolkit/base/assert.ts';
import { BLOCK_HEADER_BYTES, OS_PAGE_BYTES, PAGE_BYTES } from '../../toolkit/base/limits.ts';
import { NO_PAGE, type PagePool } from '../../toolkit/pages/index.ts';

/** A page with less room than this is rolled: its block is cut and the next begins elsewhere. */
export const ROLL_BELOW_BYTES = 16 * 1024;

/** A block goes on in the same page only when so much room remains. */
export const CONTINUE_FROM_BYTES = 32 * 1024;

export class BlockBuilder {
  readonly #pool: PagePool;
  readonly #owner: number;
  readonly #run = new Int32Array(3);
  page = NO_PAGE;
  pageEnd = 0;
  headerAt = 0;
  parsedAt = 0;
  fillAt = 0;
  records = 0;
  resyncing = false;
  /** What the last received() or finish() added. */
  resyncBytes = 0;
  resyncRuns = 0;
  /** The tail waits in a full page until another page is free. */
  #tailWaits = false;

  constructor(pool: PagePool, owner: number) {
    this.#pool = pool;
    this.#owner = owner;
  }

  /** Bytes received, in whole or half records, not yet published. */
  get openBytes(): number {
    return this.page === NO_PAGE ? 0 : this.fillAt - this.payloadAt;
  }

  get payloadAt(): number {
    return this.headerAt + BLOCK_HEADER_BYTES;
  }

  get payloadBytes(): number {
    return this.parsedAt - this.payloadAt;
  }

  get room(): number {
    return this.pageEnd - this.fillAt;
  }

  /** The tail behind the published block stands in its last OS page, and is still worked on. */
  get isTailWaiting(): boolean {
    return this.#tailWaits;
  }

  /** The block should be cut before the next receive. */
  get isFull(): boolean {
    return this.page !== NO_PAGE && this.records > 0 && this.room < ROLL_BELOW_BYTES;
  }

  /**
   * True when there is a page with room to receive into, or to cut from; false when the pool is
   * empty and there is nothing, or only a tail behind a block that has been published.
   */
  prepare(): boolean {
    if (this.#tailWaits) return this.#moveTail();
    if (this.page !== NO_PAGE) return true;
    const page = this.#pool.acquire(this.#owner);
    if (page === NO_PAGE) return false;
    this.#begin(page, page * PAGE_BYTES);
    this.fillAt = this.parsedAt;
    return true;
  }

  /** `bytes` more have been written at fillAt: walks what is whole. Returns whole records found. */
  received(bytes: number): number {
    this.fillAt += bytes;
    assert(this.fillAt <= this.pageEnd, 'received bytes stay inside the page');
    const before = this.records;
    this.resyncBytes = 0;
    this.resyncRuns = 0;
    if (!this.resyncing) {
      walkFrames(this.#pool.view, this.parsedAt, this.fillAt, this.#run);
      this.parsedAt = this.#run[RUN_END]!;
      this.records += this.#run[RUN_RECORDS]!;
      if (this.#run[RUN_BROKEN] === 0) return this.records - before;
    }
    this.#resync();
    return this.records - before;
  }

  /**
   * The stream has ended. Returns the bytes of the half record it ended with (truncated); what was
   * being skipped is added to resyncBytes, and records found after all to the block.
   */
  finish(): number {
    this.resyncBytes = 0;
    this.resyncRuns = 0;
    if (this.page === NO_PAGE) return 0;
    while (this.resyncing && this.parsedAt < this.fillAt) {
      // This place waits for bytes that will not come: it is garbage, the next one may not be.
      this.#dropGarbage(this.parsedAt + 1);
      this.#resync();
    }
    const truncated = this.fillAt - this.parsedAt;
    this.fillAt = this.parsedAt;
    return truncated;
  }

  /** The block has been published from this page: goes on behind it, or in another page. */
  published(): void {
    this.records = 0;
    const pageStart = this.page * PAGE_BYTES;
    const tail = this.fillAt - this.parsedAt;
    const used = this.parsedAt - pageStart;
    const next = pageStart + Math.ceil(used / OS_PAGE_BYTES) * OS_PAGE_BYTES;
    if (this.pageEnd - next - BLOCK_HEADER_BYTES - tail >= CONTINUE_FROM_BYTES) {
      const from = this.parsedAt;
      this.#begin(this.page, next);
      this.#takeTail(from, tail);
    } else if (tail === 0) {
      this.release();
    } else {
      // The published part now belongs to others; what remains is the tail alone.
      this.headerAt = this.parsedAt - BLOCK_HEADER_BYTES;
      this.#tailWaits = true;
      this.#moveTail();
    }
  }

  /** The block's bytes have been copied elsewhere, or dropped: begins again at the same place. */
  restart(): void {
    this.records = 0;
    const from = this.parsedAt;
    const tail = this.fillAt - from;
    this.parsedAt = this.payloadAt;
    this.#takeTail(from, tail);
  }

  /** Gives the page back; what was open in it is gone. */
  release(): void {
    if (this.page !== NO_PAGE) this.#pool.stopFilling(this.page);
    this.page = NO_PAGE;
    this.records = 0;
    this.headerAt = 0;
    this.parsedAt = 0;
    this.fillAt = 0;
    this.pageEnd = 0;
    this.#tailWaits = false;
  }

  #begin(page: number, headerAt: number): void {
    this.page = page;
    this.headerAt = headerAt;
    this.pageEnd = (page + 1) * PAGE_BYTES;
    this.parsedAt = headerAt + BLOCK_HEADER_BYTES;
  }

  #takeTail(from: number, tail: number): void {
    if (tail > 0) this.#pool.bytes.copyWithin(this.parsedAt, from, from + tail);
    this.fillAt = this.parsedAt + tail;
  }

  /** Moves the tail, and whole records that finish() found in it, to a page of their own. */
  #moveTail(): boolean {
    const page = this.#pool.acquire(this.#owner);
    if (page === NO_PAGE) return false;
    const old = this.page;
    const from = this.payloadAt;
    const payload = this.payloadBytes;
    const open = this.fillAt - from;
    this.#begin(page, page * PAGE_BYTES);
    this.#takeTail(from, open);
    this.parsedAt += payload;
    this.#pool.stopFilling(old);
    this.#tailWaits = false;
    return true;
  }

  /** Removes parsedAt .. to, which is garbage, by moving what follows down. */
  #dropGarbage(to: number): void {
    this.resyncBytes += to - this.parsedAt;
    this.#pool.bytes.copyWithin(this.parsedAt, to, this.fillAt);
    this.fillAt -= to - this.parsedAt;
  }

  /** Walks on with two cursors: whole records move down over the garbage that is skipped. */
  #resync(): void {
    const { bytes, view } = this.#pool;
    const end = this.fillAt;
    let read = this.parsedAt;
    let write = this.parsedAt;
    for (;;) {
      if (this.resyncing) {
        const found = findAnchor(bytes, view, read, end);
        const garbageEnd = found < 0 ? ~found : found;
        this.resyncBytes += garbageEnd - read;
        read = garbageEnd;
        if (found < 0) break;
        this.resyncing = false;
      }
      if (end - read < PREFIX_BYTES) break;
      const length = frameLength(bytes, read);
      if (length < 0) {
        this.resyncing = true;
        this.resyncRuns++;
        continue;
      }
      if (length > end - read) break;
      if (write !== read) bytes.copyWithin(write, read, read + length);
      write += length;
      read += length;
      this.records++;
    }
    if (write !== read) bytes.copyWithin(write, read, end);
    this.parsedAt = write;
    this.fillAt = write + (end - read);
    assert(this.fillAt - write <= FRAME_BYTES_MAX, 'an unparsed tail is shorter than a frame');
  }
}
