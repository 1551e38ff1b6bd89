/**
 * Flight log: which pages a writer has lent, and up to which byte of its stream each is needed.
 *
 * WHY         A reclaim policy proves "nobody reads our memory below byte N of this stream"; the
 *             log turns that into pages that are given back.
 * LAYOUT      A FIFO in two typed arrays, indexed by sequence & mask: the page, and the stream
 *             position behind its last byte. Writes of one page in a row are one flight.
 * OWNERSHIP   One lend (PagePool.lend) per flight, by the thread of the writer. begin() lends
 *             before the kernel gets the bytes, commit() says how far they reached, or cancel()
 *             that none did. All pages are of one pool.
 * INVARIANTS  1. stream ends never decrease from the oldest flight to the newest
 *             2. a page stands in the log as long as a byte of it at or above the safe position may
 *             be read  3. the log is bounded: a full one is an answer, not an exception.
 * REFUSED     an object per flight (garbage per write); a set of pages (a page that is sent twice
 *             with others between needs both positions).
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import type { PagePool } from '../pages/index.ts';
import type { PageSource } from './output-source.ts';

/** Flights that fit before the log grows: a connection that is not behind needs few. */
const FLIGHTS_AT_FIRST = 32;
/** As many as one page can be lent: beyond, a connection is far behind. */
const FLIGHTS_MAX = 4096;

export class FlightLog {
  #pages = new Int32Array(FLIGHTS_AT_FIRST);
  #ends = new Float64Array(FLIGHTS_AT_FIRST);
  #readSeq = 0;
  #writeSeq = 0;
  #pool: PagePool | null = null;
  /** Whether begin() lent a page that neither commit() nor cancel() has settled. */
  #isFresh = false;

  /** Lends that have not been given back. */
  get flightCount(): number {
    return this.#writeSeq - this.#readSeq;
  }

  /**
   * Lends the page, before its bytes go to the kernel; false: it cannot be tracked now, because
   * the log is full, or the page is in flight on 4,095 connections. Reclaim, or send a copy.
   * `position`: where the stream stands; `offset` and `length` what of the source is about to be
   * sent, for the pool's guard. Throws MR_OUTPUT_SOURCE for a page of a second pool, MR_STALE_PAGE
   * for a source with the generation of an earlier life of its page.
   */
  begin(source: PageSource, position: number, offset = 0, length = 0): boolean {
    if (!this.#lend(source, position)) return false;
    const { pool, page, start } = source;
    if (length > 0) pool.protect(page, start - page * pool.pageBytes + offset, length);
    return true;
  }

  #lend(source: PageSource, position: number): boolean {
    this.#pool ??= source.pool;
    if (this.#pool !== source.pool) throw poolError();
    if (source.generation !== null) source.pool.checkCurrent(source.page, source.generation);
    this.#isFresh = false;
    const newest = (this.#writeSeq - 1) & (this.#pages.length - 1);
    if (this.flightCount > 0 && this.#pages[newest] === source.page) return true;
    if (this.flightCount === this.#pages.length && !this.#grow()) return false;
    if (!this.#pool.tryLend(source.page)) return false;
    const index = this.#writeSeq & (this.#pages.length - 1);
    this.#pages[index] = source.page;
    this.#ends[index] = position;
    this.#writeSeq += 1;
    this.#isFresh = true;
    return true;
  }

  /** After begin(): the bytes of the page reach up to `streamEnd`. */
  commit(streamEnd: number): void {
    const newest = (this.#writeSeq - 1) & (this.#pages.length - 1);
    assert(streamEnd >= this.#ends[newest]!, 'flights are in the order of the stream');
    this.#ends[newest] = streamEnd;
    this.#isFresh = false;
  }

  /** After begin(): the kernel has taken no byte of the page. */
  cancel(): void {
    if (!this.#isFresh) return;
    this.#isFresh = false;
    this.#writeSeq -= 1;
    this.#pool!.giveBack(this.#pages[this.#writeSeq & (this.#pages.length - 1)]!);
  }

  /** Gives back every flight that ends at or below `safeBytes`; returns how many. */
  giveBack(safeBytes: number): number {
    const mask = this.#pages.length - 1;
    const first = this.#readSeq;
    while (this.#readSeq !== this.#writeSeq && this.#ends[this.#readSeq & mask]! <= safeBytes) {
      this.#pool!.giveBack(this.#pages[this.#readSeq & mask]!);
      this.#readSeq += 1;
    }
    return this.#readSeq - first;
  }

  /** Nobody will prove any more when the rest is free: stale, and given back. Returns how many. */
  abandon(): number {
    const mask = this.#pages.length - 1;
    const first = this.#readSeq;
    for (; this.#readSeq !== this.#writeSeq; this.#readSeq += 1) {
      const page = this.#pages[this.#readSeq & mask]!;
      this.#pool!.markStale(page);
      this.#pool!.giveBack(page);
    }
    return this.#readSeq - first;
  }

  /** Twice the room; false at the bound. */
  #grow(): boolean {
    const room = this.#pages.length;
    if (room === FLIGHTS_MAX) return false;
    const pages = new Int32Array(room * 2);
    const ends = new Float64Array(room * 2);
    for (let sequence = this.#readSeq; sequence !== this.#writeSeq; sequence++) {
      pages[sequence & (room * 2 - 1)] = this.#pages[sequence & (room - 1)]!;
      ends[sequence & (room * 2 - 1)] = this.#ends[sequence & (room - 1)]!;
    }
    this.#pages = pages;
    this.#ends = ends;
    return true;
  }
}

function poolError(): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_SOURCE',
    'a writer was offered pages of two pools',
    'make one writer per connection and pool',
  );
}
