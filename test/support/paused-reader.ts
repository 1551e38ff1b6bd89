/**
 * The paused reader: fill a connection until nothing more goes, run the reclaim policy for many
 * laps while nobody reads, then read in portions, then all: no page may have been written again.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import type { PagePool } from '../../src/toolkit/pages/index.ts';
import { bytesUnacked } from '../../src/toolkit/sys/index.ts';
import type { Offer, OpenOffer } from './output-offers.ts';
import type { BufferBytes, StreamReader } from './output-rig.ts';
import {
  makePool,
  type OpenSession,
  type OutputSession,
  openSession,
  PageFeed,
  pause,
  type Shape,
} from './output-session.ts';
import type { StreamFindings } from './stamps.ts';

export interface Cell {
  readonly messageBytes: number;
  readonly start: number;
  readonly sendBuffer: BufferBytes;
  readonly receiveBuffer: BufferBytes;
  /**
   * The reader begins when nothing has been taken and acknowledged for so long: an acknowledgement
   * may be on its way. Default: after some laps.
   */
  readonly quietMs?: number;
}

export const CELL_FACTORS = {
  messageBytes: [1, 4095, 4096, 4097, 65_536, 1 << 20],
  start: [0, 1, 100, 4095],
  sendBuffer: [4096, 65_536, 'auto'],
  /** The last one is doubled to 8 MiB by the kernel. */
  receiveBuffer: [4096, 'auto', 4 << 20],
} as const satisfies Record<keyof Omit<Cell, 'quietMs'>, readonly unknown[]>;

export interface CellResult extends StreamFindings {
  readonly offer: string;
  readonly cell: Cell;
  /** Messages written into pages that were used before. */
  readonly refills: number;
  readonly copiedBytes: number;
  /** Bytes that were on their way when the reader had not read anything. */
  readonly pausedBytes: number;
  /** Everything was read at the end. */
  readonly isWhole: boolean;
}

export interface PausedConnection {
  readonly writer: number;
  readonly reader: StreamReader;
}

const LAPS = 6;
const LAP_MS = 2;
const LAPS_MS_MAX = 1_000;
const PORTIONS = 5;
const PORTION_BYTES_MAX = 512 * 1024;
/**
 * A receive buffer of 4 KiB drops segments whose pages are used in part, and TCP sends each again
 * after 200 ms: such a cell is cut short while it goes on; one that stands still has failed.
 */
const DRAIN_MS = 800;
const STANDSTILL_MS = 30_000;
const FLIGHTS_MS = 30_000;
const PAYLOAD_BYTES = 1 << 20;
/** Of small messages; and of the largest two, behind the misaligned start. */
const PAYLOAD_MESSAGES_MAX = 4096;
const PAYLOAD_MESSAGES_MIN = 2;
/** Small messages cost a call each: so many in a row are enough. */
const MESSAGES_MAX = 4096;
let connections = 0;

/** More than the connection holds, so that it fills up; or less, so that the pool runs dry. */
function poolBytesOf({ receiveBuffer }: Cell, prng: Prng): number {
  if (prng.chance(0.7)) return 1 << 20;
  return receiveBuffer === 'auto' || receiveBuffer <= 65_536 ? 6 << 20 : 12 << 20;
}

function openCell(
  offer: Offer,
  cell: Cell,
  connection: PausedConnection,
  poolBytes: number,
  huge: boolean,
): OpenSession {
  const { messageBytes, start } = cell;
  const shape: Shape = { messageBytes, start, connection: ++connections };
  const most = Math.min(PAYLOAD_BYTES, PAYLOAD_MESSAGES_MAX * messageBytes);
  const payloadBytes = start + Math.max(most, PAYLOAD_MESSAGES_MIN * messageBytes);
  const bytes = offer.source === 'page' ? poolBytes : payloadBytes;
  const pool = offer.source === 'page' ? { pool: makePool(shape, bytes, huge) } : {};
  return openSession(offer, connection.writer, connection.reader, { shape, bytes, ...pool });
}

/** Runs one cell on a fresh connection, which the caller closes. */
export async function runPaused(
  offer: Offer,
  cell: Cell,
  connection: PausedConnection,
  prng: Prng,
): Promise<CellResult> {
  const poolBytes = poolBytesOf(cell, prng);
  const { session, open, pool } = openCell(offer, cell, connection, poolBytes, prng.chance(0.3));
  const { writer, feed } = session;
  // Whole messages, or each in several writes of any length.
  if (prng.chance(0.5)) session.cut = (rest) => (prng.chance(0.5) ? rest : 1 + prng.below(rest));
  try {
    const budget = Math.min(poolBytes * 2, MESSAGES_MAX * cell.messageBytes);
    session.pump(budget);
    await runLaps(session, connection.writer, budget / LAPS, cell.quietMs ?? 0);
    const pausedBytes = writer.counts.acceptedBytes;
    for (let portion = 0; portion < PORTIONS; portion++) {
      await readPortion(session, open, 1 + prng.below(PORTION_BYTES_MAX));
      writer.reclaim();
      session.pump(Math.min(budget, PORTION_BYTES_MAX));
    }
    session.stop();
    const isWhole = await drain(session, open);
    if (isWhole && pool !== null) await untilLanded(session, open, pool);
    const { copiedBytes } = writer.counts;
    const refills = feed instanceof PageFeed ? feed.refillCount : 0;
    return {
      ...session.findings,
      offer: offer.name,
      cell,
      refills,
      copiedBytes,
      pausedBytes,
      isWhole,
    };
  } finally {
    session.stop();
    open.close();
    if (pool !== null) assert.equal(pool.stats().free, pool.pageCount, 'every page comes back');
  }
}

/** Reclaims and writes on while nobody reads, until nothing moves any more. */
async function runLaps(
  session: OutputSession,
  fd: number,
  lapBytes: number,
  quietMs: number,
): Promise<void> {
  const { writer } = session;
  const startMs = performance.now();
  let movedMs = startMs;
  let [accepted, unacked] = [-1, -1];
  for (let lap = 0; lap < LAPS || performance.now() < movedMs + quietMs; lap++) {
    await pause(lap % 2 === 0 ? 0 : LAP_MS);
    writer.reclaim();
    session.pump(lapBytes);
    const isMoving = accepted !== writer.counts.acceptedBytes || unacked !== bytesUnacked(fd);
    [accepted, unacked] = [writer.counts.acceptedBytes, bytesUnacked(fd)];
    if (isMoving) movedMs = Math.min(performance.now(), startMs + LAPS_MS_MAX);
  }
}

async function readPortion(session: OutputSession, open: OpenOffer, bytes: number): Promise<void> {
  for (let taken = 0; taken < bytes; ) {
    const count = await session.take(bytes - taken);
    if (count === 0) return;
    taken += count;
    open.consumed(session.findings.bytes);
    session.flush();
  }
}

/** Whether everything was read; else it was only slow. */
async function drain(session: OutputSession, open: OpenOffer): Promise<boolean> {
  const startMs = Date.now();
  const { counts } = session.writer;
  let progressMs = startMs;
  while (session.findings.bytes < counts.acceptedBytes) {
    session.flush();
    const taken = await session.take(1 << 20);
    const nowMs = Date.now();
    if (taken > 0) progressMs = nowMs;
    else if (nowMs - startMs > DRAIN_MS && progressMs > startMs) return false;
    else await pause(1);
    open.consumed(session.findings.bytes);
    session.writer.reclaim();
    const { bytes } = session.findings;
    const words = `stuck: ${bytes} of ${counts.acceptedBytes} bytes were read`;
    assert.ok(nowMs - progressMs < STANDSTILL_MS, words);
  }
  return true;
}

/** Everything is read: the policy must say so within the time of a delayed ACK. */
async function untilLanded(session: OutputSession, open: OpenOffer, pool: PagePool): Promise<void> {
  if (open.isAbandoned === true) return;
  const endMs = Date.now() + FLIGHTS_MS;
  while (session.writer.flightCount > 0) {
    session.writer.reclaim();
    assert.ok(Date.now() < endMs, `${session.writer.flightCount} flights never end`);
    if (session.writer.flightCount > 0) await pause(2);
  }
  assert.equal(pool.stats().inFlight, 0);
}
