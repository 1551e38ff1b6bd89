/** What a writer may still do when its end comes in the wrong order, or has come. */
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PagePool } from '../pages/index.ts';
import { EBADF } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason } from '../sys/index.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { connected } from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import { openOutput } from './open-output.ts';
import { fileSource, type OutputSource, pageSources, payloadSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { PeerQueueReclaim } from './peer-queue-reclaim.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const OWNER = 1;

test('after close() a writer sends nothing more', needsAddon, (t) => {
  const bytes = payloadSource(new Uint8Array(4096));
  const file = openSync(fileURLToPath(import.meta.url), 'r');
  t.after(() => closeFd(file));
  const cases: readonly [(fd: number) => OutputWriter, OutputSource][] = [
    [(fd) => new CopyWriter(fd), bytes],
    [(fd) => new FileWriter(fd), fileSource(file)],
    [(fd) => new SpliceWriter(fd, new ApplicationAckReclaim()), bytes],
    [(fd) => openOutput(fd, { payload: 'pages' }), bytes],
    [(fd) => openOutput(fd, { payload: 'file' }), fileSource(file)],
  ];
  for (const [open, source] of cases) {
    const { fd } = connected(t, 'unix');
    const writer = open(fd);
    assert.equal(writer.write(source, 0, 100), 100, writer.mechanism);
    assert.equal(writer.flush(), 0);
    writer.close();
    assert.equal(writer.write(source, 0, 100), -EBADF, writer.mechanism);
  }
});

test('a socket with the old number proves nothing about the old pages', needsAddon, (t) => {
  const pool = PagePool.create({ pageCount: 2, pageBytes: 65_536 });
  const first = connected(t, 'unix');
  const writer = new SpliceWriter(first.fd, new PeerQueueReclaim(first.fd, { reader: 'recv' }));
  const page = pool.acquire(OWNER);
  assert.equal(writer.write(pageSources(pool)[page]!, 0, 65_536), 65_536);
  assert.equal(writer.flush(), 0);
  pool.stopFilling(page);
  // The wrong order: the number is free, and the next socket gets it. Its queue is empty.
  closeFd(first.fd);
  const second = connected(t, 'unix');
  assert.ok([second.fd, second.peer].includes(first.fd), 'the number is used again');
  writer.close();
  const { stale, inFlight } = pool.stats();
  assert.deepEqual({ stale, inFlight }, { stale: 1, inFlight: 0 });
});
