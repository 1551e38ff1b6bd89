import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  ipSockaddr,
  NETLINK_SOCKADDR,
  sockaddrAddress,
  sockaddrFamily,
  sockaddrPort,
  unixSockaddr,
} from './sockaddr.ts';

const V4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7);
const V6 = Uint8Array.from({ length: 16 }, (_, i) => 0x20 + i);

test('IPv4: family, port big endian, address, zeros', () => {
  const sockaddr = ipSockaddr(4, V4, 0x1234)!;
  assert.deepEqual([...sockaddr.subarray(2)], [0x12, 0x34, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(sockaddrFamily(sockaddr), AF_INET);
  assert.equal(sockaddrPort(sockaddr), 0x1234);
  assert.deepEqual(sockaddrAddress(sockaddr), V4);
});

test('IPv6: 28 bytes with flow 0 and the scope in the order of the machine', () => {
  const sockaddr = ipSockaddr(6, V6, 65_535, 3)!;
  assert.equal(sockaddr.length, 28);
  assert.equal(sockaddrFamily(sockaddr), AF_INET6);
  assert.equal(sockaddrPort(sockaddr), 65_535);
  assert.deepEqual(sockaddrAddress(sockaddr), V6);
  assert.deepEqual([...sockaddr.subarray(4, 8)], [0, 0, 0, 0]);
  assert.equal(new Uint32Array(sockaddr.slice(24).buffer)[0], 3);
});

test('IPv4-mapped in an IPv6 address stays what it is', () => {
  assert.deepEqual(sockaddrAddress(ipSockaddr(6, V4, 1)!), V4);
});

test('what is no address of the family is null; what is no address throws', () => {
  assert.equal(ipSockaddr(4, V6, 1), null);
  assert.equal(ipSockaddr(4, V4.with(10, 0), 1), null);
  assert.throws(() => ipSockaddr(4, V4.subarray(1), 1), RangeError);
  for (const port of [-1, 65_536, 1.5, NaN]) {
    assert.throws(() => ipSockaddr(4, V4, port), /port must be an integer/);
  }
});

test('UNIX: a path ends with a zero, an abstract name does not', () => {
  const path = unixSockaddr('/a/é');
  assert.equal(sockaddrFamily(path), AF_UNIX);
  assert.deepEqual([...path.subarray(2)], [...Buffer.from('/a/é\0')]);
  assert.deepEqual([...unixSockaddr('\0name').subarray(2)], [...Buffer.from('\0name')]);
  assert.equal(unixSockaddr('x'.repeat(107)).length, 110);
  assert.throws(() => unixSockaddr('x'.repeat(108)), RangeError);
  assert.throws(() => unixSockaddr('é'.repeat(54)), RangeError, 'bytes count, not characters');
  assert.throws(() => unixSockaddr(''), RangeError);
});

test('netlink: family 16 and nothing else', () => {
  assert.equal(sockaddrFamily(NETLINK_SOCKADDR), 16);
  assert.deepEqual([...NETLINK_SOCKADDR.subarray(2)], new Array(10).fill(0));
});
