import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, ECONNREFUSED, ECONNRESET, ENOBUFS, ENOMSG, EPERM } from '../sys/errno.ts';
import { addonSkipReason, failCall, native } from '../sys/index.ts';
import { replaceNative } from '../sys/load.ts';
import { recv } from '../sys/socket.ts';
import { connected } from './connections.test-data.ts';
import { MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
import { type PageSource, pageSources, payloadSource } from './output-source.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const BY_REFERENCE = { copiedCallsMax: Number.POSITIVE_INFINITY };
const IPPROTO_IP = 0;
const IP_RECVERR = 11;

/** [code, low, high] as the error queue would give them, in this order. */
type Notice = readonly [code: number, low: number, high: number];

/** Answers every reading of the error queue from a list; restored at the end of the test. */
function forgeNotices(t: TestContext): Notice[] {
  const notices: Notice[] = [];
  const before = native();
  replaceNative({
    ...before,
    receiveNotifications(_fd: number, triples: Int32Array, count: number): number {
      const some = notices.splice(0, count);
      triples.set(some.flat());
      return some.length > 0 ? some.length : -EAGAIN;
    },
  });
  t.after(() => replaceNative(before));
  return notices;
}

function lentPages(pool: PagePool, count: number): PageSource[] {
  const sources = pageSources(pool);
  return Array.from({ length: count }, () => {
    const page = pool.acquire(1);
    pool.retain(page);
    pool.stopFilling(page);
    return sources[page]!;
  });
}

test('notices may be ranges, out of order, late and twice', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'tcp');
  const writer = new MsgZerocopyWriter(fd, { ...BY_REFERENCE, callsBefore: 0xffff_fffe });
  const pool = PagePool.create({ pageBytes: 4096, pageCount: 6 });
  const notices = forgeNotices(t);
  for (const source of lentPages(pool, 6)) {
    assert.equal(writer.write(source, 0, 4096), 4096);
    pool.release(source.page);
    recv(peer, new Uint8Array(4096), 0, 4096);
  }
  assert.equal(writer.flightCount, 6);
  const after = (...list: Notice[]): number => {
    notices.push(...list, [-ENOMSG, 0, 0]);
    return writer.reclaim();
  };
  assert.equal(after([0, 0, 1]), 0, 'calls 2 and 3');
  assert.equal(after([1, -2, -2]), 1, 'call 0');
  assert.equal(after([0, -2, -2], [0, 100, 200]), 0);
  assert.equal(after([0, -1, 0]), 3, 'call 1, and with it 2 and 3');
  assert.equal(after([0, 3, 3], [1, 2, 2]), 2);
  assert.equal(writer.flightCount, 0);
  assert.equal(pool.freeCount(), 6);
  writer.close();
});

test('more notices than one reading takes', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'tcp');
  const writer = new MsgZerocopyWriter(fd, BY_REFERENCE);
  const pool = PagePool.create({ pageBytes: 4096, pageCount: 200 });
  const notices = forgeNotices(t);
  for (const source of lentPages(pool, 200)) {
    assert.equal(writer.write(source, 0, 10), 10);
    pool.release(source.page);
    recv(peer, new Uint8Array(10), 0, 10);
  }
  for (let call = 0; call < 200; call += 1) notices.push([0, call, call]);
  assert.equal(writer.reclaim(), 200);
  writer.close();
});

test('an error in the queue ends a stream, behind the notices beside it', needsAddon, (t) => {
  const { fd } = connected(t, 'tcp');
  const writer = new MsgZerocopyWriter(fd, BY_REFERENCE);
  const pool = PagePool.create({ pageBytes: 4096, pageCount: 2 });
  const notices = forgeNotices(t);
  for (const source of lentPages(pool, 2)) {
    writer.write(source, 0, 4096);
    pool.release(source.page);
  }
  notices.push([-ECONNRESET, 0, 0], [0, 0, 0]);
  assert.equal(writer.reclaim(), 1);
  assert.equal(writer.flush(), -ECONNRESET);
  assert.equal(writer.write(payloadSource(new Uint8Array(1)), 0, 1), -ECONNRESET);
  assert.equal(writer.flightCount, 1);
  writer.close();
  assert.equal(pool.stats().stale, 1);
});

test('one writer counts the calls of a socket', needsAddon, (t) => {
  const { fd } = connected(t, 'tcp');
  new MsgZerocopyWriter(fd).close();
  assert.throws(() => new MsgZerocopyWriter(fd), { code: 'MR_OUTPUT_MECHANISM' });
  new MsgZerocopyWriter(fd, { callsBefore: 0 }).close();
});

test(
  'after eight copied calls in a row it copies; one that was not starts anew',
  needsAddon,
  (t) => {
    const { fd, peer } = connected(t, 'tcp');
    const writer = new MsgZerocopyWriter(fd);
    const notices = forgeNotices(t);
    const source = payloadSource(new Uint8Array(10));
    const write = (): void => {
      assert.equal(writer.write(source, 0, 10), 10);
      recv(peer, new Uint8Array(10), 0, 10);
    };
    for (let call = 0; call < 20; call += 1) write();
    notices.push([1, 0, 6], [0, 7, 7], [1, 8, 14]);
    writer.reclaim();
    assert.equal(writer.isCopied, false);
    notices.push([1, 15, 15]);
    writer.reclaim();
    assert.equal(writer.isCopied, true);
    write();
    const { copiedBytes, degradedCount } = writer.counts;
    assert.deepEqual([copiedBytes, degradedCount], [10, 1]);
    writer.close();
  },
);

test('UDP: a refused datagram that may have a number ends the counting', needsAddon, (t) => {
  const source = payloadSource(new Uint8Array(10));
  const refuse = (fd: number, errno: number): MsgZerocopyWriter => {
    const writer = new MsgZerocopyWriter(fd, BY_REFERENCE);
    const fault = failCall({ call: 'send', nth: 1, errno });
    writer.write(source, 0, 10);
    fault.restore();
    return writer;
  };
  const filtered = refuse(connected(t, 'udp').fd, EPERM);
  assert.equal(filtered.isCopied, true, 'a packet filter sees it after it was counted');
  assert.equal(filtered.write(source, 0, 10), 10, 'the socket goes on');
  assert.equal(refuse(connected(t, 'udp').fd, ECONNREFUSED).isCopied, true);
  assert.equal(refuse(connected(t, 'udp').fd, ENOBUFS).isCopied, false);
  const { fd } = connected(t, 'udp');
  const on = new Uint8Array(Int32Array.of(1).buffer);
  assert.equal(native().setsockoptBytes(fd, IPPROTO_IP, IP_RECVERR, on, 0, 4), 0);
  assert.equal(refuse(fd, ENOBUFS).isCopied, true, 'the device may have said so');
});
