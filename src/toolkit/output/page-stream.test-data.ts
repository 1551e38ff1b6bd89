/**
 * A stream of pages whose every byte says where it stands (fillPattern): pages are acquired,
 * filled, written and filled again as soon as the writer has given them back, as a server does it.
 * A page that was given back too early shows as a wrong byte at the reader.
 */
import assert from 'node:assert/strict';
import { NO_PAGE, PagePool } from '../pages/index.ts';
import { EAGAIN } from '../sys/errno.ts';
import { fillPattern, readExactly } from './connections.test-data.ts';
import { type PageSource, pageSources } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';

const OWNER = 1;

export interface PageStreamOptions {
  readonly pageBytes?: number;
  readonly pageCount?: number;
  /** Bytes of one write; the page when left out. */
  readonly writeBytes?: number;
  /** An errno ends the stream, see failed; else it is an error of the test. */
  readonly mayFail?: boolean;
}

export class PageStream {
  readonly pool: PagePool;
  readonly #writer: OutputWriter;
  readonly #sources: readonly PageSource[];
  readonly #writeBytes: number;
  readonly #mayFail: boolean;
  /** -errno that a write or a flush answered. */
  failed = 0;
  #page = NO_PAGE;
  #offset = 0;
  #filledBytes = 0;
  #readBytes = 0;

  constructor(writer: OutputWriter, options: PageStreamOptions = {}) {
    const { pageBytes = 65_536, pageCount = 8, writeBytes = pageBytes } = options;
    this.pool = PagePool.create({ pageBytes, pageCount });
    this.#writer = writer;
    this.#sources = pageSources(this.pool);
    this.#writeBytes = writeBytes;
    this.#mayFail = options.mayFail ?? false;
  }

  /** Bytes that the writer has accepted. */
  get acceptedBytes(): number {
    return this.#filledBytes - (this.#page === NO_PAGE ? 0 : this.pool.pageBytes - this.#offset);
  }

  /** Writes until the socket is full or no page is free, `laps` times over. Returns bytes. */
  fill(laps = 1): number {
    const before = this.acceptedBytes;
    for (let lap = 0; lap < laps; lap += 1) {
      while (this.#step());
      const pending = this.#writer.flush();
      if (pending < 0) this.#fail(pending);
      this.#writer.reclaim();
    }
    return this.acceptedBytes - before;
  }

  /** Reads `length` bytes and returns how many are wrong. */
  wrongBytes(peer: number, length: number): number {
    const found = readExactly(peer, length);
    const wanted = fillPattern(new Uint8Array(length), this.#readBytes);
    this.#readBytes += length;
    if (Buffer.from(found).equals(wanted)) return 0;
    return found.reduce((wrong, byte, i) => wrong + (byte === wanted[i] ? 0 : 1), 0);
  }

  /** Reads what the socket has taken and was not read yet; returns how many bytes are wrong. */
  wrongOfSent(peer: number): number {
    return this.wrongBytes(peer, this.#writer.counts.sentBytes - this.#readBytes);
  }

  /** Gives up the page in hand; for the end of a test. */
  close(): void {
    if (this.#page !== NO_PAGE) this.pool.release(this.#page);
    this.#page = NO_PAGE;
  }

  /** One write; false: it has to wait for the socket or for a page. */
  #step(): boolean {
    if (this.failed !== 0) return false;
    if (this.#page === NO_PAGE && !this.#nextPage()) return false;
    const length = Math.min(this.#writeBytes, this.pool.pageBytes - this.#offset);
    const accepted = this.#writer.write(this.#sources[this.#page]!, this.#offset, length);
    if (accepted === -EAGAIN) return false;
    if (accepted <= 0) return this.#fail(accepted);
    assert.ok(accepted <= length, `accepted: ${accepted}`);
    this.#offset += accepted;
    if (this.#offset < this.pool.pageBytes) return true;
    this.pool.release(this.#page);
    this.#page = NO_PAGE;
    return true;
  }

  #fail(result: number): false {
    assert.ok(this.#mayFail, `result ${result}`);
    this.failed = result;
    return false;
  }

  #nextPage(): boolean {
    let page = this.pool.acquire(OWNER);
    if (page === NO_PAGE && this.#writer.reclaim() > 0) page = this.pool.acquire(OWNER);
    if (page === NO_PAGE) return false;
    const { start, length } = this.#sources[page]!;
    fillPattern(this.pool.bytes.subarray(start, start + length), this.#filledBytes);
    this.pool.retain(page);
    this.pool.stopFilling(page);
    this.#filledBytes += length;
    this.#page = page;
    this.#offset = 0;
    return true;
  }
}
