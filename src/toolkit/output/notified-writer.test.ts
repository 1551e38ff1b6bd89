import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EPOLLERR, EPOLLIN, epollAdd, epollCreate, epollWait } from '../sys/epoll.ts';
import { EBADF, ECONNRESET, EMSGSIZE, ENOBUFS, ENOMEM, EPIPE } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason, failCall } from '../sys/index.ts';
import { recv, setLinger } from '../sys/socket.ts';
import { until, waitHungUp, waitReadable } from '../sys/wait.test-data.ts';
import {
  connected,
  fillPattern,
  ipv6SkipReason,
  openFdCount,
  readExactly,
  readSome,
  type Transport,
} from './connections.test-data.ts';
import { MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
import type { NotifiedOptions, NotifiedWriter } from './notified-writer.ts';
import { fileSource, pageSources, payloadSource } from './output-source.ts';
import { PageStream } from './page-stream.test-data.ts';
import { closeThreadRing, uringOfThread } from './uring-ring.ts';
import { UringZerocopyWriter } from './uring-zerocopy-writer.ts';

const TIMEOUT_MS = 120_000;
/** Never copies by itself: what is tested is the way by reference. */
const BY_REFERENCE: NotifiedOptions = { copiedCallsMax: Number.POSITIVE_INFINITY };

/** The peer cannot hold what the socket takes: some of it stays until the peer reads. */
const UNEQUAL = { sendBufferBytes: 262_144, receiveBufferBytes: 65_536 };

interface Make {
  new (fd: number, options?: NotifiedOptions): NotifiedWriter;
}

const WRITERS: readonly [string, Make, string | false][] = [
  ['msgZerocopy', MsgZerocopyWriter, addonSkipReason()],
  ['uringZerocopy', UringZerocopyWriter, uringSkipReason()],
];

function uringSkipReason(): string | false {
  if (addonSkipReason() !== false) return addonSkipReason();
  try {
    uringOfThread();
    return false;
  } catch (error) {
    return String(error);
  } finally {
    closeThreadRing();
  }
}

function testEach(
  title: string,
  transports: readonly Transport[],
  body: (t: TestContext, Writer: Make, transport: Transport) => void | Promise<void>,
): void {
  for (const [name, Writer, skip] of WRITERS) {
    for (const transport of transports) {
      const reason = skip || (transport.endsWith('6') && ipv6SkipReason());
      test(`${name}, ${transport}: ${title}`, { skip: reason, timeout: TIMEOUT_MS }, (t) =>
        body(t, Writer, transport),
      );
    }
  }
}

/** Reclaims until nothing is in flight; the notices of what the peer has received are due. */
async function settle(writer: NotifiedWriter): Promise<void> {
  await until(() => {
    writer.reclaim();
    return writer.flightCount === 0;
  }, 'every call has had its notice');
}

testEach('pages come back, the bytes arrive', ['tcp', 'tcp6'], async (t, Writer, transport) => {
  const { fd, peer } = connected(t, transport);
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer);
  await until(() => {
    stream.fill();
    assert.equal(stream.wrongOfSent(peer), 0);
    return stream.acceptedBytes > stream.pool.pageCount * stream.pool.pageBytes * 3;
  }, 'every page goes round three times');
  await settle(writer);
  assert.equal(writer.counts.copiedBytes, 0);
  assert.equal(writer.counts.acceptedBytes, writer.counts.sentBytes);
  stream.close();
  assert.equal(stream.pool.freeCount(), stream.pool.pageCount);
  writer.close();
  assert.equal(stream.pool.stats().stale, 0);
});

testEach('paused reader: nothing rewritten is seen', ['tcp', 'tcp6'], async (t, Writer, kind) => {
  for (const writeBytes of [1000, 4097, 16_384]) {
    const buffers = { sendBufferBytes: 65_536, receiveBufferBytes: 65_536 };
    const connection = connected(t, kind, buffers);
    const { fd, peer } = connection;
    const writer = new Writer(fd, BY_REFERENCE);
    const stream = new PageStream(writer, { pageBytes: 16_384, pageCount: 2, writeBytes });
    for (let pause = 0; pause < 4; pause += 1) {
      await until(() => stream.fill(50) > 0, 'what was read comes back');
      assert.equal(stream.wrongOfSent(peer), 0);
    }
    stream.close();
    writer.close();
    connection.close();
  }
});

testEach(
  'a local peer: the kernel copies, the writer notices',
  ['tcp'],
  async (t, Writer, kind) => {
    const { fd, peer } = connected(t, kind);
    const writer = new Writer(fd);
    const stream = new PageStream(writer);
    assert.equal(writer.isCopied, false);
    await until(() => {
      stream.fill();
      assert.equal(stream.wrongOfSent(peer), 0);
      return writer.isCopied;
    }, 'the notices say that it was copied');
    assert.equal(writer.counts.degradedCount, 1, 'said once');
    await settle(writer);
    const { copiedBytes } = writer.counts;
    const written = stream.fill();
    assert.ok(written > 0);
    assert.equal(writer.counts.copiedBytes - copiedBytes, written);
    assert.equal(writer.flightCount, 0, 'nothing is lent for a copy');
    assert.equal(stream.wrongOfSent(peer), 0);
    stream.close();
    writer.close();
  },
);

testEach('one write is one datagram', ['udp', 'udp6'], async (t, Writer, transport) => {
  const { fd, peer } = connected(t, transport);
  const writer = new Writer(fd, BY_REFERENCE);
  const pool = PagePool.create({ pageBytes: 131_072, pageCount: 1 });
  const source = pageSources(pool)[0]!;
  pool.acquire(1);
  fillPattern(pool.bytes);
  for (const length of [1, 1400, 4096, 9000, 60_000]) {
    assert.equal(writer.write(source, 3, length), length);
    waitReadable(peer);
    assert.deepEqual(readSome(peer), pool.bytes.slice(3, 3 + length));
  }
  await settle(writer);
  assert.equal(writer.write(source, 0, 70_000), -EMSGSIZE);
  assert.equal(writer.write(source, 7, 100), 100, 'the socket goes on');
  waitReadable(peer);
  assert.deepEqual(readSome(peer), pool.bytes.slice(7, 107));
  await settle(writer);
  writer.close();
  assert.equal(pool.stats().stale, 0);
});

testEach('payloads are sent and never lent', ['tcp', 'udp'], (t, Writer, transport) => {
  const { fd, peer } = connected(t, transport);
  const writer = new Writer(fd, BY_REFERENCE);
  const source = payloadSource(fillPattern(new Uint8Array(10_000)), 10, 9_000);
  assert.equal(writer.write(source, 5, 8_000), 8_000);
  waitReadable(peer);
  assert.deepEqual(readExactly(peer, 8_000), source.bytes.slice(15, 8_015));
  assert.equal(writer.flightCount, 0);
  writer.close();
});

testEach('what it cannot send is refused', ['tcp'], (t, Writer, transport) => {
  const { fd } = connected(t, transport);
  const writer = new Writer(fd);
  assert.throws(() => writer.write(fileSource(0), 0, 1), { code: 'MR_OUTPUT_SOURCE' });
  const source = payloadSource(new Uint8Array(10));
  assert.throws(() => writer.write(source, 0, 0), { code: 'MR_ASSERT' });
  assert.throws(() => writer.write(source, 5, 6), { code: 'MR_ASSERT' });
  writer.close();
  assert.equal(writer.write(source, 0, 1), -EBADF);
});

testEach('sockets that it cannot serve are refused', ['unix'], (t, Writer, transport) => {
  assert.throws(() => new Writer(connected(t, transport).fd), { code: 'MR_OUTPUT_MECHANISM' });
  const file = openSync('/dev/null', 'r');
  t.after(() => closeFd(file));
  assert.throws(() => new Writer(file), { code: 'MR_OUTPUT_MECHANISM' });
});

testEach(
  'a full socket is an answer; close marks what is in flight',
  ['tcp'],
  (t, Writer, kind) => {
    const { fd, peer } = connected(t, kind, UNEQUAL);
    const writer = new Writer(fd, BY_REFERENCE);
    const stream = new PageStream(writer, { pageCount: 64 });
    stream.fill(3);
    assert.ok(writer.counts.fullCount > 0);
    const inFlight = writer.flightCount;
    assert.ok(inFlight > 0, 'what is not sent yet has had no notice');
    const { sentBytes } = writer.counts;
    stream.close();
    const reclaim = writer.reclaim.bind(writer);
    let landed = 0;
    writer.reclaim = () => {
      const count = reclaim();
      landed += count;
      return count;
    };
    writer.close();
    writer.close();
    assert.equal(writer.flightCount, 0);
    const { stale, free } = stream.pool.stats();
    assert.ok(stale > 0);
    assert.deepEqual([stale, free], [inFlight - landed, 64], 'but for notices that have just come');
    // Whoever gets a stale page now gets other memory: what is under way stays what it was.
    const other = new PagePool(stream.pool.handle, 2);
    for (let page = 0; page < 64; page += 1) other.acquire();
    stream.pool.bytes.fill(0xdb);
    assert.equal(stream.pool.stats().stale, 0);
    assert.equal(stream.wrongBytes(peer, sentBytes), 0);
  },
);

testEach('a closed writer asks nothing of a number that is reused', ['tcp'], (t, Writer, kind) => {
  const { fd } = connected(t, kind, { sendBufferBytes: 65_536, receiveBufferBytes: 65_536 });
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer, { pageCount: 16 });
  stream.fill();
  writer.close();
  const fault = failCall({ call: 'receiveNotifications', nth: 1, errno: EBADF });
  assert.equal(writer.reclaim(), 0);
  assert.equal(writer.flush(), -EBADF);
  writer.close();
  assert.equal(fault.calls, 0);
  fault.restore();
  stream.close();
});

testEach('closed after its socket: the number is not asked', ['tcp'], (t, Writer, kind) => {
  const { fd } = connected(t, kind, { sendBufferBytes: 65_536, receiveBufferBytes: 65_536 });
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer, { pageCount: 16 });
  stream.fill();
  const inFlight = writer.flightCount;
  assert.ok(inFlight > 0);
  closeFd(fd);
  const other = connected(t, 'unix');
  assert.ok([other.fd, other.peer].includes(fd), 'another socket has the number');
  const fault = failCall({ call: 'receiveNotifications', nth: 1, errno: EBADF });
  writer.close();
  assert.equal(fault.calls, 0);
  fault.restore();
  stream.close();
  const { stale } = stream.pool.stats();
  assert.ok(stale > 0 && stale <= inFlight, `${stale} of ${inFlight}`);
});

testEach('a socket that was closed too early keeps no page', ['tcp'], (t, Writer, kind) => {
  const { fd } = connected(t, kind, { sendBufferBytes: 65_536, receiveBufferBytes: 65_536 });
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer, { pageCount: 16 });
  stream.fill();
  const call = writer.mechanism === 'uringZerocopy' ? 'uringPrepareSend' : 'send';
  const fault = failCall({ call, nth: 1, errno: EBADF });
  assert.equal(writer.write(payloadSource(new Uint8Array(1)), 0, 1), -EBADF);
  fault.restore();
  writer.close();
  stream.close();
  assert.equal(stream.pool.freeCount(), 16);
});

testEach('late notices of a closed writer are nobody else’s', ['tcp'], async (t, Writer, kind) => {
  const first = connected(t, kind, UNEQUAL);
  const closed = new Writer(first.fd, BY_REFERENCE);
  const stream = new PageStream(closed, { pageCount: 16 });
  stream.fill();
  assert.ok(closed.flightCount > 0);
  closed.close();
  const second = connected(t, kind, UNEQUAL);
  const writer = new Writer(second.fd, BY_REFERENCE);
  const other = new PageStream(writer, { pageCount: 16 });
  other.fill();
  const inFlight = writer.flightCount;
  assert.ok(inFlight > 0);
  assert.equal(stream.wrongOfSent(first.peer), 0, 'the first peer gets all it was promised');
  await new Promise((resolve) => setTimeout(resolve, 100));
  writer.reclaim();
  assert.ok(writer.flightCount > 0, 'its own bytes have not moved');
  assert.equal(other.wrongOfSent(second.peer), 0);
  await settle(writer);
  other.close();
  writer.close();
});

testEach('what is done wakes an epoll', ['tcp'], async (t, Writer, transport) => {
  const { fd, peer } = connected(t, transport, UNEQUAL);
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer, { pageCount: 16 });
  stream.fill();
  assert.ok(writer.flightCount > 0);
  const isRing = writer instanceof UringZerocopyWriter;
  const epollFd = epollCreate();
  t.after(() => closeFd(epollFd));
  const pairs = new Int32Array(2);
  epollAdd(epollFd, isRing ? writer.wakeFd : fd, isRing ? EPOLLIN : EPOLLERR, 7);
  // What the peer has room for is done by and by.
  const isQuiet = (): boolean => {
    writer.reclaim();
    return epollWait(epollFd, pairs, 1, 0) === 0;
  };
  await until(isQuiet, 'nothing more is done while the peer does not read');
  assert.ok(writer.flightCount > 0);
  await until(() => {
    readSome(peer);
    if (epollWait(epollFd, pairs, 1, 10) === 0) return false;
    assert.deepEqual([...pairs], [7, isRing ? EPOLLIN : EPOLLERR]);
    writer.reclaim();
    return writer.flightCount === 0;
  }, 'each notice wakes it');
  await until(isQuiet, 'and nothing more wakes it');
  stream.close();
  writer.close();
});

testEach('no room for a call: this write is a copy', ['tcp', 'udp'], async (t, Writer, kind) => {
  const { fd, peer } = connected(t, kind);
  const writer = new Writer(fd, BY_REFERENCE);
  const pool = PagePool.create({ pageBytes: 8192, pageCount: 1 });
  const source = pageSources(pool)[0]!;
  pool.acquire(1);
  fillPattern(pool.bytes);
  const isRing = writer.mechanism === 'uringZerocopy';
  for (const errno of [ENOBUFS, ENOMEM]) {
    const { copiedBytes, degradedCount } = writer.counts;
    const fault = failCall({ call: isRing ? 'uringEnter' : 'send', nth: 1, errno });
    assert.equal(writer.write(source, 0, 5000), 5000);
    fault.restore();
    assert.equal(writer.counts.copiedBytes - copiedBytes, 5000);
    assert.equal(writer.counts.degradedCount - degradedCount, 1);
    assert.equal(writer.flightCount, 0);
    waitReadable(peer);
    assert.deepEqual(readExactly(peer, 5000), pool.bytes.slice(0, 5000));
  }
  assert.equal(writer.write(source, 0, 5000), 5000);
  assert.equal(writer.counts.copiedBytes, 10_000, 'the next one goes by reference again');
  waitReadable(peer);
  assert.deepEqual(readExactly(peer, 5000), pool.bytes.slice(0, 5000));
  await settle(writer);
  writer.close();
});

testEach('a reset ends the connection and nothing leaks', ['tcp'], (t, Writer, transport) => {
  const connection = connected(t, transport);
  const { fd, peer } = connection;
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer);
  stream.fill();
  setLinger(peer, 0);
  connection.closePeer();
  // Not only readable: notices are, too.
  waitHungUp(fd);
  const source = payloadSource(new Uint8Array(10));
  const first = writer.write(source, 0, 10);
  assert.ok(first === -ECONNRESET || first === -EPIPE, `${first}`);
  assert.equal(writer.write(source, 0, 10), first, 'the first errno is the last answer');
  assert.equal(writer.flush(), first);
  writer.reclaim();
  stream.close();
  writer.close();
  assert.equal(stream.pool.freeCount(), stream.pool.pageCount);
});

testEach('EAGAIN takes no number of a call', ['tcp'], async (t, Writer, transport) => {
  const { fd, peer } = connected(t, transport, { sendBufferBytes: 4096 });
  const writer = new Writer(fd, BY_REFERENCE);
  const stream = new PageStream(writer, { pageBytes: 4096, pageCount: 64, writeBytes: 700 });
  for (let round = 0; round < 30; round += 1) {
    stream.fill(3);
    assert.equal(stream.wrongOfSent(peer), 0);
  }
  assert.ok(writer.counts.fullCount > 30);
  await settle(writer);
  stream.close();
  writer.close();
  assert.equal(stream.pool.stats().stale, 0);
});

testEach('thousands of connections leave nothing behind', ['tcp'], (t, Writer, transport) => {
  const pool = PagePool.create({ pageBytes: 4096, pageCount: 4 });
  const sources = pageSources(pool);
  const run = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      const connection = connected(t, transport);
      const { fd, peer } = connection;
      const writer = new Writer(fd, BY_REFERENCE);
      const page = pool.acquire(1);
      assert.ok(page >= 0);
      pool.retain(page);
      pool.stopFilling(page);
      assert.equal(writer.write(sources[page]!, 0, 4096), 4096);
      pool.release(page);
      if (i % 2 === 0) readExactly(peer, 4096);
      writer.close();
      connection.close();
    }
  };
  run(1);
  const before = openFdCount();
  run(1000);
  assert.equal(openFdCount(), before);
  assert.equal(pool.freeCount(), 4);
  assert.equal(recv(999_999, new Uint8Array(1), 0, 1), -EBADF);
});

test('the ring of the thread is one fd, and ends', { skip: uringSkipReason() }, (t) => {
  closeThreadRing();
  const before = openFdCount();
  const writers = [1, 2, 3].map(() => new UringZerocopyWriter(connected(t, 'tcp').fd));
  assert.equal(openFdCount() - before, 3 * 2 + 1);
  const source = payloadSource(new Uint8Array(10));
  assert.equal(writers[0]!.write(source, 0, 10), 10);
  assert.equal(writers[0]!.counts.copiedBytes, 0);
  closeThreadRing();
  assert.equal(openFdCount() - before, 3 * 2);
  assert.equal(writers[0]!.write(source, 0, 10), 10, 'without a ring it copies');
  assert.equal(writers[0]!.counts.copiedBytes, 10);
  for (const writer of writers) writer.close();
});
