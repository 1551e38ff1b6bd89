/**
 * Connections that are opened, written to, closed in every state, and leave nothing behind.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import type { PagePool } from '../../src/toolkit/pages/index.ts';
import { closeFd, setLinger } from '../../src/toolkit/sys/index.ts';
import { offersOn } from './output-offers.ts';
import { connectPath, FdReader, openFds, type Path } from './output-rig.ts';
import { makePool, openSession, refillAll } from './output-session.ts';
import { closeThreads } from './peer-rig.ts';

const PATHS: readonly Path[] = ['tcp4', 'unix'];
const SHAPE = { connection: 0, messageBytes: 8192, start: 0 };
/** Pages are lent to several connections' lives: one pool for all, as a server has it. */
const POOL_BYTES = 1 << 20;
const PAYLOAD_BYTES = 65_536;

export interface ManyResult {
  readonly connections: number;
  readonly pieces: number;
  readonly renewed: number;
}

async function runOne(path: Path, pool: PagePool, prng: Prng, connection: number): Promise<number> {
  const offers = offersOn(path);
  const offer = offers[prng.below(offers.length)]!;
  const { writer, reader } = connectPath(path);
  const stream = new FdReader(reader);
  const shape = { ...SHAPE, connection };
  const options = { shape, bytes: PAYLOAD_BYTES, pool };
  const { session, open } = openSession(offer, writer, stream, options);
  session.pump(1 + prng.below(150_000));
  if (prng.chance(0.7)) {
    await session.take(1 + prng.below(150_000));
    open.consumed(session.findings.bytes);
    session.writer.reclaim();
    session.pump(1 + prng.below(50_000));
  }
  session.stop();
  if (prng.chance(0.3)) setLinger(prng.chance(0.5) ? writer : reader, 0);
  const isReaderFirst = prng.chance(0.5);
  if (isReaderFirst) stream.close();
  if (prng.chance(0.5)) session.writer.flush();
  open.close();
  closeFd(writer);
  if (!isReaderFirst) stream.close();
  assert.equal(session.findings.corrupt, 0, `${offer.name}: ${session.findings.words.join('; ')}`);
  return session.findings.pieces;
}

/** Runs `count` of them after one another; throws on the first leak or corrupt page. */
export async function runMany(count: number, prng: Prng): Promise<ManyResult> {
  closeThreads();
  const fds = openFds();
  const pool = makePool(SHAPE, POOL_BYTES);
  let pieces = 0;
  for (let connection = 0; connection < count; connection++) {
    pieces += await runOne(PATHS[connection % PATHS.length]!, pool, prng, connection);
    assert.equal(pool.stats().free, pool.pageCount, `a page is away after ${connection}`);
  }
  closeThreads();
  assert.equal(openFds(), fds, 'an fd is left');
  assert.equal(refillAll(pool), pool.pageCount);
  return { connections: count, pieces, renewed: pool.stats().renewedCount };
}
