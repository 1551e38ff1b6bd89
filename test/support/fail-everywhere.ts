/**
 * Faults at the system calls of a writer: a life of a connection is led once for every call that
 * it makes, and that call fails, once or from there on.
 */
import assert from 'node:assert/strict';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import type { PagePool } from '../../src/toolkit/pages/index.ts';
import {
  type CallFault,
  closeFd,
  ECONNRESET,
  ENOMEM,
  failCall,
  NATIVE_FUNCTION_NAMES,
} from '../../src/toolkit/sys/index.ts';
import type { Offer, OpenOffer } from './output-offers.ts';
import { connectPath, FdReader, openFds, type Path } from './output-rig.ts';
import { makePool, type OpenSession, openSession, pause, refillAll } from './output-session.ts';
import { closeThreads } from './peer-rig.ts';

/** The real close(2) would be left out, and the fd with it. */
const NOT_FAILED: readonly string[] = ['closeFd', 'exitNow'];
const CALLS: readonly CallFault['call'][] = NATIVE_FUNCTION_NAMES.filter(
  (name) => !NOT_FAILED.includes(name),
);
const SHAPE = { connection: 9, messageBytes: 20_000, start: 100 };
const BYTES = 300_000;
const FOR_GOOD = 1e9;

interface Bench {
  readonly writer: number;
  readonly stream: FdReader;
  readonly pool: PagePool;
}

/** A life of a connection, every part of the writer included. Throws what the writer throws. */
async function live(offer: Offer, { writer, stream, pool }: Bench): Promise<OpenSession> {
  const opened = openSession(offer, writer, stream, { shape: SHAPE, bytes: BYTES, pool });
  const { session, open } = opened;
  session.pump(BYTES);
  for (let lap = 0; lap < 3; lap++) {
    await session.take(150_000);
    open.consumed(session.findings.bytes);
    session.writer.reclaim();
    session.pump(100_000);
  }
  session.stop();
  open.close();
  return opened;
}

/** All that the socket had taken has come, and is right. */
async function checkStream({ session }: OpenSession, where: string): Promise<void> {
  const { sentBytes } = session.writer.counts;
  for (const end = Date.now() + 30_000; session.findings.bytes < sentBytes; ) {
    if ((await session.take(1 << 20)) === 0) await pause(1);
    assert.ok(Date.now() < end, `${where}: ${session.findings.bytes} of ${sentBytes} bytes`);
  }
  const more = await session.take(1 << 20);
  assert.equal(more, 0, `${where}: more came than was sent`);
  assert.equal(session.findings.corrupt, 0, `${where}: ${session.findings.words.join('; ')}`);
}

/** How often the call of each fault was made. */
async function runOnce(
  offer: Offer,
  path: Path,
  faults: readonly CallFault[],
): Promise<readonly number[]> {
  const [{ call, nth, count }] = faults as [CallFault];
  const where = `${offer.name} on ${path}, ${call} ${nth} x ${count}`;
  closeThreads();
  const fds = openFds();
  const { writer, reader } = connectPath(path);
  const bench: Bench = { writer, stream: new FdReader(reader), pool: makePool(SHAPE, 1 << 19) };
  const seen: OpenOffer[] = [];
  const watched: Offer = {
    ...offer,
    open(fd, payload) {
      const open = offer.open(fd, payload);
      seen.push(open);
      return open;
    },
  };
  const sets = faults.map((fault) => failCall(fault));
  let opened: OpenSession | null = null;
  try {
    opened = await live(watched, bench);
  } catch (error) {
    assert.ok(error instanceof MillraceError, `${where}: ${String(error)}`);
    assert.notEqual(error.code, 'MR_ASSERT', where);
  } finally {
    refillAll(bench.pool);
    for (const set of sets.toReversed()) set.restore();
  }
  for (const open of seen) open.close();
  if (opened !== null) await checkStream(opened, where);
  bench.stream.close();
  closeFd(writer);
  closeThreads();
  assert.equal(openFds(), fds, `${where}: an fd is left`);
  assert.equal(bench.pool.stats().free, bench.pool.pageCount, `${where}: a page is away`);
  assert.equal(refillAll(bench.pool), bench.pool.pageCount, `${where}: a page is lost`);
  return sets.map(({ calls }) => calls);
}

/** Every place of every call, or the first few, one in the middle and the last. */
function placesOf(count: number, isFull: boolean): readonly number[] {
  const all = Array.from({ length: count }, (_, i) => i + 1);
  return isFull ? all : all.filter((nth) => nth < 3 || nth === count >> 1 || nth === count);
}

/** What was failed, in words. */
export async function failEverywhere(offer: Offer, path: Path, isFull: boolean): Promise<string> {
  let runs = 0;
  const never = CALLS.map((call) => ({ call, nth: FOR_GOOD, errno: ENOMEM }));
  const counts = await runOnce(offer, path, never);
  const made = CALLS.map((call, i) => ({ call, count: counts[i]! })).filter(
    ({ count }) => count > 0,
  );
  for (const { call, count } of made) {
    for (const nth of placesOf(count, isFull)) {
      await runOnce(offer, path, [{ call, nth, errno: ENOMEM, count: 1 }]);
      await runOnce(offer, path, [{ call, nth, errno: ECONNRESET, count: FOR_GOOD }]);
      runs += 2;
    }
  }
  assert.ok(runs > 0);
  return `${runs} failures of ${made.map(({ call, count }) => `${call} ${count}`).join(', ')}`;
}
