import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, ECONNREFUSED, EIO, EMFILE, EMSGSIZE, ENOMEM, EPERM } from '../sys/errno.ts';
import { failCall } from '../sys/faults.ts';
import { addonSkipReason } from '../sys/load.ts';
import { waitFailed, waitReadable } from '../sys/wait.test-data.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import {
  type Connection,
  connected,
  fillPattern,
  openFdCount,
  readSome,
} from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { pageSources, payloadSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const DATAGRAM_BYTES_MAX = 65_507;

/** Memory of which we know where OS pages start. */
function alignedPayload(): { source: ReturnType<typeof payloadSource>; bytes: Uint8Array } {
  const { bytes } = PagePool.create({ pageBytes: 131_072, pageCount: 1 });
  return { source: payloadSource(fillPattern(bytes)), bytes };
}

function udp(t: TestContext): Connection {
  return connected(t, 'udp', { receiveBufferBytes: 4 << 20 });
}

function readDatagram(peer: number): Uint8Array {
  waitReadable(peer);
  return readSome(peer, 131_072);
}

const WRITERS: Readonly<Record<string, (fd: number) => OutputWriter>> = {
  copy: (fd) => new CopyWriter(fd),
  splice: (fd) => new SpliceWriter(fd, new ImmutableReclaim()),
};

for (const [name, make] of Object.entries(WRITERS)) {
  test(`${name}: one write is one datagram, of any size and start`, needsAddon, (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const prng = new Prng(seed);
    const { fd, peer } = udp(t);
    const { source, bytes } = alignedPayload();
    const writer = make(fd);
    const lengths = [1, 4095, 4096, 4097, 8192, 40_960, 65_000, DATAGRAM_BYTES_MAX];
    for (let round = 0; round < 100; round++) {
      const length = lengths[prng.below(lengths.length)]!;
      const offset = prng.chance(0.5) ? 0 : prng.below(bytes.length - length);
      assert.equal(writer.write(source, offset, length), length);
      assert.equal(writer.flush(), 0);
      const datagram = readDatagram(peer);
      assert.ok(Buffer.compare(datagram, bytes.subarray(offset, offset + length)) === 0);
    }
    assert.equal(writer.counts.acceptedBytes, writer.counts.sentBytes);
    writer.close();
  });

  test(
    `${name}: a datagram that is too long is refused, the next arrives alone`,
    needsAddon,
    (t) => {
      const { fd, peer } = udp(t);
      const { source, bytes } = alignedPayload();
      const writer = make(fd);
      for (const [offset, length] of [
        [0, DATAGRAM_BYTES_MAX + 1],
        [0, 65_536],
        [1, 65_536],
        [0, 131_072],
      ] as const) {
        assert.equal(writer.write(source, offset, length), -EMSGSIZE);
        assert.equal(writer.counts.acceptedBytes, writer.counts.sentBytes);
        assert.equal(writer.write(source, 7, 100), 100);
        assert.ok(Buffer.compare(readDatagram(peer), bytes.subarray(7, 107)) === 0);
      }
      assert.equal(readSome(peer).length, 0);
      writer.close();
    },
  );

  test(`${name}: nobody listens: the errno of one datagram, not the end`, needsAddon, (t) => {
    const connection = udp(t);
    const { source } = alignedPayload();
    const writer = make(connection.fd);
    connection.closePeer();
    assert.equal(writer.write(source, 0, 100), 100);
    waitFailed(connection.fd);
    assert.equal(writer.write(source, 0, 100), -ECONNREFUSED);
    assert.equal(writer.write(source, 0, 100), 100);
    writer.close();
  });
}

test('a datagram of more OS pages than one sendmsg takes is copied', needsAddon, (t) => {
  const { fd, peer } = udp(t);
  const { source } = alignedPayload();
  const writer = new SpliceWriter(fd, new ImmutableReclaim());
  assert.equal(writer.write(source, 0, 65_000), 65_000);
  assert.equal(writer.counts.copiedBytes, 0);
  assert.equal(writer.write(source, 4000, 65_000), 65_000);
  assert.equal(writer.counts.copiedBytes, 65_000);
  assert.equal(writer.counts.degradedCount, 1);
  assert.equal(writer.write(source, 0, 100), 100);
  assert.equal(writer.counts.copiedBytes, 65_000, 'the next has an empty pipe');
  const lengths = [1, 2, 3].map(() => readDatagram(peer).length);
  assert.deepEqual(lengths, [65_000, 65_000, 100]);
  writer.close();
});

test('a full socket keeps the datagram: the next waits for it', needsAddon, (t) => {
  const { fd, peer } = udp(t);
  const { source, bytes } = alignedPayload();
  const writer = new SpliceWriter(fd, new ImmutableReclaim());
  const fault = failCall({ call: 'splice', nth: 1, errno: EAGAIN, count: 2 });
  assert.equal(writer.write(source, 0, 100), 100);
  assert.equal(writer.pendingBytes, 100);
  assert.equal(writer.write(source, 100, 100), -EAGAIN);
  assert.equal(writer.write(source, 100, 100), 100);
  fault.restore();
  assert.equal(writer.counts.fullCount, 2);
  assert.ok(Buffer.compare(readDatagram(peer), bytes.subarray(0, 100)) === 0);
  assert.ok(Buffer.compare(readDatagram(peer), bytes.subarray(100, 200)) === 0);
  writer.close();
});

test('a page is lent per datagram, and given back where it was refused', needsAddon, (t) => {
  const { fd, peer } = udp(t);
  const pool = PagePool.create({ pageBytes: 131_072, pageCount: 2 });
  const sources = pageSources(pool);
  for (const page of [pool.acquire(1), pool.acquire(1)]) {
    pool.retain(page);
    pool.stopFilling(page);
  }
  const policy = new ApplicationAckReclaim();
  const writer = new SpliceWriter(fd, policy);
  assert.equal(writer.write(sources[0]!, 0, 65_536), -EMSGSIZE);
  assert.equal(writer.flightCount, 0);
  assert.equal(writer.write(sources[0]!, 0, 1000), 1000);
  assert.equal(writer.write(sources[1]!, 0, 65_536), -EMSGSIZE);
  assert.equal(writer.write(sources[1]!, 0, 10), 10);
  assert.equal(writer.flightCount, 2);
  assert.deepEqual([readDatagram(peer).length, readDatagram(peer).length], [1000, 10]);
  policy.acknowledge(1009);
  assert.equal(writer.reclaim(), 1);
  writer.close();
  for (const page of [0, 1]) pool.release(page);
  assert.equal(pool.freeCount(), 2);
  assert.equal(pool.stats().stale, 1);
});

const FAULTS = [
  { call: 'pipeCreate', errno: EMFILE },
  { call: 'setPipeCapacity', errno: EPERM },
  { call: 'pipeCapacity', errno: EPERM },
  { call: 'vmsplice', errno: ENOMEM },
  { call: 'vmsplice', errno: EAGAIN },
  { call: 'splice', errno: ENOMEM },
  { call: 'splice', errno: EIO },
] as const;

for (const { call, errno } of FAULTS) {
  test(`${call} refused by errno ${errno}: whole datagrams, no fd is left`, needsAddon, (t) => {
    const { fd, peer } = udp(t);
    const { source, bytes } = alignedPayload();
    const fdCount = openFdCount();
    for (let nth = 1; nth <= 3; nth++) {
      const writer = new SpliceWriter(fd, new ImmutableReclaim());
      const fault = failCall({ call, nth, errno });
      for (let round = 0; round < 4; round++) {
        const sent = writer.write(source, round * 1000, 1000);
        const start = round * 1000;
        if (sent > 0) {
          assert.ok(Buffer.compare(readDatagram(peer), bytes.subarray(start, start + 1000)) === 0);
        } else assert.equal(sent, -errno);
      }
      assert.equal(writer.counts.acceptedBytes, writer.counts.sentBytes);
      fault.restore();
      writer.close();
    }
    assert.equal(openFdCount(), fdCount);
    assert.equal(readSome(peer).length, 0);
  });
}
