/**
 * Pipes, and bytes that travel by reference: vmsplice(2), splice(2), tee(2), sendfile(2).
 *
 * Every pipe is non-blocking and close-on-exec; every call has SPLICE_F_NONBLOCK, which covers the
 * pipe: the socket must be non-blocking itself, or the call sleeps with the pipe locked. All
 * results are values >= 0 or -errno; EAGAIN is a value. Lengths are bytes, up to 2^30 a call.
 */
import { native } from './load.ts';

/** pipe2(2): writes [read end, write end]; returns 0. Errno: EMFILE, ENFILE. */
export function pipeCreate(ends: Int32Array): number {
  return native().pipeCreate(ends, 2);
}

/** fcntl(2) F_GETPIPE_SZ: bytes of a pipe whose every slot holds a whole OS page. Errno: EBADF. */
export function pipeCapacity(fd: number): number {
  return native().pipeCapacity(fd);
}

/**
 * fcntl(2) F_SETPIPE_SZ: returns the new capacity, rounded up to a power of two of OS pages.
 * Errno: EPERM (above fs.pipe-max-size, or fs.pipe-user-pages-soft is used up), EBUSY (holds more).
 */
export function setPipeCapacity(fd: number, bytes: number): number {
  return native().setPipeCapacity(fd, bytes);
}

/** read(2) of a pipe or a stream: bytes copied, 0 at its end. Errno: EAGAIN, EBADF. */
export function read(fd: number, bytes: Uint8Array, offset: number, length: number): number {
  return native().read(fd, bytes, offset, length);
}

/**
 * vmsplice(2): the pipe refers to the OS pages of the bytes; one slot for every page touched.
 * Returns bytes taken. The bytes must not change until nobody refers to them (see output/).
 * Errno: EAGAIN (no slot), EBADF, EFAULT, ENOMEM.
 */
export function vmsplice(
  pipeFd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  return native().vmsplice(pipeFd, bytes, offset, length);
}

/**
 * splice(2) between a pipe and a socket, either way: bytes moved. `more`: the socket holds the
 * last part segment back (MSG_MORE). What is not moved stays in the pipe.
 * Errno: EAGAIN (socket full, pipe empty or full), EPIPE, ECONNRESET, EMSGSIZE, EINVAL.
 */
export function splice(from: number, to: number, length: number, more = false): number {
  return native().splice(from, -1, to, length, more ? 1 : 0);
}

/** splice(2) from the page cache of a file into a pipe: bytes moved, 0 at the end of the file. */
export function spliceFile(
  file: number,
  fileOffset: number,
  pipeFd: number,
  length: number,
): number {
  return native().splice(file, fileOffset, pipeFd, length, 0);
}

/** tee(2): a second reference to what a pipe holds, from its front. Errno: EAGAIN, EINVAL. */
export function tee(from: number, to: number, length: number): number {
  return native().tee(from, to, length);
}

/** sendfile(2): bytes of the file that the socket took, 0 at the end of the file. Errno: EAGAIN. */
export function sendfile(socket: number, file: number, fileOffset: number, length: number): number {
  return native().sendfile(socket, file, fileOffset, length);
}
