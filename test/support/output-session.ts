/**
 * One writer, its pages and its reader: messages go out, are read when the test says so, and are
 * compared with what was sent.
 *
 * A page is filled with a stamped message only after the pool has given it, so the pool and the
 * reclaim policy alone decide whether a page in flight is written again.
 */

import { SharedWasmMemory } from '../../src/toolkit/base/webassembly.ts';
import type { OutputSource, OutputWriter, PayloadSource } from '../../src/toolkit/output/index.ts';
import { pageSources, payloadSource } from '../../src/toolkit/output/index.ts';
import { NO_PAGE, PagePool } from '../../src/toolkit/pages/index.ts';
import { EAGAIN, SyscallError } from '../../src/toolkit/sys/index.ts';
import type { Offer, OpenOffer } from './output-offers.ts';
import type { StreamReader } from './output-rig.ts';
import { type Stamp, StreamChecker, type StreamFindings, stampMessage } from './stamps.ts';

const OS_PAGE_BYTES = 4096;
/** Of a pool whose view has no owner. */
const OWNER = 1;

/** A message to send: where it lies, and what it says. */
export interface Portion {
  readonly source: OutputSource;
  readonly offset: number;
  readonly stamp: Stamp;
  /** The writer has accepted all of it. */
  end(): void;
}

/** Where messages come from; null: none now. */
export interface Feed {
  readonly messageBytes: number;
  next(): Portion | null;
}

export interface Shape {
  readonly connection: number;
  readonly messageBytes: number;
  /** Where a message starts behind an OS page. */
  readonly start: number;
}

const PAGES_MAX = 1024;

/** A pool for one message a page, of about `bytes`; at least four pages. */
export function makePool({ messageBytes, start }: Shape, bytes: number, huge = false): PagePool {
  const pageBytes = Math.ceil((messageBytes + start) / OS_PAGE_BYTES) * OS_PAGE_BYTES;
  const pageCount = Math.min(PAGES_MAX, Math.max(4, Math.floor(bytes / pageBytes)));
  return PagePool.create({ pageBytes, pageCount, prefault: true, huge });
}

/** A new message in a page that the pool gives: written again whenever the pool gives it again. */
export class PageFeed implements Feed {
  readonly messageBytes: number;
  /** Times that a page was filled which had been filled before. */
  refillCount = 0;
  readonly pool: PagePool;
  readonly #sources;
  readonly #shape: Shape;
  #sequence = 0;

  constructor(pool: PagePool, shape: Shape) {
    this.pool = pool;
    this.#sources = pageSources(pool);
    this.#shape = shape;
    this.messageBytes = shape.messageBytes;
  }

  next(): Portion | null {
    const { pool } = this;
    const page = pool.acquire(pool.owner || OWNER);
    if (page === NO_PAGE) return null;
    const source = this.#sources[page]!;
    const { connection, messageBytes, start } = this.#shape;
    const generation = pool.generation(page);
    if (generation > 1) this.refillCount++;
    const stamp = { connection, sequence: this.#sequence++, generation };
    stampMessage(source.bytes, source.start + start, messageBytes, stamp);
    pool.retain(page);
    pool.stopFilling(page);
    return { source, offset: start, stamp, end: () => pool.release(page) };
  }
}

/** Messages one behind the other in memory that is never written again; then from the start. */
export function stampedPayload(shape: Shape, bytes: number): PayloadSource {
  const { connection, messageBytes, start } = shape;
  const count = Math.max(1, Math.floor((bytes - start) / messageBytes));
  const length = start + count * messageBytes;
  const wasmPages = Math.ceil(length / 65_536);
  const memory = new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
  const payload = new Uint8Array(memory.buffer, 0, length);
  for (let sequence = 0; sequence < count; sequence++) {
    const stamp = { connection, sequence, generation: 0 };
    stampMessage(payload, start + sequence * messageBytes, messageBytes, stamp);
  }
  return payloadSource(payload);
}

/** The messages of stampedPayload, from memory or from wherever `source` has the same bytes. */
export class PayloadFeed implements Feed {
  readonly messageBytes: number;
  readonly #source: OutputSource;
  readonly #shape: Shape;
  readonly #count: number;
  #sequence = 0;

  constructor(source: OutputSource, payloadBytes: number, shape: Shape) {
    this.#source = source;
    this.#shape = shape;
    this.messageBytes = shape.messageBytes;
    this.#count = Math.floor((payloadBytes - shape.start) / shape.messageBytes);
  }

  next(): Portion {
    const { connection, messageBytes, start } = this.#shape;
    const sequence = this.#sequence++ % this.#count;
    return {
      source: this.#source,
      offset: start + sequence * messageBytes,
      stamp: { connection, sequence, generation: 0 },
      end: () => {},
    };
  }
}

/** What stopped pump(). */
export type Stop = 'full' | 'exhausted' | 'enough' | 'failed';

export class OutputSession {
  readonly writer: OutputWriter;
  readonly stamps: Stamp[] = [];
  readonly checker: StreamChecker;
  readonly feed: Feed;
  /** -errno of the writer, once it has failed. */
  failure = 0;
  /** How much of the rest of a message is offered in one write: all of it, or less. */
  cut: (restBytes: number) => number = (restBytes) => restBytes;
  readonly #reader: StreamReader;
  #portion: Portion | null = null;
  #sentOfPortion = 0;

  constructor(writer: OutputWriter, feed: Feed, reader: StreamReader) {
    this.writer = writer;
    this.feed = feed;
    this.#reader = reader;
    this.checker = new StreamChecker(feed.messageBytes, this.stamps);
  }

  get findings(): StreamFindings {
    return this.checker.findings;
  }

  /** Writes until nothing more goes, or `most` bytes were accepted; then pushes all of it out. */
  pump(most = Number.POSITIVE_INFINITY): Stop {
    if (this.failure !== 0) return 'failed';
    const stop = this.#write(most);
    if (stop === 'failed') return stop;
    const pending = this.writer.flush();
    if (pending >= 0) return stop;
    this.failure = pending;
    return 'failed';
  }

  #write(most: number): Stop {
    const { writer, feed } = this;
    let accepted = 0;
    while (accepted < most) {
      this.#portion ??= this.#nextPortion();
      if (this.#portion === null) return 'exhausted';
      const { source, offset } = this.#portion;
      const rest = feed.messageBytes - this.#sentOfPortion;
      const taken = writer.write(source, offset + this.#sentOfPortion, this.cut(rest));
      if (taken === -EAGAIN) return 'full';
      if (taken < 0) {
        this.failure = taken;
        this.#endPortion();
        return 'failed';
      }
      accepted += taken;
      this.#sentOfPortion += taken;
      if (this.#sentOfPortion === feed.messageBytes) this.#endPortion();
    }
    return 'enough';
  }

  /** Reads up to `bytes`, checks them; how many there were. */
  async take(bytes: number): Promise<number> {
    const taken = await this.#reader.take(bytes);
    this.checker.feed(taken);
    return taken.length;
  }

  /** Lets go of the message that is half sent. */
  stop(): void {
    if (this.#portion !== null) this.#endPortion();
  }

  /** Moves what the writer still holds; throws what it says. */
  flush(): number {
    const pending = this.writer.flush();
    if (pending < 0) throw new SyscallError('flush', pending);
    return pending;
  }

  #nextPortion(): Portion | null {
    const portion = this.feed.next();
    this.#sentOfPortion = 0;
    if (portion !== null) this.stamps.push(portion.stamp);
    return portion;
  }

  #endPortion(): void {
    this.#portion!.end();
    this.#portion = null;
  }
}

export interface OpenSession {
  readonly session: OutputSession;
  readonly open: OpenOffer;
  /** Null: a payload that is never written again. */
  readonly pool: PagePool | null;
  /** All memory that messages are sent from. */
  readonly bytes: Uint8Array;
}

export interface SessionOptions {
  readonly shape: Shape;
  /** About so many bytes of pages, or of payload. */
  readonly bytes: number;
  /** Instead of a pool of its own. */
  readonly pool?: PagePool;
}

/** A session with pages, or with a payload, as the offer wants it. */
export function openSession(
  offer: Offer,
  fd: number,
  reader: StreamReader,
  { shape, bytes, pool: given }: SessionOptions,
): OpenSession {
  if (offer.source === 'page') {
    const pool = given ?? makePool(shape, bytes);
    const open = offer.open(fd, null);
    const session = new OutputSession(open.writer, new PageFeed(pool, shape), reader);
    return { session, open, pool, bytes: pool.bytes };
  }
  const payload = stampedPayload(shape, bytes);
  const open = offer.open(fd, payload);
  const feed = new PayloadFeed(open.source ?? payload, payload.length, shape);
  const session = new OutputSession(open.writer, feed, reader);
  return { session, open, pool: null, bytes: payload.bytes };
}

/** Takes every page that the pool has, writes 0xdb over it, and lets it go; how many they were. */
export function refillAll(pool: PagePool): number {
  const pages: number[] = [];
  for (let page = pool.acquire(OWNER); page !== NO_PAGE; page = pool.acquire(OWNER)) {
    pool.bytes.fill(0xdb, page * pool.pageBytes, (page + 1) * pool.pageBytes);
    pages.push(page);
  }
  for (const page of pages) pool.stopFilling(page);
  return pages.length;
}

export const pause = (ms: number): Promise<void> =>
  ms === 0
    ? new Promise((resolve) => setImmediate(resolve))
    : new Promise((resolve) => setTimeout(resolve, ms));

export interface Laps {
  readonly count: number;
  readonly everyMs: number;
}

/** Lets the policy work, and what it gives back be written again. */
export async function runLaps(session: OutputSession, laps: Laps): Promise<void> {
  for (let lap = 0; lap < laps.count; lap++) {
    await pause(laps.everyMs);
    session.writer.reclaim();
    session.pump(1 << 20);
  }
}
