import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { EPOLLIN, epollAdd, epollCreate, epollWait } from './epoll.ts';
import {
  checked,
  EADDRINUSE,
  EAFNOSUPPORT,
  EAGAIN,
  ECONNRESET,
  ENOTCONN,
  EPROTONOSUPPORT,
} from './errno.ts';
import { closeFd } from './file.ts';
import { addonSkipReason } from './load.ts';
import {
  type AddressFamily,
  accept4,
  bind,
  bytesUnread,
  getSocketOption,
  listen,
  localPort,
  PEER_BYTES,
  peerPort,
  recv,
  send,
  setCongestionControl,
  setSocketOption,
  shutdown,
  socketCreate,
} from './socket.ts';
import { waitReadable } from './wait.test-data.ts';

const needsAddon = { skip: addonSkipReason() };

const LOOPBACK_4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

function listenOn(family: AddressFamily, address: Uint8Array): number {
  const fd = checked('socket', socketCreate(family));
  checked('bind', bind(fd, family, address, 0, 0));
  checked('listen', listen(fd, 16));
  return fd;
}

interface Pair {
  readonly peer: Socket;
  readonly peerBytes: Uint8Array;
  readonly fd: number;
}

async function connectedPair(t: TestContext, family: AddressFamily = 4): Promise<Pair> {
  const listener = listenOn(family, family === 4 ? LOOPBACK_4 : LOOPBACK_6);
  const peer = connect({ host: family === 4 ? '127.0.0.1' : '::1', port: localPort(listener) });
  peer.on('error', () => peer.destroy());
  await new Promise((resolve) => peer.once('connect', resolve));
  const peerBytes = new Uint8Array(PEER_BYTES + 4).fill(0xaa);
  waitReadable(listener);
  const fd = checked('accept4', accept4(listener, peerBytes, 2));
  closeFd(listener);
  t.after(() => {
    peer.destroy();
    closeFd(fd);
  });
  return { peer, peerBytes, fd };
}

async function write(peer: Socket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve) => {
    peer.write(bytes, () => resolve());
  });
}

test('IPv4: an accepted peer is its mapped address and port', needsAddon, async (t) => {
  const { peer, peerBytes, fd } = await connectedPair(t, 4);
  assert.deepEqual(peerBytes.subarray(2, 18), LOOPBACK_4);
  assert.equal(peerPort(peerBytes, 2), peer.localPort);
  assert.deepEqual([peerBytes[1], peerBytes[20]], [0xaa, 0xaa], 'nothing beside it is written');
  assert.equal(localPort(fd), peer.remotePort);
});

test('IPv6: an accepted peer is its address and port', needsAddon, async (t) => {
  const probe = socketCreate(6);
  if (probe < 0 || bind(probe, 6, LOOPBACK_6, 0, 0) < 0) {
    t.skip('this machine has no IPv6 loopback');
    return;
  }
  closeFd(probe);
  const { peer, peerBytes } = await connectedPair(t, 6);
  assert.deepEqual(peerBytes.subarray(2, 18), LOOPBACK_6);
  assert.equal(peerPort(peerBytes, 2), peer.localPort);
});

test('recv: EAGAIN, bytes into the slice and nowhere else, then the end', needsAddon, async (t) => {
  const { peer, fd } = await connectedPair(t);
  const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(memory.buffer).fill(0xee);
  assert.equal(recv(fd, bytes, 0, 100), -EAGAIN);
  await write(peer, Buffer.from('hello world'));
  waitReadable(fd);
  assert.equal(bytesUnread(fd), 11);
  assert.equal(recv(fd, bytes, 1000, 5), 5);
  assert.equal(Buffer.from(bytes.slice(999, 1006)).toString('latin1'), '\xeehello\xee');
  assert.equal(bytesUnread(fd), 6);
  assert.equal(recv(fd, bytes, bytes.length - 6, 6), 6);
  assert.equal(recv(fd, bytes, 0, 1), -EAGAIN);
  await new Promise<void>((resolve) => {
    peer.end(() => resolve());
  });
  waitReadable(fd);
  assert.equal(recv(fd, bytes, 0, 1), 0);
});

test('recv: a peer that resets gives ECONNRESET as a value', needsAddon, async (t) => {
  const { peer, fd } = await connectedPair(t);
  peer.resetAndDestroy();
  waitReadable(fd);
  assert.equal(recv(fd, new Uint8Array(8), 0, 8), -ECONNRESET);
});

test(
  'send: bytes arrive; a full socket says EAGAIN; shutdown ends the stream',
  needsAddon,
  async (t) => {
    const { peer, fd } = await connectedPair(t);
    const received: Buffer[] = [];
    assert.equal(send(fd, Buffer.from('..answer..'), 2, 6), 6);
    peer.on('data', (chunk) => received.push(chunk));
    await new Promise((resolve) => peer.once('data', resolve));
    assert.equal(Buffer.concat(received).toString(), 'answer');
    peer.pause();
    const big = new Uint8Array(1 << 20);
    let sent = 1;
    for (let i = 0; i < 1000 && sent > 0; i += 1) sent = send(fd, big, 0, big.length);
    assert.equal(sent, -EAGAIN);
    assert.equal(shutdown(fd, 'write'), 0);
    peer.resume();
    await new Promise((resolve) => peer.once('end', resolve));
  },
);

test('socket options: what is set is what the kernel has', needsAddon, () => {
  const fd = socketCreate(4);
  for (const option of ['reuseAddress', 'keepAlive', 'noDelay'] as const) {
    assert.equal(getSocketOption(fd, option), 0, option);
    assert.equal(setSocketOption(fd, option, 1), 0, option);
    assert.equal(getSocketOption(fd, option), 1, option);
  }
  for (const option of ['receiveBufferBytes', 'sendBufferBytes'] as const) {
    assert.equal(setSocketOption(fd, option, 65_536), 0);
    assert.equal(getSocketOption(fd, option), 131_072, `${option} is doubled`);
  }
  const plain = {
    receiveLowWaterBytes: 4096,
    keepAliveIdleSeconds: 61,
    keepAliveIntervalSeconds: 11,
    keepAliveCount: 4,
    userTimeoutMs: 12_345,
  } as const;
  for (const [option, value] of Object.entries(plain)) {
    assert.equal(setSocketOption(fd, option as keyof typeof plain, value), 0, option);
  }
  // Read after all are set, so that two names for one option show.
  for (const [option, value] of Object.entries(plain)) {
    assert.equal(getSocketOption(fd, option as keyof typeof plain), value, option);
  }
  assert.equal(getSocketOption(fd, 'pendingError'), 0);
  assert.throws(() => setSocketOption(fd, 'nonsense' as 'noDelay', 1), RangeError);
  closeFd(fd);
});

test('receiveLowWaterBytes delays the wake-up until that much is there', needsAddon, async (t) => {
  const { peer, fd } = await connectedPair(t);
  checked('setsockopt', setSocketOption(fd, 'receiveLowWaterBytes', 1000));
  const epollFd = checked('epoll_create', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, fd, EPOLLIN, 1));
  const pairs = new Int32Array(2);
  await write(peer, new Uint8Array(999));
  while (bytesUnread(fd) < 999) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(epollWait(epollFd, pairs, 1, 0), 0);
  await write(peer, new Uint8Array(1));
  assert.equal(epollWait(epollFd, pairs, 1, 10_000), 1);
  closeFd(epollFd);
});

test('expected refusals are values', needsAddon, () => {
  const listener = listenOn(4, LOOPBACK_4);
  const second = socketCreate(4);
  assert.equal(bind(second, 4, LOOPBACK_4, 0, localPort(listener)), -EADDRINUSE);
  assert.equal(bind(second, 4, LOOPBACK_6, 0, 0), -EAFNOSUPPORT, 'not an IPv4-mapped address');
  assert.equal(socketCreate('unix', 'sctp'), -EPROTONOSUPPORT);
  assert.equal(accept4(listener, new Uint8Array(PEER_BYTES)), -EAGAIN);
  assert.equal(recv(second, new Uint8Array(1), 0, 1), -ENOTCONN);
  assert.equal(shutdown(second, 'both'), -ENOTCONN);
  closeFd(second);
  closeFd(listener);
});

test('IPv6 wildcard with ipv6Only leaves the IPv4 port free', needsAddon, (t) => {
  const v6 = socketCreate(6);
  if (
    v6 < 0 ||
    setSocketOption(v6, 'ipv6Only', 1) < 0 ||
    bind(v6, 6, new Uint8Array(16), 0, 0) < 0
  ) {
    t.skip('this machine has no IPv6');
    return;
  }
  const v4 = socketCreate(4);
  const any = LOOPBACK_4.with(12, 0).with(15, 0);
  assert.equal(bind(v4, 4, any, 0, localPort(v6)), 0);
  closeFd(v4);
  closeFd(v6);
});

test('congestion control: a name that every kernel has, and refusals', needsAddon, () => {
  const fd = checked('socket', socketCreate(4));
  assert.equal(setCongestionControl(fd, 'reno'), 0);
  assert.ok(setCongestionControl(fd, 'noSuchControl') < 0);
  closeFd(fd);
  const unix = checked('socket', socketCreate('unix'));
  assert.ok(setCongestionControl(unix, 'reno') < 0);
  closeFd(unix);
});
