import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, EBADF, ECONNRESET, EPIPE } from '../sys/errno.ts';
import { addonSkipReason } from '../sys/load.ts';
import { setLinger, shutdown } from '../sys/socket.ts';
import { waitWritable } from '../sys/wait.test-data.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import {
  type Connection,
  connected,
  openFdCount,
  readExactly,
  STREAMS,
} from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { fileSource, type OutputSource, pageSources, payloadSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { SpliceWriter } from './splice-writer.ts';
import { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const BYTES = 10_000;

interface Made {
  readonly writer: OutputWriter;
  readonly source: OutputSource;
}

const MAKERS: Readonly<Record<string, (t: TestContext, fd: number) => Made>> = {
  copy: (_t, fd) => ({ writer: new CopyWriter(fd), source: payload() }),
  splice: (_t, fd) => ({ writer: new SpliceWriter(fd, new ImmutableReclaim()), source: payload() }),
  tee: (t, fd) => {
    const tee = TeePayload.fill(payload());
    t.after(() => tee.close());
    return { writer: new TeeWriter(fd, tee), source: tee.source };
  },
  file: (t, fd) => {
    const fileFd = openSync(fileURLToPath(import.meta.url), 'r');
    t.after(() => closeSync(fileFd));
    return { writer: new FileWriter(fd), source: fileSource(fileFd) };
  },
};

function payload(): ReturnType<typeof payloadSource> {
  return payloadSource(new Uint8Array(BYTES));
}

/** Writes and flushes until an errno comes; waits where the socket is full. */
function writeUntilRefused(writer: OutputWriter, source: OutputSource, peer: Connection): number {
  for (let round = 0; round < 10_000; round++) {
    const accepted = writer.write(source, 0, 1000);
    if (accepted < 0 && accepted !== -EAGAIN) return accepted;
    const pending = writer.flush();
    if (pending < 0) return pending;
    if (pending > 0 || accepted === -EAGAIN) waitWritable(peer.fd);
  }
  return 0;
}

for (const [name, make] of Object.entries(MAKERS)) {
  for (const stream of STREAMS) {
    test(`${name} on ${stream}: the peer closes`, needsAddon, (t) => {
      const connection = connected(t, stream);
      const { writer, source } = make(t, connection.fd);
      assert.equal(writer.write(source, 0, 1000), 1000);
      assert.equal(writer.flush(), 0);
      readExactly(connection.peer, 1000);
      connection.closePeer();
      const failed = writeUntilRefused(writer, source, connection);
      assert.ok(failed === -EPIPE || failed === -ECONNRESET, `${failed}`);
      assert.equal(writer.pendingBytes, 0);
      assert.ok(writer.write(source, 0, 1000) < 0);
      writer.close();
    });

    test(`${name} on ${stream}: reset while the socket is full`, needsAddon, (t) => {
      const connection = connected(t, stream, { sendBufferBytes: 4096 });
      const fdCount = openFdCount();
      const { writer, source } = make(t, connection.fd);
      while (writer.write(source, 0, BYTES) !== -EAGAIN);
      if (stream === 'tcp') setLinger(connection.peer, 0);
      connection.closePeer();
      const failed = writeUntilRefused(writer, source, connection);
      assert.ok(failed === -EPIPE || failed === -ECONNRESET, `${failed}`);
      // The peer is gone; a tee payload and a file are still open.
      const others = { copy: 0, splice: 0, tee: 2, file: 1 }[name]!;
      assert.equal(openFdCount(), fdCount - 1 + others, 'the pipe is closed at once');
      writer.close();
    });

    test(`${name} on ${stream}: half-closed by us, and by the peer`, needsAddon, (t) => {
      const connection = connected(t, stream);
      const { writer, source } = make(t, connection.fd);
      shutdown(connection.peer, 'write');
      assert.equal(writer.write(source, 0, 1000), 1000);
      assert.equal(writer.flush(), 0);
      readExactly(connection.peer, 1000);
      shutdown(connection.fd, 'write');
      assert.equal(writeUntilRefused(writer, source, connection), -EPIPE);
      writer.close();
    });
  }
}

for (const stream of STREAMS) {
  test(`${stream}: pages in flight when the connection ends are stale`, needsAddon, (t) => {
    const connection = connected(t, stream);
    const pool = PagePool.create({ pageBytes: 65_536, pageCount: 4 });
    const sources = pageSources(pool);
    const policy = new ApplicationAckReclaim();
    const writer = new SpliceWriter(connection.fd, policy);
    for (let i = 0; i < 4; i++) {
      const page = pool.acquire(1);
      pool.retain(page);
      pool.stopFilling(page);
      assert.equal(writer.write(sources[page]!, 0, 65_536), 65_536);
      pool.release(page);
    }
    assert.equal(writer.flightCount, 4);
    assert.equal(pool.acquire(1), -1, 'no page is free');
    policy.acknowledge(65_536);
    connection.closePeer();
    writer.close();
    assert.equal(writer.flightCount, 0);
    assert.equal(pool.freeCount(), 4);
    assert.equal(pool.stats().stale, 3, 'what is proved by now is not stale');
    assert.equal(writer.write(sources[0]!, 0, 1), -EBADF);
    assert.equal(writer.flush(), -EBADF);
  });
}
