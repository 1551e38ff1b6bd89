import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENOMEM } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason, failCall } from '../sys/index.ts';
import type { NativeFunctions } from '../sys/native-functions.ts';
import {
  bytesUnacked,
  MSG_MORE,
  MSG_PEEK,
  recv,
  send,
  setLinger,
  shutdown,
  socketCreate,
} from '../sys/socket.ts';
import { until } from '../sys/wait.test-data.ts';
import {
  connected,
  ipv6SkipReason,
  readExactly,
  readSome,
  type Transport,
} from './connections.test-data.ts';
import { PageStream } from './page-stream.test-data.ts';
import { PeerQueueReclaim } from './peer-queue-reclaim.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';
import { closeThreadDiag, SockDiag, type SocketQuestion } from './sock-diag.ts';
import { SpliceWriter } from './splice-writer.ts';

const READS = { reader: 'recv' } as const;
const TIMEOUT_MS = 120_000;
const WAIT_MS_MAX = 30_000;

function testEach(
  title: string,
  transports: readonly Transport[],
  body: (t: TestContext, transport: Transport) => void | Promise<void>,
): void {
  for (const transport of transports) {
    const skip = transport === 'tcp6' ? ipv6SkipReason() : addonSkipReason();
    test(`${transport}: ${title}`, { skip, timeout: TIMEOUT_MS }, async (t) => {
      t.after(closeThreadDiag);
      await body(t, transport);
    });
  }
}

/** Acknowledgements may be delayed by 40 ms. */
const acknowledged = (isSo: () => boolean): Promise<void> => until(isSo, 'acknowledged in time');

testEach('TCP is safe byte by byte, as the peer reads', ['tcp', 'tcp6'], async (t, transport) => {
  const { fd, peer } = connected(t, transport);
  const policy = new PeerQueueReclaim(fd, READS);
  assert.equal(policy.safeBytes(0), 0);
  assert.equal(send(fd, new Uint8Array(50_000), 0, 50_000), 50_000);
  await acknowledged(() => bytesUnacked(fd) === 0);
  assert.equal(policy.safeBytes(50_000), 0, 'acknowledged, and not read');
  recv(peer, new Uint8Array(9000), 0, 9000, MSG_PEEK);
  assert.equal(policy.safeBytes(50_000), 0, 'only looked at');
  readExactly(peer, 9001);
  assert.equal(policy.safeBytes(50_000), 9001);
  readExactly(peer, 40_999);
  assert.equal(policy.safeBytes(50_000), 50_000);
});

testEach('a UNIX stream is safe buffer by buffer', ['unix'], (t, transport) => {
  const { fd, peer } = connected(t, transport);
  const policy = new PeerQueueReclaim(fd, READS);
  for (let i = 0; i < 4; i += 1) assert.equal(send(fd, new Uint8Array(8000), 0, 8000), 8000);
  assert.equal(policy.safeBytes(32_000), 0);
  readExactly(peer, 31_999);
  const safe = policy.safeBytes(32_000);
  assert.ok(safe <= 31_999, `${safe}`);
  readExactly(peer, 1);
  assert.equal(policy.safeBytes(32_000), 32_000);
});

/** Between the two readings of the policy, in whatever order, one byte pushes the others out. */
class PushingDiag extends SockDiag {
  pushFd = -1;

  override ask(question: SocketQuestion): number {
    const result = super.ask(question);
    if (this.pushFd < 0) return result;
    send(this.pushFd, new Uint8Array(1), 0, 1);
    for (const endMs = performance.now() + WAIT_MS_MAX; bytesUnacked(this.pushFd) > 0; ) {
      assert.ok(performance.now() < endMs, 'they arrive');
    }
    return result;
  }
}

/**
 * A connection whose 50 bytes were read, and whose next 1000 are held back. TCP keeps them for
 * 200 ms: a thread that had no CPU for so long tries again.
 */
async function heldBack(t: TestContext, transport: Transport, diag: SockDiag) {
  for (let tries = 0; ; tries += 1) {
    const { fd, peer } = connected(t, transport);
    const policy = new PeerQueueReclaim(fd, { ...READS, diag });
    send(fd, new Uint8Array(50), 0, 50);
    await acknowledged(() => bytesUnacked(fd) === 0);
    readExactly(peer, 50);
    send(fd, new Uint8Array(1000), 0, 1000, MSG_MORE);
    if (bytesUnacked(fd) === 1000) return { fd, policy };
    assert.ok(tries < 20, 'they are held back');
  }
}

testEach('what arrives between the two readings is not safe', ['tcp'], async (t, transport) => {
  const diag = new PushingDiag();
  t.after(() => diag.close());
  const { fd, policy } = await heldBack(t, transport, diag);
  diag.pushFd = fd;
  assert.equal(policy.safeBytes(1050), 50);
  diag.pushFd = -1;
  assert.equal(bytesUnacked(fd), 0, 'they have arrived since');
  assert.equal(policy.safeBytes(1050), 50, 'and lie in its queue, unread');
});

const EVERY = ['tcp', 'tcp6', 'unix'] as const;

testEach('paused reader: no page is rewritten under it', EVERY, async (t, transport) => {
  const { fd, peer } = connected(t, transport, { receiveBufferBytes: 4 << 20 });
  const writer = new SpliceWriter(fd, new PeerQueueReclaim(fd, READS));
  const stream = new PageStream(writer, { pageBytes: 16_384, pageCount: 4 });
  for (let pause = 0; pause < 20; pause += 1) {
    const written = stream.fill(20);
    assert.ok(written > 0, 'what the peer has read is written again');
    assert.equal(stream.fill(20), 0, 'nothing comes back while it pauses');
    assert.equal(stream.wrongOfSent(peer), 0);
    await acknowledged(() => bytesUnacked(fd) === 0);
  }
  await acknowledged(() => {
    writer.reclaim();
    return writer.flightCount === 0;
  });
  stream.close();
  writer.close();
  assert.equal(stream.pool.stats().stale, 0);
});

/** What an acknowledgement alone would allow: wrong on this machine. */
function ackedOnly(fd: number): ReclaimPolicy {
  const safeBytes = (sentBytes: number): number => sentBytes - bytesUnacked(fd);
  return { name: 'ackedBytes', isSafe: true, safeBytes };
}

testEach('without the queue of the peer the same is corrupt', ['tcp', 'tcp6'], async (t, kind) => {
  const { fd, peer } = connected(t, kind, { receiveBufferBytes: 4 << 20 });
  const writer = new SpliceWriter(fd, ackedOnly(fd));
  const stream = new PageStream(writer, { pageBytes: 16_384, pageCount: 4 });
  for (let lap = 0; lap < 20; lap += 1) {
    stream.fill();
    await acknowledged(() => bytesUnacked(fd) === 0);
  }
  assert.ok(stream.wrongOfSent(peer) > 0, 'this test sees pages that are rewritten too early');
  stream.close();
  writer.close();
});

testEach('a peer that is gone proves nothing more', ['tcp', 'unix'], (t, transport) => {
  const connection = connected(t, transport);
  const { fd, peer } = connection;
  const policy = new PeerQueueReclaim(fd, READS);
  const writer = new SpliceWriter(fd, policy);
  const stream = new PageStream(writer, { pageBytes: 4096, pageCount: 4 });
  assert.equal(stream.fill(), 16_384);
  assert.equal(stream.wrongBytes(peer, 4096), 0);
  if (transport === 'tcp') setLinger(peer, 0);
  connection.closePeer();
  const { sentBytes } = writer.counts;
  const safe = policy.safeBytes(sentBytes);
  // UNIX: the queue was thrown away, nobody reads it any more.
  assert.ok(transport === 'unix' ? safe === sentBytes : safe <= 4096, `${safe}`);
  stream.close();
  writer.close();
  assert.equal(stream.pool.freeCount(), 4);
});

testEach('the end of the stream is no byte of it', ['tcp'], async (t, transport) => {
  const { fd, peer } = connected(t, transport);
  const policy = new PeerQueueReclaim(fd, READS);
  assert.equal(send(fd, new Uint8Array(100), 0, 100), 100);
  shutdown(fd, 'write');
  await acknowledged(() => bytesUnacked(fd) === 0);
  readExactly(peer, 60);
  const safe = policy.safeBytes(100);
  assert.ok(safe === 59 || safe === 60, `${safe}`);
  readExactly(peer, 40);
  assert.equal(readSome(peer).length, 0);
  assert.equal(policy.safeBytes(100), 100);
});

const CALLS: readonly (keyof NativeFunctions)[] = ['socketQueue', 'send', 'recv'];

testEach('a call that fails proves nothing more', ['tcp'], async (t, transport) => {
  const { fd, peer } = connected(t, transport);
  const policy = new PeerQueueReclaim(fd, READS);
  send(fd, new Uint8Array(3000), 0, 3000);
  await acknowledged(() => bytesUnacked(fd) === 0);
  let read = 0;
  for (const call of CALLS) {
    const before = policy.safeBytes(3000);
    assert.equal(before, read);
    read += readExactly(peer, 500).length;
    const fault = failCall({ call, nth: 1, errno: ENOMEM });
    assert.equal(policy.safeBytes(3000), before, call);
    fault.restore();
    assert.equal(policy.safeBytes(3000), read);
  }
});

testEach('it never goes back, and never above what was sent', ['tcp', 'unix'], (t, transport) => {
  const { fd, peer } = connected(t, transport);
  const policy = new PeerQueueReclaim(fd, READS);
  let sent = 0;
  let last = 0;
  let read = 0;
  for (let turn = 0; turn < 500; turn += 1) {
    const length = 1 + ((turn * 7919) % 20_000);
    const taken = send(fd, new Uint8Array(length), 0, length);
    if (taken > 0) sent += taken;
    if (turn % 3 !== 0) read += readSome(peer, 1 + ((turn * 104_729) % 30_000)).length;
    const safe = policy.safeBytes(sent);
    assert.ok(safe >= last && safe <= read, `turn ${turn}: ${last}, ${safe}, ${read}`);
    last = safe;
  }
  assert.ok(last > 0);
});

test('where it does not hold it is refused', { skip: addonSkipReason() }, (t) => {
  const refused = { code: 'MR_OUTPUT_MECHANISM' };
  const { fd } = connected(t, 'tcp');
  const onward = { reader: 'splice' } as unknown as typeof READS;
  assert.throws(() => new PeerQueueReclaim(fd, onward), refused);
  assert.throws(() => new PeerQueueReclaim(connected(t, 'udp').fd, READS), refused);
  const gone = connected(t, 'tcp');
  setLinger(gone.peer, 0);
  gone.closePeer();
  assert.throws(() => new PeerQueueReclaim(gone.fd, READS), refused);
  const closed = new SockDiag();
  closed.close();
  assert.throws(() => new PeerQueueReclaim(fd, { ...READS, diag: closed }), refused);
  const alone = socketCreate(4);
  t.after(() => closeFd(alone));
  assert.throws(() => new PeerQueueReclaim(alone, READS), { code: 'MR_OUTPUT_MECHANISM' });
  closeThreadDiag();
});

testEach(
  'a connection that both sides have ended is answered for by a stand-in: nothing is proved',
  ['tcp', 'tcp6', 'unix'],
  async (t, transport) => {
    const { fd, peer } = connected(t, transport);
    const policy = new PeerQueueReclaim(fd, READS);
    shutdown(peer, 'write');
    assert.equal(send(fd, new Uint8Array(50_000), 0, 50_000), 50_000);
    if (transport !== 'unix') await acknowledged(() => bytesUnacked(fd) === 0);
    shutdown(fd, 'write');
    // The stand-in takes over when our end has arrived: some tries later at the latest.
    for (let tries = 0; tries < 20; tries += 1) {
      assert.equal(policy.safeBytes(50_000), 0, 'the peer has read nothing');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    readExactly(peer, 50_000);
    assert.ok(policy.safeBytes(50_000) <= 50_000);
  },
);
