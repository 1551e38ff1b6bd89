import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, EMFILE, ENOMEM } from '../sys/errno.ts';
import { failCall } from '../sys/faults.ts';
import { addonSkipReason } from '../sys/load.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { connected, fillPattern, readExactly, STREAMS } from './connections.test-data.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { type PageSource, pageSources, payloadSource } from './output-source.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };

/** Two pages that one reader holds, and their sources. */
function twoPages(): { pool: PagePool; sources: readonly PageSource[] } {
  const pool = PagePool.create({ pageBytes: 4096, pageCount: 2 });
  for (const page of [pool.acquire(1), pool.acquire(1)]) {
    pool.retain(page);
    pool.stopFilling(page);
  }
  return { pool, sources: pageSources(pool) };
}

test('writes that follow one another in memory leave by two calls', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = payloadSource(fillPattern(new Uint8Array(1 << 20)));
  const writer = new SpliceWriter(fd, new ImmutableReclaim(), { corkBytes: 50_000 });
  for (let i = 0; i < 49; i++) assert.equal(writer.write(source, i * 1000, 1000), 1000);
  assert.equal(writer.pendingBytes, 49_000);
  assert.equal(writer.counts.callCount, 0);
  writer.write(source, 49_000, 1000);
  assert.equal(writer.pendingBytes, 0);
  assert.equal(writer.counts.callCount, 2);
  assert.ok(Buffer.compare(readExactly(peer, 50_000), source.bytes.subarray(0, 50_000)) === 0);
  writer.close();
});

test('other writes cost a slot of the pipe each, and keep their order', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = payloadSource(fillPattern(new Uint8Array(1 << 20)));
  const writer = new SpliceWriter(fd, new ImmutableReclaim(), { corkBytes: 50_000 });
  const expected: Uint8Array[] = [];
  // Backwards: no one follows the one before. The pipe is full long before the cork.
  for (let i = 199; i >= 0; i--) {
    assert.equal(writer.write(source, i * 10, 10), 10);
    expected.push(source.bytes.subarray(i * 10, i * 10 + 10));
  }
  const bytes = readExactly(peer, 1280);
  assert.equal(writer.flush(), 0);
  const all = Buffer.concat([bytes, readExactly(peer, 720)]);
  assert.ok(Buffer.compare(all, Buffer.concat(expected)) === 0);
  writer.close();
});

test('without a pipe it copies, and asks again after a while', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = payloadSource(new Uint8Array(1000));
  const writer = new SpliceWriter(fd, new ImmutableReclaim());
  const fault = failCall({ call: 'pipeCreate', nth: 1, errno: EMFILE, count: 2 });
  while (writer.counts.copiedBytes === writer.counts.sentBytes) {
    assert.equal(writer.write(source, 0, 1000), 1000);
    assert.equal(writer.flush(), 0);
    readExactly(peer, 1000);
  }
  fault.restore();
  assert.equal(fault.calls, 3);
  assert.equal(writer.counts.copiedBytes, 2 * 65 * 1000);
  assert.equal(writer.counts.degradedCount, 2 + 2 * 65);
  writer.close();
});

test('too many flights: copies, until some have ended', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const { sources } = twoPages();
  const policy = new ApplicationAckReclaim();
  const writer = new SpliceWriter(fd, policy);
  let sent = 0;
  const writeOne = (): void => {
    assert.equal(writer.write(sources[sent % 2]!, 0, 1), 1);
    sent++;
    if (sent % 64 !== 0) return;
    assert.equal(writer.flush(), 0);
    readExactly(peer, 64);
  };
  while (sent < 4096) writeOne();
  assert.deepEqual([writer.flightCount, writer.counts.copiedBytes], [4096, 0]);
  while (sent < 4096 + 64) writeOne();
  // Every other write is of the page that was lent last.
  assert.deepEqual([writer.flightCount, writer.counts.copiedBytes], [4096, 32]);
  policy.acknowledge(1);
  writeOne();
  assert.deepEqual([writer.flightCount, writer.counts.copiedBytes], [4096, 32]);
  writer.close();
});

test('a page that is in flight on 4,095 connections is copied to more', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const { pool, sources } = twoPages();
  fillPattern(pool.bytes);
  const writer = new SpliceWriter(fd, new ApplicationAckReclaim());
  for (let i = 0; i < 4095; i++) pool.lend(0);
  assert.equal(writer.write(sources[1]!, 0, 4096), 4096);
  assert.equal(writer.write(sources[0]!, 0, 4096), 4096);
  assert.equal(writer.counts.copiedBytes, 4096);
  const bytes = readExactly(peer, 8192);
  const expected = [pool.bytes.subarray(4096, 8192), pool.bytes.subarray(0, 4096)];
  assert.ok(Buffer.compare(bytes, Buffer.concat(expected)) === 0, 'in the order of the writes');
  writer.close();
});

test('vmsplice: EAGAIN is waiting, the first other errno stays for ever', needsAddon, (t) => {
  const { fd } = connected(t, 'unix');
  const { pool, sources } = twoPages();
  const writer = new SpliceWriter(fd, new ApplicationAckReclaim());
  assert.equal(writer.write(sources[0]!, 0, 4096), 4096);
  const full = failCall({ call: 'vmsplice', nth: 1, errno: EAGAIN });
  t.after(() => full.restore());
  assert.equal(writer.flush(), 4096);
  full.restore();
  const broken = failCall({ call: 'vmsplice', nth: 1, errno: ENOMEM });
  t.after(() => broken.restore());
  assert.equal(writer.flush(), -ENOMEM);
  broken.restore();
  assert.equal(writer.pendingBytes, 0);
  writer.close();
  assert.equal(writer.flightCount, 0);
  assert.deepEqual([pool.stats().inFlight, pool.stats().stale], [0, 1]);
  assert.equal(writer.write(sources[0]!, 0, 4096), -ENOMEM);
});

for (const stream of STREAMS) {
  test(`${stream}: a payload arrives, and residue follows`, needsAddon, (t) => {
    const { fd, peer } = connected(t, stream, { sendBufferBytes: 4096 });
    const writer = new SpliceWriter(fd, new ImmutableReclaim());
    const bytes = fillPattern(new Uint8Array(3 << 20));
    const source = payloadSource(bytes);
    let offset = 0;
    let read = 0;
    while (read < bytes.length) {
      if (offset < bytes.length) {
        const accepted = writer.write(source, offset, bytes.length - offset);
        if (accepted === -EAGAIN) assert.ok(writer.flush() >= 0);
        else assert.ok(accepted > 0, `${accepted}`);
        offset += Math.max(0, accepted);
      } else {
        writer.flush();
      }
      const { sentBytes } = writer.counts;
      const part = readExactly(peer, sentBytes - read);
      assert.ok(Buffer.from(part).equals(bytes.subarray(read, sentBytes)));
      read = sentBytes;
    }
    assert.equal(writer.pendingBytes, 0);
    writer.close();
  });

  test(`${stream}: a page is lent until the policy says`, needsAddon, (t) => {
    const { fd, peer } = connected(t, stream);
    const pool = PagePool.create({ pageBytes: 65_536, pageCount: 2 });
    const sources = pageSources(pool);
    const page = pool.acquire(1);
    fillPattern(pool.bytes);
    pool.retain(page);
    pool.stopFilling(page);
    const policy = new ApplicationAckReclaim();
    const writer = new SpliceWriter(fd, policy);
    assert.equal(writer.write(sources[page]!, 0, 65_536), 65_536);
    assert.equal(writer.flush(), 0);
    pool.release(page);
    assert.equal(writer.flightCount, 1);
    assert.equal(pool.stats().inFlight, 1);
    readExactly(peer, 65_536);
    policy.acknowledge(65_535);
    assert.equal(writer.reclaim(), 0);
    policy.acknowledge(65_536);
    assert.equal(writer.reclaim(), 1);
    assert.equal(pool.freeCount(), 2);
    writer.close();
  });
}
