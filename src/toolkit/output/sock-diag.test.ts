import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { endianness } from 'node:os';
import { type TestContext, test } from 'node:test';
import { EBADF, EMFILE, ENOBUFS, ENOENT, ENOMEM, EPERM } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason, failCall } from '../sys/index.ts';
import { ipSockaddr } from '../sys/sockaddr.ts';
import {
  bindTo,
  listen,
  localName,
  peerName,
  recv,
  SOCKADDR_BYTES_MAX,
  send,
  socketCreate,
} from '../sys/socket.ts';
import { waitUnread } from '../sys/wait.test-data.ts';
import { connected, ipv6SkipReason, openFdCount } from './connections.test-data.ts';
import { closeThreadDiag, SockDiag, sockDiagOfThread, socketQuestion } from './sock-diag.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };
const ADDRESS_4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3);
const LOOPBACK_4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);
const ADDRESS_6 = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);

function nameOf(fd: number, read: (fd: number, sockaddr: Uint8Array) => number): Uint8Array {
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  return sockaddr.slice(0, read(fd, sockaddr));
}

function opened(t: TestContext): SockDiag {
  const diag = new SockDiag();
  t.after(() => diag.close());
  return diag;
}

test('a question about IPv4, byte for byte', { skip: endianness() !== 'LE' }, () => {
  const local = ipSockaddr(4, ADDRESS_4, 0x1234)!;
  const remote = ipSockaddr(4, ADDRESS_4, 80)!;
  const zeros = '00'.repeat(12);
  assert.equal(
    Buffer.from(socketQuestion(local, remote).message).toString('hex'),
    '48000000' +
      '1400' +
      '0100' +
      '00000000' +
      '00000000' + // nlmsghdr: 72, 20, REQUEST, seq, 0
      '02' +
      '06' +
      '00' +
      '00' +
      'ffffffff' + // AF_INET, TCP, no extensions, all states
      '1234' +
      '0050' +
      `0a010203${zeros}` +
      `0a010203${zeros}` + // ports, addresses
      '00000000' +
      'ffffffffffffffff', // interface, any cookie
  );
});

test('a question about IPv6; IPv4 inside it is asked as IPv4', () => {
  const question = socketQuestion(ipSockaddr(6, ADDRESS_6, 1, 7)!, ipSockaddr(6, ADDRESS_6, 2)!);
  assert.equal(question.message[16], 10);
  assert.deepEqual(question.message.subarray(28, 44), ADDRESS_6);
  assert.deepEqual(question.message.subarray(44, 60), ADDRESS_6);
  assert.equal(new Int32Array(question.message.buffer)[15], 7, 'interface of a link-local address');
  const mapped = socketQuestion(ipSockaddr(6, ADDRESS_4, 1)!, ipSockaddr(6, ADDRESS_4, 2)!);
  const plain = socketQuestion(ipSockaddr(4, ADDRESS_4, 1)!, ipSockaddr(4, ADDRESS_4, 2)!);
  assert.deepEqual(mapped.message, plain.message);
});

for (const transport of ['tcp', 'tcp6'] as const) {
  const skip = transport === 'tcp6' ? ipv6SkipReason() : addonSkipReason();
  test(`${transport}: the queue of the peer, its inode and ours`, { skip }, (t) => {
    const { fd, peer } = connected(t, transport);
    const diag = opened(t);
    const ours = nameOf(fd, localName);
    const theirs = nameOf(fd, peerName);
    assert.equal(diag.ask(socketQuestion(ours, theirs)), 0);
    assert.equal(diag.inode, fstatSync(fd).ino);
    const question = socketQuestion(theirs, ours);
    assert.equal(diag.ask(question), 0);
    assert.deepEqual([diag.inode, diag.receiveQueueBytes], [fstatSync(peer).ino, 0]);
    diag.pin(question);
    assert.equal(send(fd, new Uint8Array(5000), 0, 5000), 5000);
    waitUnread(peer, 5000);
    assert.equal(diag.ask(question), 0);
    assert.equal(diag.receiveQueueBytes, 5000);
    recv(peer, new Uint8Array(1200), 0, 1200);
    assert.equal(diag.ask(question), 0);
    assert.equal(diag.receiveQueueBytes, 3800);
  });
}

test('what is not there is not found, nor is a listener or another socket', needsAddon, (t) => {
  const connection = connected(t, 'tcp');
  const { fd } = connection;
  const diag = opened(t);
  const ours = nameOf(fd, localName);
  const theirs = nameOf(fd, peerName);
  const nobody = ipSockaddr(4, ADDRESS_4, 9)!;
  assert.equal(diag.ask(socketQuestion(nobody, nobody)), -ENOENT);
  const question = socketQuestion(ours, theirs);
  question.message.fill(1, 64, 72);
  assert.equal(diag.ask(question), -ENOENT, 'its cookie is another');
  const listener = socketCreate(4);
  t.after(() => closeFd(listener));
  assert.equal(bindTo(listener, ipSockaddr(4, LOOPBACK_4, 0)!), 0);
  assert.equal(listen(listener, 1), 0);
  assert.equal(diag.ask(socketQuestion(nameOf(listener, localName), nobody)), -ENOENT);
  send(fd, new Uint8Array(10), 0, 10);
  waitUnread(connection.peer, 10);
  connection.closePeer();
  assert.ok(diag.ask(socketQuestion(theirs, ours)) < 0, 'it was reset: bytes were not read');
});

test('answers to earlier questions are passed over', needsAddon, (t) => {
  const first = connected(t, 'tcp');
  const second = connected(t, 'tcp');
  const diag = opened(t);
  const [one, two] = [first, second].map(({ fd }) =>
    socketQuestion(nameOf(fd, localName), nameOf(fd, peerName)),
  );
  const fault = failCall({ call: 'recv', nth: 1, errno: ENOBUFS, count: 3 });
  for (let i = 0; i < 3; i += 1) assert.equal(diag.ask(one!), -ENOBUFS);
  fault.restore();
  assert.equal(diag.ask(two!), 0);
  assert.equal(diag.inode, fstatSync(second.fd).ino);
  diag.pin(two!);
  assert.equal(diag.ask(two!), 0, 'the cookie is that of the answer which counted');
});

test('every call that fails is an answer or one clear error', needsAddon, (t) => {
  const before = openFdCount();
  for (const errno of [EMFILE, EPERM]) {
    const fault = failCall({ call: 'socketCreate', nth: 1, errno });
    assert.throws(() => new SockDiag(), { code: 'MR_OUTPUT_MECHANISM' });
    fault.restore();
  }
  assert.equal(openFdCount(), before);
  const { fd } = connected(t, 'tcp');
  const diag = opened(t);
  const question = socketQuestion(nameOf(fd, localName), nameOf(fd, peerName));
  for (const call of ['send', 'recv'] as const) {
    const fault = failCall({ call, nth: 1, errno: ENOMEM });
    assert.equal(diag.ask(question), -ENOMEM);
    fault.restore();
    assert.equal(diag.ask(question), 0, 'the next question is answered');
  }
  diag.close();
  diag.close();
  assert.equal(diag.ask(question), -EBADF);
});

test('the one of the thread is one fd, and ends', needsAddon, () => {
  const before = openFdCount();
  assert.equal(sockDiagOfThread(), sockDiagOfThread());
  assert.equal(openFdCount(), before + 1);
  closeThreadDiag();
  assert.equal(openFdCount(), before);
});
