/**
 * Connected sockets for the tests of this folder, and what they must leave behind: nothing.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { Prng } from '../base/prng.ts';
import { EPOLLIN, EPOLLOUT, epollAdd, epollCreate, epollWait } from '../sys/epoll.ts';
import { checked, EAGAIN, EINPROGRESS } from '../sys/errno.ts';
import { closeFd } from '../sys/file.ts';
import { addonSkipReason } from '../sys/load.ts';
import { ipSockaddr } from '../sys/sockaddr.ts';
import {
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
import { acceptComing, waitReadable } from '../sys/wait.test-data.ts';
import type { OutputSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';

const LOOPBACKS = {
  4: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1),
  6: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
} as const;

export const STREAMS = ['tcp', 'unix'] as const;
export type Stream = (typeof STREAMS)[number];
export type Transport = Stream | 'tcp6' | 'udp' | 'udp6';

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
  readonly sendBufferBytes?: number | undefined;
  readonly receiveBufferBytes?: number | undefined;
}

/** Closed at the end of the test, when it has not been closed before. */
export function connected(
  t: TestContext,
  transport: Transport,
  { sendBufferBytes, receiveBufferBytes }: ConnectOptions = {},
): Connection {
  const connection = MAKERS[transport]();
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

const MAKERS: Readonly<Record<Transport, () => Connection>> = {
  tcp: () => tcpConnection(4),
  tcp6: () => tcpConnection(6),
  unix: unixConnection,
  udp: () => udpConnection(4),
  udp6: () => udpConnection(6),
};

/** The reason to skip a test over IPv6, or false. */
export function ipv6SkipReason(): string | false {
  if (addonSkipReason() !== false) return addonSkipReason();
  const fd = socketCreate(6);
  const bound = fd < 0 ? fd : bindTo(fd, ipSockaddr(6, LOOPBACKS[6], 0)!);
  if (fd >= 0) closeFd(fd);
  return bound < 0 ? 'this machine has no IPv6 loopback' : false;
}

function tcpConnection(family: 4 | 6): Connection {
  const listener = checked('socket', socketCreate(family));
  checked('bind', bindTo(listener, ipSockaddr(family, LOOPBACKS[family], 0)!));
  checked('listen', listen(listener, 1));
  const fd = checked('socket', socketCreate(family));
  const answer = connectTo(fd, ipSockaddr(family, LOOPBACKS[family], localPort(listener))!);
  assert.ok(answer === 0 || answer === -EINPROGRESS);
  const peer = acceptComing(listener);
  closeFd(listener);
  return connectionOf(fd, peer);
}

function unixConnection(): Connection {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  return connectionOf(ends[0]!, ends[1]!);
}

function udpConnection(family: 4 | 6): Connection {
  const fd = checked('socket', socketCreate(family, 'datagram'));
  const peer = checked('socket', socketCreate(family, 'datagram'));
  const anyPort = ipSockaddr(family, LOOPBACKS[family], 0)!;
  for (const one of [fd, peer]) checked('bind', bindTo(one, anyPort));
  const name = new Uint8Array(SOCKADDR_BYTES_MAX);
  const length = checked('getsockname', localName(peer, name));
  checked('connect', connectTo(fd, name.subarray(0, length)));
  return connectionOf(fd, peer);
}

/** Waits until `fd` takes bytes or `peer`, another one, has some; fails after thirty seconds. */
export function waitEither(fd: number, peer: number): void {
  const epollFd = checked('epoll_create', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, fd, EPOLLOUT, 1));
  checked('epoll_ctl', epollAdd(epollFd, peer, EPOLLIN, 2));
  const ready = epollWait(epollFd, new Int32Array(4), 2, 30_000);
  closeFd(epollFd);
  assert.ok(ready > 0, 'something happens in time');
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

/** Bytes of a source that are to arrive. */
export interface Offer {
  readonly source: OutputSource;
  readonly offset: number;
  readonly length: number;
  readonly expected: Uint8Array;
}

/** Writes, flushes and reads in a random order; every byte must arrive once and in order. */
export class Pump {
  readonly #writer: OutputWriter;
  readonly #connection: Connection;
  readonly #prng: Prng;
  #expected: Uint8Array[] = [];
  #expectedBytes = 0;
  #arrivedBytes = 0;

  constructor(writer: OutputWriter, connection: Connection, prng: Prng) {
    this.#writer = writer;
    this.#connection = connection;
    this.#prng = prng;
  }

  /** Offers all of it, in as many writes as it takes. */
  offer({ source, offset, length, expected }: Offer): void {
    assert.equal(expected.length, length);
    const writer = this.#writer;
    this.#expected.push(expected);
    for (let done = 0; done < length; ) {
      const accepted = writer.write(source, offset + done, length - done);
      const { acceptedBytes, sentBytes } = writer.counts;
      assert.equal(acceptedBytes, sentBytes + writer.pendingBytes);
      if (accepted === -EAGAIN) {
        this.read(1 << 20);
        waitEither(this.#connection.fd, this.#connection.peer);
        continue;
      }
      assert.ok(accepted > 0 && accepted <= length - done, `accepted ${accepted}`);
      done += accepted;
      this.#expectedBytes += accepted;
      if (this.#prng.chance(0.3)) this.read(1 + this.#prng.below(100_000));
      if (this.#prng.chance(0.2)) assert.ok(writer.flush() >= 0);
    }
  }

  /** Flushes and reads until everything has arrived, and nothing more. */
  finish(): void {
    const { fd, peer } = this.#connection;
    for (let pending = this.#writer.flush(); pending !== 0; pending = this.#writer.flush()) {
      assert.ok(pending > 0, `flush ${pending}`);
      waitEither(fd, peer);
      this.read(1 << 20);
    }
    assert.equal(this.#writer.counts.sentBytes, this.#expectedBytes);
    while (this.#arrivedBytes < this.#expectedBytes) {
      waitReadable(peer);
      this.read(1 << 20);
    }
    assert.equal(readSome(peer).length, 0);
  }

  read(lengthMax: number): void {
    let part = readSome(this.#connection.peer, lengthMax);
    this.#arrivedBytes += part.length;
    assert.ok(this.#arrivedBytes <= this.#writer.counts.sentBytes);
    while (part.length > 0) {
      const next = this.#expected[0]!;
      const length = Math.min(next.length, part.length);
      const isSame = Buffer.compare(part.subarray(0, length), next.subarray(0, length)) === 0;
      assert.ok(isSame, `the bytes before ${this.#arrivedBytes} are those that were offered`);
      part = part.subarray(length);
      if (length === next.length) this.#expected.shift();
      else this.#expected[0] = next.subarray(length);
    }
  }
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
