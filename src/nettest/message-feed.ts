/**
 * Message feeds: where the messages of xmit lie, and when the next one may be made.
 *
 *   pages    pages of a pool, one message a page: filled again when they were given back
 *   payload  memory that is filled once before the start and never changes: a ring of messages
 *   file     the same in a file of its own
 *
 * OWNERSHIP  A page is held (retained) from next() to done(), so that several connections can be
 *            given it; what they have in flight is the business of their writers.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OS_PAGE_BYTES } from '../toolkit/base/limits.ts';
import {
  fileSource,
  type OutputSource,
  type PageSource,
  type PayloadSource,
  pageSources,
  payloadSource,
} from '../toolkit/output/index.ts';
import { NO_PAGE, PagePool } from '../toolkit/pages/index.ts';
import { type MakeOptions, MessageMaker } from './message-maker.ts';

/** The messages of one group of connections, one after the other. */
export interface MessageCursor {
  /** The current message lies in `source` at `offset`. */
  readonly source: OutputSource;
  readonly offset: number;
  /** Makes message `sequence` the current one; false: no page is free now. */
  next(sequence: number): boolean;
  /** The current message was accepted by all connections. */
  done(): void;
}

export interface MessageFeed {
  /** How many messages there is room for, and bytes from one to the next. */
  readonly roomCount: number;
  readonly strideBytes: number;
  cursor(connection: number): MessageCursor;
  readonly close: () => void;
}

export interface FeedOptions extends MakeOptions {
  readonly poolBytes: number;
  readonly isHuge: boolean;
}

/** Half of what a writer's log of flights holds: what it cannot track it copies. */
const PAGES_MAX = 2048;
/** The only thread that fills pages here. */
const OWNER = 1;

function wholePages(bytes: number): number {
  return Math.ceil(bytes / OS_PAGE_BYTES) * OS_PAGE_BYTES;
}

/** Pages that are filled again and again. */
export function makePageFeed(options: FeedOptions): MessageFeed {
  const pageBytes = wholePages(options.messageBytes);
  const pageCount = Math.max(1, Math.min(PAGES_MAX, Math.floor(options.poolBytes / pageBytes)));
  const pool = PagePool.create({ pageBytes, pageCount, prefault: true, huge: options.isHuge });
  const sources = pageSources(pool);
  const maker = new MessageMaker(pool.bytes, options);
  return {
    roomCount: pageCount,
    strideBytes: pageBytes,
    cursor: (connection) => new PageCursor(pool, sources, maker, connection),
    close() {},
  };
}

class PageCursor implements MessageCursor {
  readonly #pool: PagePool;
  readonly #sources: readonly PageSource[];
  readonly #maker: MessageMaker;
  readonly #connection: number;
  #page = NO_PAGE;
  readonly offset = 0;
  source: OutputSource;

  constructor(
    pool: PagePool,
    sources: readonly PageSource[],
    maker: MessageMaker,
    connection: number,
  ) {
    this.#pool = pool;
    this.#sources = sources;
    this.#maker = maker;
    this.#connection = connection;
    this.source = sources[0]!;
  }

  next(sequence: number): boolean {
    const pool = this.#pool;
    const page = pool.acquire(OWNER);
    if (page === NO_PAGE) return false;
    const generation = pool.generation(page);
    this.#maker.make(page * pool.pageBytes, this.#connection, sequence, generation);
    pool.retain(page);
    pool.stopFilling(page);
    this.#page = page;
    const source = this.#sources[page]!;
    source.generation = generation;
    this.source = source;
    return true;
  }

  done(): void {
    this.#pool.release(this.#page);
  }
}

/** Messages that never change, in memory; `strideBytes` apart, at most `bytesMax` in all. */
export function makePayloadFeed(
  options: FeedOptions,
  strideBytes: number,
  bytesMax: number,
): MessageFeed & { readonly payload: PayloadSource } {
  const roomCount = Math.max(1, Math.floor(bytesMax / strideBytes));
  const bytes = roomCount * strideBytes;
  const pool = PagePool.create({
    pageBytes: wholePages(bytes),
    pageCount: 1,
    prefault: true,
    huge: options.isHuge,
  });
  makeAll(pool.bytes, options, strideBytes, roomCount);
  const payload = payloadSource(pool.bytes, 0, bytes);
  return {
    payload,
    roomCount,
    strideBytes,
    cursor: () => new RingCursor(payload, strideBytes, roomCount),
    close() {},
  };
}

/** From one message to the next, so that each starts on an OS page. */
export function alignedStride(messageBytes: number): number {
  return wholePages(messageBytes);
}

function makeAll(
  bytes: Uint8Array,
  options: FeedOptions,
  strideBytes: number,
  count: number,
): void {
  const scratch = new Uint8Array(alignedStride(options.messageBytes));
  const maker = new MessageMaker(scratch, { ...options, fill: fixedFill(options) });
  for (let index = 0; index < count; index++) {
    // A stride may be odd; a message is made where words are aligned.
    scratch.fill(0);
    maker.make(0, 0, index, 0);
    bytes.set(scratch.subarray(0, options.messageBytes), index * strideBytes);
  }
}

function fixedFill({ fill }: FeedOptions): 'once' | 'none' {
  return fill === 'none' ? 'none' : 'once';
}

/** The same messages in a file that has no name any more. Errors: those of node:fs. */
export function makeFileFeed(options: FeedOptions): MessageFeed {
  const strideBytes = alignedStride(options.messageBytes);
  const roomCount = Math.max(1, Math.floor(options.poolBytes / strideBytes));
  const bytes = new Uint8Array(roomCount * strideBytes);
  makeAll(bytes, options, strideBytes, roomCount);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nettest-'));
  let fd: number;
  try {
    fd = openSync(join(folder, 'messages'), 'wx+', 0o600);
  } finally {
    // The open file stays until it is closed.
    rmSync(folder, { recursive: true });
  }
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  const source = fileSource(fd);
  return {
    roomCount,
    strideBytes,
    cursor: () => new RingCursor(source, strideBytes, roomCount),
    close() {
      closeSync(fd);
    },
  };
}

class RingCursor implements MessageCursor {
  readonly source: OutputSource;
  readonly #strideBytes: number;
  readonly #roomCount: number;
  offset = 0;

  constructor(source: OutputSource, strideBytes: number, roomCount: number) {
    this.source = source;
    this.#strideBytes = strideBytes;
    this.#roomCount = roomCount;
  }

  next(sequence: number): boolean {
    this.offset = (sequence % this.#roomCount) * this.#strideBytes;
    return true;
  }

  done(): void {}
}
