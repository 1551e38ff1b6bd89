/**
 * Sockets: non-blocking, close-on-exec; TCP, UDP and SCTP over IPv4 and IPv6, UNIX, netlink.
 *
 * An address is 16 bytes, IPv4 as ::ffff:a.b.c.d; a peer is PEER_BYTES: the address, then the port
 * big endian. All results are values >= 0 or -errno; EAGAIN is a value, not an error. Offsets and
 * lengths are bytes, checked in C against the array (RangeError).
 */
import { EAFNOSUPPORT, ENOPROTOOPT, EOPNOTSUPP } from './errno.ts';
import { native } from './load.ts';
import { ipSockaddr, sockaddrPort } from './sockaddr.ts';

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
  /** SO_ZEROCOPY, 0 or 1: allows MSG_ZEROCOPY. Errno: EOPNOTSUPP (UNIX) */
  'zeroCopy',
  /** SO_DOMAIN, read only: the address family */
  'domain',
  /** SO_TYPE, read only: 1 stream, 2 datagram */
  'type',
  /** SO_PROTOCOL, read only: 6 TCP, 17 UDP, 132 SCTP */
  'protocol',
  /** SO_MARK, read without rights: what rules of routing may look at */
  'mark',
  /** SO_BINDTOIFINDEX: index of the only device that the socket may use, 0 any. Linux 5.0 */
  'boundDevice',
] as const;

export type SocketOption = (typeof SOCKET_OPTION_NAMES)[number];

const OPTION_INDEX: ReadonlyMap<SocketOption, number> = new Map(
  SOCKET_OPTION_NAMES.map((name, index) => [name, index]),
);

/** Flags of send(2) and recv(2); the same numbers on every Linux architecture. */
export const MSG_PEEK = 0x2;
export const MSG_TRUNC = 0x20;
export const MSG_WAITALL = 0x100;
export const MSG_MORE = 0x8000;
export const MSG_ZEROCOPY = 0x4000000;

export type SocketFamily = AddressFamily | 'unix' | 'netlink';
export type SocketKind = 'stream' | 'datagram' | 'sctp';

/** Address families of socket(2). */
const DOMAINS = { unix: 1, 4: 2, 6: 10, netlink: 16 } as const;
const TYPES = { stream: 1, sctp: 1, datagram: 2 } as const;
const IPPROTO_SCTP = 132;

/**
 * socket(2), non-blocking and close-on-exec. Returns the fd. `protocol` is for netlink.
 * Errno: EAFNOSUPPORT (no IPv6), EPROTONOSUPPORT, ESOCKTNOSUPPORT (no SCTP), EMFILE, ENFILE.
 */
export function socketCreate(
  family: SocketFamily,
  kind: SocketKind = 'stream',
  protocol = 0,
): number {
  const number = kind === 'sctp' ? IPPROTO_SCTP : protocol;
  return native().socketCreate(DOMAINS[family], TYPES[kind], number);
}

/** socketpair(2): two connected ends of a UNIX stream, written to `ends`. Errno: EMFILE, ENFILE. */
export function socketPair(ends: Int32Array): number {
  return native().socketPair(ends, 2);
}

/** bind(2) to an address made by sockaddr.ts. Errno as for bind, and ENOENT, EROFS for a path. */
export function bindTo(fd: number, sockaddr: Uint8Array): number {
  return native().bind(fd, sockaddr, 0, sockaddr.length);
}

/** connect(2) to an address made by sockaddr.ts. A UNIX socket answers 0 at once, or EAGAIN. */
export function connectTo(fd: number, sockaddr: Uint8Array): number {
  return native().connect(fd, sockaddr, 0, sockaddr.length);
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
  const sockaddr = ipSockaddr(family, address.subarray(offset, offset + 16), port, scopeId);
  return sockaddr === null ? -EAFNOSUPPORT : bindTo(fd, sockaddr);
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
  const sockaddr = ipSockaddr(family, address.subarray(offset, offset + 16), port, scopeId);
  return sockaddr === null ? -EAFNOSUPPORT : connectTo(fd, sockaddr);
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
export function recv(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  flags = 0,
): number {
  return native().recv(fd, bytes, offset, length, flags);
}

/**
 * send(2), never waits, no SIGPIPE: bytes taken.
 * Errno: EAGAIN, EPIPE, ECONNRESET, ENOTCONN; ENOBUFS (MSG_ZEROCOPY beyond net.core.optmem_max or
 * RLIMIT_MEMLOCK), EMSGSIZE (datagram).
 */
export function send(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  flags = 0,
): number {
  return native().send(fd, bytes, offset, length, flags);
}

/**
 * sendmsg(2) of up to 64 ranges of one array: `ranges` holds [offset, length] pairs below 2^31,
 * `count` of them are sent. Returns bytes taken. Errno as for send, EFAULT: a range is outside.
 */
export function sendRanges(
  fd: number,
  bytes: Uint8Array,
  ranges: Int32Array,
  count: number,
  flags = 0,
): number {
  return native().sendRanges(fd, flags, bytes, 0, bytes.length, ranges, count);
}

/**
 * recvmsg(2) MSG_ERRQUEUE: writes [code, low, high] triples, at most `count` (up to 256), and
 * returns their number. `low`..`high` are the calls (u32, as signed words) whose pages are free;
 * code 0: without a copy, 1: the kernel copied; below 0: -errno of another error, no calls.
 * Errno: EAGAIN (none). Source: Documentation/networking/msg_zerocopy.rst.
 */
export function receiveNotifications(fd: number, triples: Int32Array, count: number): number {
  return native().receiveNotifications(fd, triples, count);
}

/** setsockopt(2) of one int option. Errno: EINVAL, ENOPROTOOPT, EOPNOTSUPP, EBADF. */
export function setSocketOption(fd: number, option: SocketOption, value: number): number {
  return native().setsockopt(fd, indexOf(option), value);
}

/** getsockopt(2) of one int option, as the kernel has it. Errno: EBADF, ENOTSOCK, EOPNOTSUPP. */
export function getSocketOption(fd: number, option: SocketOption): number {
  return native().getsockopt(fd, indexOf(option));
}

const SOL_SOCKET = 1;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_ULP = 31;
const TCP_ULP_BYTES = 16;
/** Offsets in struct tcp_info: tcpi_probes (u8), tcpi_unacked, tcpi_last_ack_recv (u32). */
const TCP_INFO_PROBES = 3;
const TCP_INFO_UNACKED = 24;
const TCP_INFO_LAST_ACK_RECV = 56;
/** Offset of tcpi_bytes_acked in struct tcp_info, u64. */
const TCP_INFO_BYTES_ACKED = 120;
/** Bytes of struct tcp_info that we ask for; older kernels give fewer. */
export const TCP_INFO_BYTES = 256;

const SO_COOKIE = 57;

/**
 * SO_COOKIE: the kernel's own number of a socket, never given to another one; null where it cannot
 * be read (EBADF, ENOTSOCK, a kernel before 4.12).
 */
export function socketCookie(fd: number): bigint | null {
  const value = new Uint8Array(8);
  const length = native().getsockoptBytes(fd, SOL_SOCKET, SO_COOKIE, value, 0, value.length);
  return length === value.length ? new DataView(value.buffer).getBigUint64(0) : null;
}

/**
 * SO_KEEPALIVE with its times: seconds of silence before the first probe, and between probes, and
 * how many go unanswered before the connection is given up. tcp(7). 0, or a -errno.
 */
export function setKeepAlive(
  fd: number,
  idleSeconds: number,
  intervalSeconds: number,
  probeCount: number,
): number {
  return Math.min(
    setSocketOption(fd, 'keepAlive', 1),
    setSocketOption(fd, 'keepAliveIdleSeconds', idleSeconds),
    setSocketOption(fd, 'keepAliveIntervalSeconds', intervalSeconds),
    setSocketOption(fd, 'keepAliveCount', probeCount),
  );
}

/** SO_LINGER: close(2) waits; 0 seconds: it resets the connection and drops what is unsent. */
export function setLinger(fd: number, seconds: number): number {
  const value = new Uint8Array(Int32Array.of(1, seconds).buffer);
  return native().setsockoptBytes(fd, SOL_SOCKET, SO_LINGER, value, 0, value.length);
}

/**
 * setsockopt(2) TCP_CONGESTION of one TCP socket, by name: `reno` is everywhere and allowed for
 * everybody. Errno: ENOENT (not in this kernel), EPERM (net.ipv4.tcp_allowed_congestion_control),
 * EOPNOTSUPP (not TCP).
 */
export function setCongestionControl(fd: number, name: string): number {
  const text = new TextEncoder().encode(name);
  return native().setsockoptBytes(fd, IPPROTO_TCP, TCP_CONGESTION, text, 0, text.length);
}

/**
 * getsockopt(2) TCP_INFO into at least TCP_INFO_BYTES; returns bytes written. Errno: EOPNOTSUPP.
 */
export function tcpInfo(fd: number, bytes: Uint8Array): number {
  return native().getsockoptBytes(fd, IPPROTO_TCP, TCP_INFO, bytes, 0, TCP_INFO_BYTES);
}

/** Level and number of IP_RECVERR and IPV6_RECVERR. */
const RECEIVE_ERRORS = [
  [0, 11],
  [41, 25],
] as const;

/** IP_RECVERR or IPV6_RECVERR: errors of single datagrams are reported. 0, 1, or -errno. */
export function reportsErrors(fd: number): number {
  const value = new Int32Array(1);
  const bytes = new Uint8Array(value.buffer);
  for (const [level, option] of RECEIVE_ERRORS) {
    const result = native().getsockoptBytes(fd, level, option, bytes, 0, bytes.length);
    // An IPv4 socket does not know the options of IPv6.
    if (result < 0 && result !== -ENOPROTOOPT && result !== -EOPNOTSUPP) return result;
    if (result > 0 && value[0] !== 0) return 1;
  }
  return 0;
}

/** Bytes that the peer has acknowledged, the SYN included, of what tcpInfo wrote. */
export function tcpBytesAcked(info: DataView): number {
  return Number(info.getBigUint64(TCP_INFO_BYTES_ACKED, true));
}

/** Probes of a closed window, or keep-alive's, in a row that were not answered; of tcpInfo. */
export function tcpProbes(info: DataView): number {
  return info.getUint8(TCP_INFO_PROBES);
}

/** Segments that were sent and not acknowledged; of tcpInfo. */
export function tcpSegmentsUnacked(info: DataView): number {
  return info.getUint32(TCP_INFO_UNACKED, true);
}

/** Milliseconds since the peer's last segment with an ACK, a repeated one included; of tcpInfo. */
export function tcpLastAckMs(info: DataView): number {
  return info.getUint32(TCP_INFO_LAST_ACK_RECV, true);
}

/**
 * getsockopt(2) TCP_ULP: the protocol in the kernel above TCP, as `tls`; '' where there is none.
 */
export function tcpUpperProtocol(fd: number): string {
  const name = new Uint8Array(TCP_ULP_BYTES);
  const length = native().getsockoptBytes(fd, IPPROTO_TCP, TCP_ULP, name, 0, name.length);
  return length <= 0 ? '' : String.fromCharCode(...name.subarray(0, length)).replace(/\0.*$/s, '');
}

/** ioctl(2) FIONREAD: bytes that a socket or pipe holds for its reader. Errno: EBADF, EINVAL. */
export function bytesUnread(fd: number): number {
  return native().socketQueue(fd, 0);
}

/**
 * ioctl(2) SIOCOUTQ. TCP: bytes that the peer has not acknowledged, sent or not. UNIX stream:
 * memory (at least the bytes) that the peer has not taken. UDP: the same for the device. tcp(7).
 */
export function bytesUnacked(fd: number): number {
  return native().socketQueue(fd, 1);
}

/** ioctl(2) SIOCOUTQNSD: bytes of TCP that were not sent yet. */
export function bytesUnsent(fd: number): number {
  return native().socketQueue(fd, 2);
}

/** Room for a struct sockaddr_storage. */
export const SOCKADDR_BYTES_MAX = 128;

/** getsockname(2) into SOCKADDR_BYTES_MAX bytes; returns the length. Errno: EBADF, ENOTSOCK. */
export function localName(fd: number, sockaddr: Uint8Array): number {
  return native().socketName(fd, 0, sockaddr, 0);
}

/** getpeername(2), as localName. Errno: ENOTCONN. */
export function peerName(fd: number, sockaddr: Uint8Array): number {
  return native().socketName(fd, 1, sockaddr, 0);
}

/** getsockname(2): the local port of an IP socket. Errno: EBADF, ENOTSOCK. */
export function localPort(fd: number): number {
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  const length = localName(fd, sockaddr);
  return length < 0 ? length : sockaddrPort(sockaddr);
}

const SHUTDOWN_HOW = { read: 0, write: 1, both: 2 } as const;

/** shutdown(2). Errno: ENOTCONN, EBADF. */
export function shutdown(fd: number, how: keyof typeof SHUTDOWN_HOW): number {
  return native().shutdown(fd, SHUTDOWN_HOW[how]);
}

function indexOf(option: SocketOption): number {
  return OPTION_INDEX.get(option) ?? -1;
}
