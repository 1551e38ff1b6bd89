/**
 * The sockets of the bench: addresses, connections, waiting.
 */
import { MillraceError } from '../../toolkit/base/errors.ts';
import {
  checked,
  closeFd,
  connectTo,
  EAGAIN,
  EINPROGRESS,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
  getSocketOption,
  ipSockaddr,
  setCongestionControl,
  socketCreate,
  unixSockaddr,
} from '../../toolkit/sys/index.ts';
import type { Target } from './agent-protocol.ts';

/** An IPv4 address as the 16 bytes ::ffff:a.b.c.d. */
export function mappedAddress(host: string): Uint8Array {
  const address = new Uint8Array(16);
  address.set([0xff, 0xff], 10);
  address.set(host.split('.').map(Number), 12);
  return address;
}

export function sockaddrOf(target: Target): Uint8Array {
  if (target.kind === 'unix') return unixSockaddr(target.file);
  const sockaddr = ipSockaddr(4, mappedAddress(target.host), target.port);
  if (sockaddr === null) throw new MillraceError('MR_ADDRESS', `${target.host} is not IPv4`);
  return sockaddr;
}

export function familyOf(target: Target): 4 | 'unix' {
  return target.kind === 'unix' ? 'unix' : 4;
}

const CONNECT_MS = 5000;

/** Connected, non-blocking; throws MR_CONNECT. */
export function connectSocket(target: Target, congestion: string): number {
  const fd = checked('socket', socketCreate(familyOf(target)));
  if (target.kind === 'tcp' && congestion !== '') {
    checked('setsockopt TCP_CONGESTION', setCongestionControl(fd, congestion));
  }
  let result = connectTo(fd, sockaddrOf(target));
  if (result === -EINPROGRESS) {
    waitFor(fd, EPOLLOUT, CONNECT_MS);
    result = -getSocketOption(fd, 'pendingError');
  }
  if (result < 0) {
    closeFd(fd);
    const where = target.kind === 'unix' ? target.file : `${target.host}:${target.port}`;
    const why = result === -EAGAIN ? 'its backlog is full' : `errno ${-result}`;
    throw new MillraceError('MR_CONNECT', `${where}: ${why}`);
  }
  return fd;
}

/** Waits until the fd has one of these events, or the time is over; returns whether it has. */
export function waitFor(fd: number, events: number, timeoutMs: number): boolean {
  const epollFd = checked('epoll_create', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, fd, events, 0));
  const ready = epollWait(epollFd, new Int32Array(2), 1, timeoutMs);
  closeFd(epollFd);
  return ready > 0;
}
