import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EAGAIN } from '../sys/errno.ts';
import { addonSkipReason } from '../sys/load.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { connected, fillPattern, readExactly, STREAMS } from './connections.test-data.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { pageSources, payloadSource } from './output-source.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };

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
