/** The parts of socket.ts that output needs: ranges, queues, names, notifications, datagrams. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import {
  EAGAIN,
  ECONNRESET,
  EFAULT,
  EMSGSIZE,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTONOSUPPORT,
} from './errno.ts';
import { closeFd } from './file.ts';
import { addonSkipReason } from './load.ts';
import { pipeCreate, splice, vmsplice } from './pipe.ts';
import { NETLINK_SOCKADDR, sockaddrAddress, sockaddrPort, unixSockaddr } from './sockaddr.ts';
import {
  accept4,
  bind,
  bindTo,
  bytesUnacked,
  bytesUnread,
  bytesUnsent,
  connect,
  connectTo,
  getSocketOption,
  listen,
  localName,
  localPort,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  PEER_BYTES,
  peerName,
  receiveNotifications,
  recv,
  SOCKADDR_BYTES_MAX,
  send,
  sendRanges,
  setLinger,
  setSocketOption,
  shutdown,
  socketCreate,
  socketPair,
  TCP_INFO_BYTES,
  tcpBytesAcked,
  tcpInfo,
  tcpUpperProtocol,
} from './socket.ts';
import { acceptComing, until, waitReadable, waitUnread } from './wait.test-data.ts';

const needsAddon = { skip: addonSkipReason() };
const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);
/** Node.js has no name for it. */
const ESOCKTNOSUPPORT = 94;
const folder = mkdtempSync(join(tmpdir(), 'millrace-socket-'));
after(() => rmSync(folder, { recursive: true }));

type Pair = readonly [number, number];

function closeAfter(t: TestContext, fds: readonly number[]): void {
  t.after(() => fds.forEach(closeFd));
}

function unixPair(t: TestContext): Pair {
  const ends = new Int32Array(2);
  assert.equal(socketPair(ends), 0);
  closeAfter(t, [...ends]);
  return [ends[0]!, ends[1]!];
}

function tcpPair(t: TestContext): Pair {
  const listener = socketCreate(4);
  assert.equal(bind(listener, 4, LOOPBACK, 0, 0), 0);
  assert.equal(listen(listener, 1), 0);
  const one = socketCreate(4);
  connect(one, 4, LOOPBACK, 0, localPort(listener));
  const other = acceptComing(listener);
  closeAfter(t, [listener, one, other]);
  return [one, other];
}

function udpPair(t: TestContext): Pair {
  const [one, other] = [socketCreate(4, 'datagram'), socketCreate(4, 'datagram')];
  assert.equal(bind(one, 4, LOOPBACK, 0, 0), 0);
  assert.equal(bind(other, 4, LOOPBACK, 0, 0), 0);
  assert.equal(connect(one, 4, LOOPBACK, 0, localPort(other)), 0);
  assert.equal(connect(other, 4, LOOPBACK, 0, localPort(one)), 0);
  closeAfter(t, [one, other]);
  return [one, other];
}

test('sendRanges sends several ranges of one array in their order', needsAddon, (t) => {
  const [one, other] = unixPair(t);
  const bytes = Buffer.from('0123456789');
  const ranges = Int32Array.of(8, 2, 0, 3, 5, 0, 4, 1, 99, 99);
  assert.equal(sendRanges(one, bytes, ranges, 4), 6);
  const got = new Uint8Array(10);
  assert.equal(recv(other, got, 0, 10), 6);
  assert.equal(Buffer.from(got.subarray(0, 6)).toString(), '890124');
  assert.equal(sendRanges(one, bytes, Int32Array.of(0, 1, 9, 2), 2), -EFAULT);
  assert.equal(recv(other, got, 0, 10), -EAGAIN, 'not even its first range was sent');
  assert.throws(() => sendRanges(one, bytes, new Int32Array(130), 65), RangeError);
});

test('MSG_PEEK leaves the bytes, MSG_TRUNC of TCP throws them away', needsAddon, (t) => {
  const [one, other] = tcpPair(t);
  assert.equal(send(one, Buffer.from('abcdef'), 0, 6), 6);
  waitUnread(other, 6);
  const got = new Uint8Array(6);
  assert.equal(recv(other, got, 0, 3, MSG_PEEK), 3);
  assert.equal(bytesUnread(other), 6);
  assert.equal(recv(other, new Uint8Array(4), 0, 4, MSG_TRUNC), 4);
  assert.equal(recv(other, got, 0, 6), 2);
  assert.equal(Buffer.from(got.subarray(0, 2)).toString(), 'ef');
});

test(
  'queues of TCP: unacknowledged falls to 0, while the peer reads nothing',
  needsAddon,
  async (t) => {
    const [one, other] = tcpPair(t);
    const info = new Uint8Array(TCP_INFO_BYTES);
    const acked = () => {
      assert.ok(tcpInfo(one, info) > 128);
      return tcpBytesAcked(new DataView(info.buffer));
    };
    const before = acked();
    assert.equal(send(one, new Uint8Array(10_000), 0, 10_000), 10_000);
    await until(() => bytesUnacked(one) === 0, 'is acknowledged');
    assert.equal(bytesUnsent(one), 0);
    assert.equal(acked() - before, 10_000);
    assert.equal(before, 1, 'the SYN counts');
    assert.equal(bytesUnread(other), 10_000, 'an ACK says nothing about the reader');
  },
);

test('queues of TCP: what exceeds the windows is unsent', needsAddon, (t) => {
  const [one] = tcpPair(t);
  const bytes = new Uint8Array(1 << 20);
  let sent = 0;
  for (let got = 0; got !== -EAGAIN; got = send(one, bytes, 0, bytes.length)) sent += got;
  // In this order: both fall while packets are still on their way.
  const unacked = bytesUnacked(one);
  const unsent = bytesUnsent(one);
  assert.ok(unacked > 0);
  assert.ok(unacked <= sent);
  assert.ok(unsent <= unacked);
});

test('the queue of UNIX: at least what the peer has not taken, then 0', needsAddon, (t) => {
  const [one, other] = unixPair(t);
  assert.equal(send(one, new Uint8Array(5000), 0, 5000), 5000);
  assert.ok(bytesUnacked(one) >= 5000);
  assert.equal(bytesUnread(other), 5000);
  const got = new Uint8Array(5000);
  assert.equal(recv(other, got, 0, 4000), 4000);
  assert.ok(bytesUnacked(one) >= 1000);
  assert.equal(recv(other, got, 0, 5000), 1000);
  assert.equal(bytesUnacked(one), 0);
});

test('names of both ends', needsAddon, (t) => {
  const [one, other] = tcpPair(t);
  const [local, peer] = [new Uint8Array(SOCKADDR_BYTES_MAX), new Uint8Array(SOCKADDR_BYTES_MAX)];
  assert.equal(localName(one, local), 16);
  assert.equal(peerName(other, peer), 16);
  assert.deepEqual(local, peer);
  assert.deepEqual(sockaddrAddress(local), LOOPBACK);
  assert.equal(sockaddrPort(local), localPort(one));
});

test('UNIX by path and by abstract name: bind, connect, accept', needsAddon, (t) => {
  for (const path of [join(folder, 'listener'), `\0millrace-${process.pid}`]) {
    const [listener, one] = [socketCreate('unix'), socketCreate('unix')];
    assert.equal(bindTo(listener, unixSockaddr(path)), 0);
    assert.equal(listen(listener, 4), 0);
    assert.equal(connectTo(one, unixSockaddr(path)), 0);
    const peer = new Uint8Array(PEER_BYTES).fill(1);
    const other = accept4(listener, peer);
    assert.ok(
      peer.every((byte) => byte === 0),
      'a UNIX peer has no address',
    );
    assert.equal(send(other, Uint8Array.of(3), 0, 1), 1);
    assert.equal(recv(one, peer, 0, 1), 1);
    assert.equal(peer[0], 3);
    closeAfter(t, [listener, one, other]);
  }
});

test('domain, type and protocol of a socket', needsAddon, (t) => {
  const [udp] = udpPair(t);
  const [unix] = unixPair(t);
  const [tcp] = tcpPair(t);
  const describe = (fd: number) =>
    (['domain', 'type', 'protocol'] as const).map((option) => getSocketOption(fd, option));
  assert.deepEqual(describe(tcp), [2, 1, 6]);
  assert.deepEqual(describe(udp), [2, 2, 17]);
  assert.deepEqual(describe(unix), [1, 1, 0]);
});

test(
  'what classification asks of a socket: device, mark, what stands above TCP',
  needsAddon,
  (t) => {
    const [tcp] = tcpPair(t);
    assert.equal(getSocketOption(tcp, 'boundDevice'), 0, 'bound to no device');
    assert.equal(getSocketOption(tcp, 'mark'), 0);
    assert.equal(tcpUpperProtocol(tcp), '');
    assert.equal(tcpUpperProtocol(unixPair(t)[0]), '');
    const marked = setSocketOption(tcp, 'mark', 0x12);
    if (marked === 0) assert.equal(getSocketOption(tcp, 'mark'), 0x12);
    else assert.equal(marked, -EPERM, 'needs CAP_NET_ADMIN');
  },
);

test('linger 0 resets the connection at close', needsAddon, async (t) => {
  const listener = socketCreate(4);
  assert.equal(bind(listener, 4, LOOPBACK, 0, 0), 0);
  assert.equal(listen(listener, 1), 0);
  const one = socketCreate(4);
  connect(one, 4, LOOPBACK, 0, localPort(listener));
  const other = acceptComing(listener);
  closeAfter(t, [listener, other]);
  assert.equal(setLinger(one, 0), 0);
  assert.equal(closeFd(one), 0);
  await until(() => getSocketOption(other, 'pendingError') === ECONNRESET, 'is reset');
});

test(
  'MSG_ZEROCOPY: a notification per call, by number; none left is EAGAIN',
  needsAddon,
  async (t) => {
    const [one, other] = tcpPair(t);
    const triples = new Int32Array(3 * 8);
    assert.equal(receiveNotifications(one, triples, 8), -EAGAIN);
    assert.equal(setSocketOption(one, 'zeroCopy', 1), 0);
    const bytes = new Uint8Array(65_536);
    const seen: number[] = [];
    for (let call = 0; call < 3; call++) {
      await until(() => {
        while (recv(other, bytes, 0, 65_536) > 0);
        return send(one, bytes, 0, 65_536, MSG_ZEROCOPY) > 0;
      }, 'there is room for the next call');
    }
    await until(() => {
      while (recv(other, bytes, 0, 65_536) > 0);
      const count = receiveNotifications(one, triples, 8);
      for (let i = 0; i < count; i++) {
        assert.equal(triples[3 * i], 1, 'loopback copies, and says so');
        for (let call = triples[3 * i + 1]!; call <= triples[3 * i + 2]!; call++) seen.push(call);
      }
      return seen.length >= 3;
    }, 'three notifications');
    assert.deepEqual(seen, [0, 1, 2]);
  },
);

test('zeroCopy is refused where the kernel has it not', needsAddon, (t) => {
  assert.equal(setSocketOption(unixPair(t)[0], 'zeroCopy', 1), -EOPNOTSUPP);
});

test('a datagram is one send; what is too long is refused whole', needsAddon, (t) => {
  const [one, other] = udpPair(t);
  setSocketOption(one, 'sendBufferBytes', 1 << 20);
  const bytes = new Uint8Array(70_000);
  assert.equal(send(one, bytes, 0, 65_507), 65_507);
  assert.equal(send(one, bytes, 0, 65_508), -EMSGSIZE);
  assert.equal(sendRanges(one, bytes, Int32Array.of(0, 10, 100, 20), 2), 30);
  for (const length of [65_507, 30]) {
    waitReadable(other);
    assert.equal(recv(other, bytes, 0, 70_000), length);
  }
  assert.equal(recv(other, bytes, 0, 70_000), -EAGAIN);
});

test('datagrams by reference: one splice is one datagram, more joins two', needsAddon, (t) => {
  const [one, other] = udpPair(t);
  const ends = new Int32Array(2);
  assert.equal(pipeCreate(ends), 0);
  const [from, into] = [ends[0]!, ends[1]!];
  closeAfter(t, [from, into]);
  const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(memory.buffer).fill(4);
  const got = new Uint8Array(1 << 17);
  /** Lengths of the datagrams that bring so many bytes, and of what is there behind them. */
  const received = (bytesWanted: number) => {
    const lengths: number[] = [];
    for (let sum = 0; sum < bytesWanted; sum += lengths.at(-1)!) {
      waitReadable(other);
      lengths.push(recv(other, got, 0, got.length));
    }
    for (let n = recv(other, got, 0, got.length); n >= 0; n = recv(other, got, 0, got.length)) {
      lengths.push(n);
    }
    return lengths;
  };
  assert.equal(vmsplice(into, bytes, 0, 8192), 8192);
  assert.equal(splice(from, one, 8192), 8192);
  assert.deepEqual(received(8192), [8192], 'two slots');
  assert.equal(vmsplice(into, bytes, 0, 8192), 8192);
  assert.deepEqual([splice(from, one, 4096), splice(from, one, 4096)], [4096, 4096]);
  assert.deepEqual(received(8192), [4096, 4096]);
  assert.equal(vmsplice(into, bytes, 0, 8192), 8192);
  assert.deepEqual([splice(from, one, 4096, true), splice(from, one, 4096)], [4096, 4096]);
  assert.deepEqual(received(8192), [8192]);
  assert.equal(vmsplice(into, bytes, 0, 65_536), 65_536);
  assert.equal(splice(from, one, 65_536), -EMSGSIZE);
  assert.equal(bytesUnread(from), 65_536, 'what was refused is still in the pipe');
});

test('half closed: the end of the stream one way, bytes the other', needsAddon, (t) => {
  const [one, other] = unixPair(t);
  const got = new Uint8Array(4);
  assert.equal(shutdown(one, 'write'), 0);
  assert.equal(recv(other, got, 0, 4), 0);
  assert.equal(send(other, got, 0, 4), 4);
  assert.equal(recv(one, got, 0, 4), 4);
  assert.equal(send(one, got, 0, 4), -EPIPE);
});

test('SCTP: a socket, or a refusal with a name', needsAddon, () => {
  const fd = socketCreate(4, 'sctp');
  if (fd < 0) assert.ok([-EPROTONOSUPPORT, -ESOCKTNOSUPPORT].includes(fd), String(fd));
  else assert.equal(closeFd(fd), 0);
});

test('netlink answers a question about routes', needsAddon, (t) => {
  const fd = socketCreate('netlink', 'datagram', 0);
  assert.ok(fd >= 0, String(fd));
  closeAfter(t, [fd]);
  assert.equal(connectTo(fd, NETLINK_SOCKADDR), 0);
  // RTM_GETROUTE of 127.0.0.1: struct nlmsghdr, struct rtmsg, one RTA_DST. rtnetlink(7).
  const question = new DataView(new ArrayBuffer(36));
  question.setUint32(0, 36, true);
  question.setUint16(4, 26, true);
  question.setUint16(6, 1, true);
  question.setUint32(8, 77, true);
  question.setUint8(16, 2);
  question.setUint8(17, 32);
  question.setUint16(28, 8, true);
  question.setUint16(30, 1, true);
  new Uint8Array(question.buffer).set([127, 0, 0, 1], 32);
  assert.equal(send(fd, new Uint8Array(question.buffer), 0, 36), 36);
  const bytes = new Uint8Array(8192);
  const length = recv(fd, bytes, 0, bytes.length);
  const answer = new DataView(bytes.buffer, 0, length);
  assert.equal(answer.getUint16(4, true), 24, 'RTM_NEWROUTE');
  assert.equal(answer.getUint32(8, true), 77);
  assert.equal(answer.getUint8(16 + 7), 2, 'RTN_LOCAL');
});
