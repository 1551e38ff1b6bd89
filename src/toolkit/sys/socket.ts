/**
 * TCP sockets of the collector: non-blocking, close-on-exec, IPv4 and IPv6.
 *
 * An address is 16 bytes, IPv4 as ::ffff:a.b.c.d; a peer is PEER_BYTES: the address, then the port
 * big endian. All results are values >= 0 or -errno; EAGAIN is a value, not an error. Offsets and
 * lengths are bytes, checked in C against the array (RangeError).
 */
import { native } from './load.ts';

export const ADDRESS_BYTES = 16;
export const PEER_BYTES = 18;

export type AddressFamily = 4 | 6;

/** The options, in the order of native/socket.c; a test compares both lists. */
export const SOCKET_OPTION_NAMES = [
  /** SO_REUSEADDR, 0 or 1 */
  'reuseAddress',
  /** SO_RCVBUF, bytes; the kernel doubles it and caps it at net.core.rmem_max */
  'receiveBufferBytes',
  /** SO_SNDBUF, bytes; doubled, capped at net.core.wmem_max */
  'sendBufferBytes',
  /** SO_RCVLOWAT, bytes: the socket is readable only from that many on (or at the end) */
  'receiveLowWaterBytes',
  /** SO_KEEPALIVE, 0 or 1 */
  'keepAlive',
  /** TCP_KEEPIDLE, seconds */
  'keepAliveIdleSeconds',
  /** TCP_KEEPINTVL, seconds */
  'keepAliveIntervalSeconds',
  /** TCP_KEEPCNT, probes */
  'keepAliveCount',
  /** TCP_NODELAY, 0 or 1 */
  'noDelay',
  /** TCP_USER_TIMEOUT, milliseconds that sent bytes may stay unacknowledged */
  'userTimeoutMs',
  /** IPV6_V6ONLY, 0 or 1: set before bind */
  'ipv6Only',
  /** SO_ERROR, read only: reading clears it */
  'pendingError',
] as const;

export type SocketOption = (typeof SOCKET_OPTION_NAMES)[number];

const OPTION_INDEX: ReadonlyMap<SocketOption, number> = new Map(
  SOCKET_OPTION_NAMES.map((name, index) => [name, index]),
);

/** socket(2), a TCP socket. Returns the fd. Errno: EAFNOSUPPORT (no IPv6), EMFILE, ENFILE. */
export function socketCreate(family: AddressFamily): number {
  return native().socketCreate(family);
}

/**
 * bind(2) to the 16 bytes at `offset` and `port` (0: the kernel picks one). For family 4 the
 * address must be IPv4-mapped. `scopeId` is the interface index of a link-local address.
 * Errno: EADDRINUSE, EADDRNOTAVAIL, EACCES (ports below 1024), EAFNOSUPPORT, EINVAL.
 */
export function bind(
  fd: number,
  family: AddressFamily,
  address: Uint8Array,
  offset: number,
  port: number,
  scopeId = 0,
): number {
  return native().bind(fd, family, address, offset, port, scopeId);
}

/**
 * connect(2) of a non-blocking socket, arguments as for bind. -EINPROGRESS is the normal answer:
 * the socket becomes writable when it is connected, `pendingError` says whether it is.
 * Errno: EINPROGRESS, ECONNREFUSED, ENETUNREACH, EISCONN.
 */
export function connect(
  fd: number,
  family: AddressFamily,
  address: Uint8Array,
  offset: number,
  port: number,
  scopeId = 0,
): number {
  return native().connect(fd, family, address, offset, port, scopeId);
}

/** listen(2). Errno: EADDRINUSE. */
export function listen(fd: number, backlog: number): number {
  return native().listen(fd, backlog);
}

/**
 * accept4(2): returns the fd of the next connection, non-blocking and close-on-exec, and writes
 * its peer (PEER_BYTES) at `offset`.
 * Errno: EAGAIN (none waits), ECONNABORTED (it went away: go on), EMFILE, ENFILE, ENOBUFS, ENOMEM.
 */
export function accept4(fd: number, peer: Uint8Array, offset = 0): number {
  return native().accept4(fd, peer, offset);
}

/** Port of a peer that accept4 wrote at `offset`. */
export function peerPort(peer: Uint8Array, offset = 0): number {
  return (peer[offset + ADDRESS_BYTES]! << 8) | peer[offset + ADDRESS_BYTES + 1]!;
}

/**
 * recv(2), never waits: bytes received, 0 when the peer has ended the stream (or length is 0).
 * Errno: EAGAIN (nothing is there), ECONNRESET, ETIMEDOUT (keep-alive), EBADF, ENOTCONN.
 */
export function recv(fd: number, bytes: Uint8Array, offset: number, length: number): number {
  return native().recv(fd, bytes, offset, length);
}

/** send(2), never waits, no SIGPIPE: bytes taken. Errno: EAGAIN, EPIPE, ECONNRESET, ENOTCONN. */
export function send(fd: number, bytes: Uint8Array, offset: number, length: number): number {
  return native().send(fd, bytes, offset, length);
}

/** setsockopt(2) of one int option. Errno: EINVAL, ENOPROTOOPT, EOPNOTSUPP, EBADF. */
export function setSocketOption(fd: number, option: SocketOption, value: number): number {
  return native().setsockopt(fd, indexOf(option), value);
}

/** getsockopt(2) of one int option, as the kernel has it. Errno: EBADF, ENOTSOCK, EOPNOTSUPP. */
export function getSocketOption(fd: number, option: SocketOption): number {
  return native().getsockopt(fd, indexOf(option));
}

/** ioctl(2) FIONREAD: bytes that the kernel holds unread for this socket. Errno: EBADF, EINVAL. */
export function bytesUnread(fd: number): number {
  return native().bytesUnread(fd);
}

/** getsockname(2): the local port. Errno: EBADF, ENOTSOCK. */
export function localPort(fd: number): number {
  return native().localPort(fd);
}

const SHUTDOWN_HOW = { read: 0, write: 1, both: 2 } as const;

/** shutdown(2). Errno: ENOTCONN, EBADF. */
export function shutdown(fd: number, how: keyof typeof SHUTDOWN_HOW): number {
  return native().shutdown(fd, SHUTDOWN_HOW[how]);
}

function indexOf(option: SocketOption): number {
  return OPTION_INDEX.get(option) ?? -1;
}
