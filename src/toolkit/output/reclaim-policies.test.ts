import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EBADF } from '../sys/errno.ts';
import { failCall } from '../sys/faults.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason } from '../sys/load.ts';
import { send, socketCreate } from '../sys/socket.ts';
import { AckedBytesReclaim } from './acked-bytes-reclaim.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { connected, readExactly } from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { DOUBLE_BUFFER_WARNING, DoubleBufferReclaim } from './double-buffer-reclaim.ts';
import { FileWriter } from './file-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { NullWriter } from './null-writer.ts';
import { fileSource, pageSources, payloadSource } from './output-source.ts';
import { SpliceWriter } from './splice-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };

test('immutable frees nothing, and takes no pages', needsAddon, (t) => {
  const policy = new ImmutableReclaim();
  assert.equal(policy.safeBytes(1e9), 0);
  const { fd } = connected(t, 'unix');
  const writer = new SpliceWriter(fd, policy);
  const page = pageSources(PagePool.create({ pageBytes: 4096, pageCount: 1 }))[0]!;
  assert.throws(() => writer.write(page, 0, 1), { code: 'MR_OUTPUT_SOURCE' });
  writer.close();
});

test('applicationAck frees what the peer has consumed, never more than was sent', () => {
  const policy = new ApplicationAckReclaim();
  assert.equal(policy.safeBytes(100), 0);
  policy.acknowledge(50);
  policy.acknowledge(20);
  assert.equal(policy.safeBytes(100), 50);
  policy.acknowledge(1e15);
  assert.equal(policy.safeBytes(100), 100);
});

test('doubleBuffer frees a ring behind, and says that it is not safe', () => {
  const policy = new DoubleBufferReclaim(1000);
  assert.equal(policy.isSafe, false);
  assert.deepEqual(
    [10, 1000, 1001].map((sent) => policy.safeBytes(sent)),
    [0, 0, 1],
  );
  assert.match(DOUBLE_BUFFER_WARNING, /not safe/);
  assert.equal(new DoubleBufferReclaim(0).safeBytes(7), 7, 'a ring of one message');
  assert.throws(() => new DoubleBufferReclaim(-1), { code: 'MR_ASSERT' });
});

test('ackedBytes is for a remote TCP peer only', needsAddon, (t) => {
  for (const kind of ['unix', 'udp'] as const) {
    const { fd } = connected(t, kind);
    assert.throws(() => new AckedBytesReclaim(fd, { peer: 'remote' }), {
      code: 'MR_OUTPUT_MECHANISM',
    });
  }
  const { fd } = connected(t, 'tcp');
  for (const peer of ['local', undefined, 'somewhere']) {
    assert.throws(() => new AckedBytesReclaim(fd, { peer: peer as 'remote' }), {
      code: 'MR_OUTPUT_MECHANISM',
    });
  }
});

test(
  'ackedBytes counts from the first byte of the writer, and never goes back',
  needsAddon,
  (t) => {
    // The peer is on this machine: good enough to see the count, not to rewrite a page.
    const { fd, peer } = connected(t, 'tcp');
    const bytes = new Uint8Array(10_000);
    send(fd, bytes, 0, 5000);
    const policy = new AckedBytesReclaim(fd, { peer: 'remote' });
    assert.ok(policy.safeBytes(0) <= 0, 'what was sent before is not ours');
    send(fd, bytes, 0, 10_000);
    readExactly(peer, 15_000);
    let safe = policy.safeBytes(10_000);
    while (safe < 10_000) {
      const next = policy.safeBytes(10_000);
      assert.ok(next >= safe);
      safe = next;
    }
    assert.equal(safe, 10_000);
    const fault = failCall({ call: 'socketQueue', nth: 1, errno: EBADF });
    assert.equal(policy.safeBytes(20_000), 10_000, 'no answer proves nothing new');
    fault.restore();
  },
);

test('what is no socket, or copies anyway, is refused', needsAddon, (t) => {
  const policy = new ImmutableReclaim();
  const file = openSync('/dev/null', 'r');
  t.after(() => closeSync(file));
  for (const fd of [file, 0x7fff_fff0]) {
    assert.throws(() => new SpliceWriter(fd, policy), { code: 'MR_OUTPUT_MECHANISM' });
    assert.throws(() => new FileWriter(fd), { code: 'MR_OUTPUT_MECHANISM' });
  }
  for (const family of ['unix', 4] as const) {
    const fd = socketCreate(family, 'datagram');
    assert.throws(() => new FileWriter(fd), { code: 'MR_OUTPUT_MECHANISM' });
    if (family === 'unix') {
      assert.throws(() => new SpliceWriter(fd, policy), { code: 'MR_OUTPUT_MECHANISM' });
    }
    closeFd(fd);
  }
});

test('a mechanism names the source that it cannot send', needsAddon, (t) => {
  const { fd } = connected(t, 'tcp');
  const file = fileSource(0);
  const payload = payloadSource(new Uint8Array(1));
  for (const writer of [new CopyWriter(fd), new SpliceWriter(fd, new ImmutableReclaim())]) {
    assert.throws(() => writer.write(file, 0, 1), { code: 'MR_OUTPUT_SOURCE' });
    writer.close();
  }
  assert.throws(() => new FileWriter(fd).write(payload, 0, 1), { code: 'MR_OUTPUT_SOURCE' });
});

test('null takes everything and counts it', () => {
  const writer = new NullWriter();
  assert.equal(writer.write(fileSource(-1), 7, 100), 100);
  assert.equal(writer.write(payloadSource(new Uint8Array(1)), 0, 1), 1);
  assert.deepEqual([writer.flush(), writer.reclaim(), writer.pendingBytes], [0, 0, 0]);
  assert.deepEqual([writer.counts.acceptedBytes, writer.counts.sentBytes], [101, 101]);
  writer.close();
});
