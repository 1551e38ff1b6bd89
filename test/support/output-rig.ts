/**
 * Connected sockets in one process, whose reader reads only when the test says so.
 *
 * SO_RCVBUF is set on the listener before listen(2), and SO_SNDBUF before connect(2): the windows
 * of TCP are fixed when the connection is made. A UNIX socket has no receive buffer of its own.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accept4,
  bind,
  bindTo,
  checked,
  closeFd,
  connect,
  connectTo,
  EINPROGRESS,
  listen,
  localPort,
  MSG_PEEK,
  PEER_BYTES,
  recv,
  setSocketOption,
  shutdown,
  socketCreate,
  unixSockaddr,
} from '../../src/toolkit/sys/index.ts';
import { acceptComing, waitWritable } from '../../src/toolkit/sys/wait.test-data.ts';

export const PATHS = ['tcp4', 'tcp6', 'unix'] as const;
export type Path = (typeof PATHS)[number];
/** Bytes for setsockopt(2), or what the kernel chooses and grows. */
export type BufferBytes = number | 'auto';

export interface Buffers {
  readonly sendBuffer: BufferBytes;
  readonly receiveBuffer: BufferBytes;
}

export const AUTO_BUFFERS: Buffers = { sendBuffer: 'auto', receiveBuffer: 'auto' };

export const LOOPBACK_4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);
export const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

export function setBuffers(fd: number, buffers: Buffers): void {
  const { sendBuffer, receiveBuffer } = buffers;
  if (sendBuffer !== 'auto') setSocketOption(fd, 'sendBufferBytes', sendBuffer);
  if (receiveBuffer !== 'auto') setSocketOption(fd, 'receiveBufferBytes', receiveBuffer);
}

/** The end that writes and the end that reads; the caller closes both. */
export interface Connection {
  readonly writer: number;
  readonly reader: number;
}

function connectIp(family: 4 | 6, buffers: Buffers): Connection {
  const address = family === 4 ? LOOPBACK_4 : LOOPBACK_6;
  const listener = checked('socket', socketCreate(family));
  setBuffers(listener, { ...buffers, sendBuffer: 'auto' });
  checked('bind', bind(listener, family, address, 0, 0));
  checked('listen', listen(listener, 1));
  const writer = checked('socket', socketCreate(family));
  setBuffers(writer, { ...buffers, receiveBuffer: 'auto' });
  const connected = connect(writer, family, address, 0, localPort(listener));
  if (connected !== -EINPROGRESS) checked('connect', connected);
  const reader = acceptComing(listener);
  waitWritable(writer);
  closeFd(listener);
  return { writer, reader };
}

function connectUnix(buffers: Buffers): Connection {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-unix-'));
  const name = unixSockaddr(join(folder, 'socket'));
  const listener = checked('socket', socketCreate('unix'));
  checked('bind', bindTo(listener, name));
  checked('listen', listen(listener, 1));
  const writer = checked('socket', socketCreate('unix'));
  setBuffers(writer, buffers);
  checked('connect', connectTo(writer, name));
  const reader = checked('accept4', accept4(listener, new Uint8Array(PEER_BYTES)));
  closeFd(listener);
  rmSync(folder, { recursive: true });
  return { writer, reader };
}

/** A connection whose reader has not read yet. */
export function connectPath(path: Path, buffers: Buffers = AUTO_BUFFERS): Connection {
  return path === 'unix' ? connectUnix(buffers) : connectIp(path === 'tcp4' ? 4 : 6, buffers);
}

/** Two UDP sockets of this host, connected to each other. */
export function connectDatagram(family: 4 | 6, buffers: Buffers = AUTO_BUFFERS): Connection {
  const address = family === 4 ? LOOPBACK_4 : LOOPBACK_6;
  const [writer, reader] = [1, 2].map(() => {
    const fd = checked('socket', socketCreate(family, 'datagram'));
    setBuffers(fd, buffers);
    checked('bind', bind(fd, family, address, 0, 0));
    return fd;
  }) as [number, number];
  checked('connect', connect(writer, family, address, 0, localPort(reader)));
  checked('connect', connect(reader, family, address, 0, localPort(writer)));
  return { writer, reader };
}

/** A reader somewhere: what it takes is a copy of its own. */
export interface StreamReader {
  /** Up to `bytes` bytes that are there; the view is valid until the next call. */
  take(bytes: number): Promise<Uint8Array>;
  close(): void;
}

const TAKE_BYTES = 1 << 20;

/** Reads an fd of this process; ends of streams and resets are the end of what is there. */
export class FdReader implements StreamReader {
  readonly fd: number;
  readonly #bytes = new Uint8Array(TAKE_BYTES);

  constructor(fd: number) {
    this.fd = fd;
  }

  take(bytes: number): Promise<Uint8Array> {
    return Promise.resolve(this.takeNow(bytes));
  }

  takeNow(bytes: number): Uint8Array {
    const got = recv(this.fd, this.#bytes, 0, Math.min(bytes, TAKE_BYTES));
    return this.#bytes.subarray(0, Math.max(0, got));
  }

  /** The same bytes will be taken again. */
  peek(bytes: number): Uint8Array {
    const got = recv(this.fd, this.#bytes, 0, Math.min(bytes, TAKE_BYTES), MSG_PEEK);
    return this.#bytes.subarray(0, Math.max(0, got));
  }

  /** The writer sees the end of our stream; we still read its own. */
  halfClose(): void {
    checked('shutdown', shutdown(this.fd, 'write'));
  }

  close(): void {
    closeFd(this.fd);
  }
}

/** Open fds of this process; one of them is that of the question. */
export function listFds(): readonly number[] {
  return readdirSync('/proc/self/fd').map(Number);
}

export function openFds(): number {
  return listFds().length;
}

export const isRoot = process.getuid?.() === 0;
