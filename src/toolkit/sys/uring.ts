/**
 * io_uring(7), as far as sending by reference needs it: a ring without a kernel thread.
 *
 * The rings are mapped with mapFile and read by Atomics. The entry, which holds the address of the
 * bytes, is written in C; it lies in memory that the kernel shares with us, where nothing here
 * reads it. Results are values >= 0 or -errno.
 */
import { native } from './load.ts';

/** Bytes of struct io_uring_params. */
export const URING_PARAMS_BYTES = 120;
/** Bytes of an entry of the submission queue. */
export const URING_ENTRY_BYTES = 64;

/**
 * io_uring_setup(2): returns the fd of the ring; `parameters` (URING_PARAMS_BYTES) is filled in.
 * Errno: ENOSYS, EPERM (seccomp, sysctl kernel.io_uring_disabled), ENOMEM, EMFILE.
 */
export function uringSetup(entries: number, parameters: Uint8Array): number {
  return native().uringSetup(entries, parameters, 0, parameters.length);
}

/**
 * Writes entry `index`: IORING_OP_SEND_ZC of a range to a socket, with a report of the use made of
 * the pages. `userData` (0..2^31-1) comes back in both completions. Linux 6.0, the report 6.2.
 */
export function uringPrepareSend(
  entries: Uint8Array,
  index: number,
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  messageFlags: number,
  userData: number,
): number {
  const at = index * URING_ENTRY_BYTES;
  return native().uringPrepareSend(entries, at, fd, messageFlags, userData, bytes, offset, length);
}

/**
 * io_uring_register(2) IORING_REGISTER_EVENTFD: completions, and work that uringEnter has to fetch,
 * raise the eventfd, unless the flags of the completion ring switch it off. Errno: EBUSY, EBADF.
 */
export function uringSignal(fd: number, eventFd: number): number {
  return native().uringSignal(fd, eventFd);
}

/**
 * io_uring_enter(2): submits, and with `isWaiting` waits for `minComplete` completions. Returns
 * entries consumed. Errno: EAGAIN, EBUSY (completions overflow), EINTR.
 */
export function uringEnter(
  fd: number,
  toSubmit: number,
  minComplete = 0,
  isWaiting = false,
): number {
  return native().uringEnter(fd, toSubmit, minComplete, isWaiting ? 1 : 0);
}
