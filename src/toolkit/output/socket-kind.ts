/**
 * Which kind of socket an fd is: what a mechanism may do with it depends on that alone.
 *
 * stream: bytes without boundaries. datagram: one write is one datagram. `unix*` queue our own
 * memory in the peer's receive queue; SCTP takes messages and copies. Source: socket(7), unix(7).
 */
import { MillraceError } from '../base/errors.ts';
import { errnoName } from '../sys/errno.ts';
import { getSocketOption, socketCookie } from '../sys/index.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../sys/sockaddr.ts';

export type SocketKindName = 'tcp' | 'udp' | 'unixStream' | 'unixDatagram' | 'other';

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** Throws MR_OUTPUT_MECHANISM when the fd is not a socket. */
export function socketKind(fd: number): SocketKindName {
  const domain = getSocketOption(fd, 'domain');
  const type = getSocketOption(fd, 'type');
  const protocol = getSocketOption(fd, 'protocol');
  if (domain < 0 || type < 0 || protocol < 0) {
    const failed = Math.min(domain, type, protocol);
    throw new MillraceError(
      'MR_OUTPUT_MECHANISM',
      `fd ${fd} is not a socket that can be asked for its kind: ${errnoName(failed)}`,
      'give an open, connected socket',
    );
  }
  if (domain === AF_UNIX) return type === SOCK_STREAM ? 'unixStream' : 'unixDatagram';
  if (domain !== AF_INET && domain !== AF_INET6) return 'other';
  // A raw socket may carry the number of any protocol.
  if (type === SOCK_STREAM && protocol === IPPROTO_TCP) return 'tcp';
  return type === SOCK_DGRAM && protocol === IPPROTO_UDP ? 'udp' : 'other';
}

/** One write is one message: its boundary must be kept. */
export function hasBoundaries(kind: SocketKindName): boolean {
  return kind !== 'tcp' && kind !== 'unixStream';
}

/** MR_OUTPUT_MECHANISM: `what` does not work on this kind of socket. */
export function kindError(what: string, kind: SocketKindName, remedy: string): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `${what} does not work on a socket of kind ${kind}`,
    remedy,
  );
}

/** Whether the number still means the socket that had this cookie. */
export function isSameSocket(fd: number, cookie: bigint | null): boolean {
  return cookie !== null && socketCookie(fd) === cookie;
}
