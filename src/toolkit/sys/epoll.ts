/**
 * epoll(7) and eventfd(2): waiting for many sockets in one thread, and being woken by another.
 *
 * All results are values >= 0 or -errno. Level-triggered unless EPOLLET is given.
 */
import { EINTR } from './errno.ts';
import { native } from './load.ts';

/** Events of epoll_ctl(2); the same numbers on every Linux architecture. */
export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
/** Reported once, then silent until epollModify. */
export const EPOLLONESHOT = 0x4000_0000;
export const EPOLLET = 0x8000_0000;

/** The most pairs that one epollWait takes. */
export const EPOLL_WAIT_EVENTS_MAX = 256;

const CONTROL_ADD = 1;
const CONTROL_DELETE = 2;
const CONTROL_MODIFY = 3;

/** epoll_create1(2), close-on-exec. Returns the fd. Errno: EMFILE, ENFILE, ENOMEM. */
export function epollCreate(): number {
  return native().epollCreate();
}

/**
 * epoll_ctl(2) EPOLL_CTL_ADD. `data` (0 to 2^31 - 1) comes back from epollWait: an index or the fd.
 * Errno: EEXIST, EBADF, EPERM (the fd cannot be waited for), ENOSPC (fs.epoll.max_user_watches).
 */
export function epollAdd(epollFd: number, fd: number, events: number, data: number): number {
  return native().epollControl(epollFd, CONTROL_ADD, fd, events >>> 0, data);
}

/** epoll_ctl(2) EPOLL_CTL_MOD. `events` 0 leaves only errors and hang-ups. Errno: ENOENT, EBADF. */
export function epollModify(epollFd: number, fd: number, events: number, data: number): number {
  return native().epollControl(epollFd, CONTROL_MODIFY, fd, events >>> 0, data);
}

/** epoll_ctl(2) EPOLL_CTL_DEL. Errno: ENOENT, EBADF. */
export function epollDelete(epollFd: number, fd: number): number {
  return native().epollControl(epollFd, CONTROL_DELETE, fd, 0, 0);
}

/**
 * epoll_wait(2). Writes [data, events] pairs from the start of `pairs` and returns their number,
 * 0 after `timeoutMs` (-1 waits for ever) or when a signal came. `pairCount` is at most
 * EPOLL_WAIT_EVENTS_MAX and pairs.length / 2 (RangeError). The events of a pair are signed:
 * test them by `&`. Errno: EBADF, EINVAL.
 */
export function epollWait(
  epollFd: number,
  pairs: Int32Array,
  pairCount: number,
  timeoutMs: number,
): number {
  const ready = native().epollWait(epollFd, pairs, pairCount, timeoutMs);
  return ready === -EINTR ? 0 : ready;
}

/** eventfd(2), non-blocking, counter 0. Returns the fd. Errno: EMFILE, ENFILE, ENOMEM. */
export function eventfdCreate(): number {
  return native().eventfdCreate();
}

/** Adds 1 to the counter: the fd becomes readable. Any thread may call it. Errno: EBADF. */
export function eventfdSignal(fd: number): number {
  return native().eventfdSignal(fd);
}

/** Sets the counter to 0; returns what it was. Errno: EAGAIN (it was 0). */
export function eventfdClear(fd: number): number {
  return native().eventfdClear(fd);
}
