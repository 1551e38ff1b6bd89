/**
 * Waiting in tests until a socket has something, or takes something.
 *
 * WHY  Loopback hands over in a soft interrupt: mostly before send(2) or connect(2) returns, but a
 *      kernel that is busy leaves it to a thread of its own, and then it comes later. A test that
 *      reads, accepts or asks for a queue at once is right mostly, and this is how it is always.
 */
import assert from 'node:assert/strict';
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
} from './epoll.ts';
import { checked } from './errno.ts';
import { closeFd } from './file.ts';
import { accept4, bytesUnread, PEER_BYTES } from './socket.ts';

/** No machine takes so long to hand a packet to itself. */
const WAIT_MS_MAX = 30_000;

/** Waits for one of the events; what else the fd has to say ends no wait. */
function waitFor(fd: number, events: number, what: string): void {
  const epollFd = checked('epoll_create', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, fd, events, 0));
  const pairs = new Int32Array(2);
  const endMs = performance.now() + WAIT_MS_MAX;
  do {
    assert.ok(performance.now() < endMs, what);
    // A signal ends it with 0.
    checked('epoll_wait', epollWait(epollFd, pairs, 1, 1_000));
  } while ((pairs[1]! & events) === 0);
  closeFd(epollFd);
}

/** Until there are bytes, an end, or an error to be had. */
export function waitReadable(fd: number): void {
  waitFor(fd, EPOLLIN | EPOLLERR | EPOLLHUP, 'readable in time');
}

/** Until bytes are taken, or an error is to be had. */
export function waitWritable(fd: number): void {
  waitFor(fd, EPOLLOUT | EPOLLERR | EPOLLHUP, 'writable in time');
}

/** Until the connection is over in both directions: its end or a reset has come. */
export function waitHungUp(fd: number): void {
  waitFor(fd, EPOLLHUP, 'over in time');
}

/** Until the socket has an error to tell. */
export function waitFailed(fd: number): void {
  waitFor(fd, EPOLLERR, 'failed in time');
}

/** Until so many bytes can be read. */
export function waitUnread(fd: number, bytes: number): void {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (bytesUnread(fd) < bytes) {
    waitReadable(fd);
    assert.ok(performance.now() < endMs, `${bytesUnread(fd)} of ${bytes} bytes have come`);
  }
}

/** The connection that is on its way to `listener`, and the name of its peer. */
export function acceptComing(listener: number, peer = new Uint8Array(PEER_BYTES)): number {
  waitReadable(listener);
  return checked('accept4', accept4(listener, peer));
}

/** Until the kernel has done what it does later by itself, a delayed ACK for example. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS_MAX; !isSo(); ) {
    assert.ok(performance.now() < endMs, what);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
