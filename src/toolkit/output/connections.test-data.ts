/**
 * Connected sockets for the tests of this folder, and what they must leave behind: nothing.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { EPOLLIN, epollAdd, epollCreate, epollWait } from '../sys/epoll.ts';
import { checked, EAGAIN, EINPROGRESS } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { ipSockaddr } from '../sys/sockaddr.ts';
import {
  accept4,
  bindTo,
  connectTo,
  listen,
  localName,
  localPort,
  recv,
  SOCKADDR_BYTES_MAX,
  setSocketOption,
  socketCreate,
  socketPair,
} from '../sys/socket.ts';

const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);

export const STREAMS = ['tcp', 'unix'] as const;
export type Stream = (typeof STREAMS)[number];

/** Two connected, non-blocking sockets: `fd` is written to, `peer` is read. */
export interface Connection {
  readonly fd: number;
  readonly peer: number;
  close(): void;
  /** Ends the reading side only. */
  closePeer(): void;
}

function connectionOf(fd: number, peer: number): Connection {
  let open = [fd, peer];
  const closeThese = (these: readonly number[]): void => {
    for (const one of these) if (open.includes(one)) closeFd(one);
    open = open.filter((one) => !these.includes(one));
  };
  return { fd, peer, close: () => closeThese([fd, peer]), closePeer: () => closeThese([peer]) };
}

export interface ConnectOptions {
  readonly sendBufferBytes?: number;
  readonly receiveBufferBytes?: number;
}

/** Closed at the end of the test, when it has not been closed before. */
export function connected(
  t: TestContext,
  stream: Stream | 'udp',
  { sendBufferBytes, receiveBufferBytes }: ConnectOptions = {},
): Connection {
  const make = { tcp: tcpConnection, unix: unixConnection, udp: udpConnection }[stream];
  const connection = make();
  t.after(() => connection.close());
  if (sendBufferBytes !== undefined) {
    checked('setsockopt', setSocketOption(connection.fd, 'sendBufferBytes', sendBufferBytes));
  }
  if (receiveBufferBytes !== undefined) {
    checked(
      'setsockopt',
      setSocketOption(connection.peer, 'receiveBufferBytes', receiveBufferBytes),
    );
  }
  return connection;
}

function tcpConnection(): Connection {
  const listener = checked('socket', socketCreate(4));
  checked('bind', bindTo(listener, ipSockaddr(4, LOOPBACK, 0)!));
  checked('listen', listen(listener, 1));
  const fd = checked('socket', socketCreate(4));
  const answer = connectTo(fd, ipSockaddr(4, LOOPBACK, localPort(listener))!);
  assert.ok(answer === 0 || answer === -EINPROGRESS);
  waitReadable(listener);
  const peer = checked('accept4', accept4(listener, new Uint8Array(18)));
  closeFd(listener);
  return connectionOf(fd, peer);
}

function unixConnection(): Connection {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  return connectionOf(ends[0]!, ends[1]!);
}

function udpConnection(): Connection {
  const fd = checked('socket', socketCreate(4, 'datagram'));
  const peer = checked('socket', socketCreate(4, 'datagram'));
  for (const one of [fd, peer]) checked('bind', bindTo(one, ipSockaddr(4, LOOPBACK, 0)!));
  const name = new Uint8Array(SOCKADDR_BYTES_MAX);
  const length = checked('getsockname', localName(peer, name));
  checked('connect', connectTo(fd, name.subarray(0, length)));
  return connectionOf(fd, peer);
}

/** Waits until the fd is readable; fails after ten seconds. */
export function waitReadable(fd: number): void {
  const epollFd = checked('epoll_create', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, fd, EPOLLIN, 1));
  const ready = epollWait(epollFd, new Int32Array(2), 1, 10_000);
  closeFd(epollFd);
  assert.equal(ready, 1, 'readable in time');
}

/** Reads what is there, at most `length` bytes; nothing there is an empty array. */
export function readSome(fd: number, length = 1 << 20): Uint8Array {
  const bytes = new Uint8Array(length);
  const received = recv(fd, bytes, 0, length);
  if (received === -EAGAIN) return bytes.subarray(0, 0);
  return bytes.subarray(0, checked('recv', received));
}

/** Reads exactly `length` bytes, waiting for them. */
export function readExactly(fd: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const received = recv(fd, bytes, at, length - at);
    if (received === -EAGAIN) {
      waitReadable(fd);
      continue;
    }
    assert.ok(received > 0, `the stream goes on behind byte ${at} of ${length}`);
    at += received;
  }
  return bytes;
}

/** Open fds of this process, the one that reads the folder included in each count alike. */
export function openFdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Bytes of which each says where it stands: a shift or a repetition is seen. */
export function fillPattern(bytes: Uint8Array, start = 0): Uint8Array {
  for (let i = 0; i < bytes.length; i++) {
    const position = start + i;
    bytes[i] = (position ^ (position >>> 8) ^ ((position >>> 16) * 31)) & 0xff;
  }
  return bytes;
}
