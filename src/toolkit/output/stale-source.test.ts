import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { addonSkipReason } from '../sys/load.ts';
import { bytesUnread } from '../sys/socket.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { connected, fillPattern, readExactly } from './connections.test-data.ts';
import { MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
import { pageSources } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const PAGE_BYTES = 65_536;

const WRITERS: Readonly<Record<string, (fd: number) => OutputWriter>> = {
  splice: (fd) => new SpliceWriter(fd, new ApplicationAckReclaim()),
  msgZerocopy: (fd) => new MsgZerocopyWriter(fd),
};

for (const [name, open] of Object.entries(WRITERS)) {
  test(`${name}: an earlier life of a page is an error, and is not sent`, needsAddon, (t) => {
    const { fd, peer } = connected(t, 'tcp');
    const pool = PagePool.create({ pageBytes: PAGE_BYTES, pageCount: 1, prefault: true });
    const source = pageSources(pool)[0]!;
    const writer = open(fd);
    pool.acquire(1);
    source.generation = pool.generation(0);
    pool.stopFilling(0);
    pool.acquire();
    fillPattern(pool.bytes);
    assert.throws(() => writer.write(source, 0, PAGE_BYTES), { code: 'MR_STALE_PAGE' });
    assert.equal(writer.flush(), 0);
    assert.deepEqual(
      [writer.flightCount, writer.counts.acceptedBytes, bytesUnread(peer)],
      [0, 0, 0],
    );
    source.generation = pool.generation(0);
    assert.equal(writer.write(source, 0, PAGE_BYTES), PAGE_BYTES);
    assert.equal(writer.flush(), 0);
    assert.ok(
      Buffer.from(readExactly(peer, PAGE_BYTES)).equals(pool.bytes),
      'the first byte is of it',
    );
    writer.close();
  });
}
