/**
 * Files of the journal: written from slices of shared memory, at a given place in the file.
 *
 * All results are values >= 0 or -errno. Offsets and lengths in the array are bytes, checked in C
 * (RangeError); file offsets and sizes are bytes below 2^53.
 */
import { constants } from 'node:fs';
import { native } from './load.ts';

/** Named flags of open(2); close-on-exec is always set. */
const OPEN_FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_WRONLY,
  readWrite: constants.O_RDWR,
  create: constants.O_CREAT,
  exclusive: constants.O_EXCL,
  truncate: constants.O_TRUNC,
  append: constants.O_APPEND,
  directory: constants.O_DIRECTORY,
  noFollow: constants.O_NOFOLLOW,
  sync: constants.O_SYNC,
  dataSync: constants.O_DSYNC,
} as const;

export type OpenFlag = keyof typeof OPEN_FLAGS;

/** Permissions of a new file when nothing else is said: the owner's alone. */
const MODE_DEFAULT = 0o600;

/**
 * open(2) of a path of at most 4,095 bytes. Returns the fd.
 * Errno: ENOENT, EEXIST, EACCES, EISDIR, ENOTDIR, ENOSPC, EROFS, EMFILE, ENFILE, ELOOP.
 */
export function openFile(path: string, flags: readonly OpenFlag[], mode = MODE_DEFAULT): number {
  let bits = 0;
  for (const flag of flags) bits |= OPEN_FLAGS[flag];
  return native().openFile(path, bits, mode);
}

/** close(2), of a file, socket, epoll or eventfd. Errno: EBADF, EIO, ENOSPC. */
export function closeFd(fd: number): number {
  return native().closeFd(fd);
}

/**
 * pwrite(2): bytes written, which may be fewer than `length` (a disk that fills up).
 * Errno: ENOSPC, EDQUOT, EFBIG, EIO, EBADF.
 */
export function pwrite(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fileOffset: number,
): number {
  return native().pwrite(fd, bytes, offset, length, fileOffset);
}

/**
 * pwrite(2) until everything is written: `length`, or -errno of the call that failed. After a
 * failure an unknown prefix is in the file; the caller writes the same place again, or gives up.
 */
export function pwriteFully(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fileOffset: number,
): number {
  let done = 0;
  while (done < length) {
    const wrote = native().pwrite(fd, bytes, offset + done, length - done, fileOffset + done);
    if (wrote < 0) return wrote;
    done += wrote;
  }
  return done;
}

/** pread(2): bytes read, 0 at the end of the file. Errno: EIO, EISDIR, EBADF. */
export function pread(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fileOffset: number,
): number {
  return native().pread(fd, bytes, offset, length, fileOffset);
}

/**
 * preadv2(2) with RWF_NOWAIT: as pread, but only what the page cache holds; the disk is not waited
 * for. Bytes read, which end where the first page is missing; 0 at the end of the file.
 * Errno: EAGAIN (the first page is missing; Linux may begin to read it), EOPNOTSUPP (the file
 * system cannot tell: tmpfs), and those of pread.
 */
export function preadNoWait(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fileOffset: number,
): number {
  return native().preadNoWait(fd, bytes, offset, length, fileOffset);
}

/**
 * fallocate(2): reserves disk space for a range. With `keepSize` the file's length stays.
 * Errno: ENOSPC, EOPNOTSUPP (the file system cannot), EFBIG, EBADF.
 */
export function fallocate(
  fd: number,
  fileOffset: number,
  bytes: number,
  keepSize: boolean,
): number {
  return native().fallocate(fd, keepSize ? 1 : 0, fileOffset, bytes);
}

/** ftruncate(2): sets the length. Errno: EINVAL (not open for writing), EFBIG, EIO, EBADF. */
export function ftruncate(fd: number, bytes: number): number {
  return native().ftruncate(fd, bytes);
}

/** fdatasync(2): returns when the data, and the length, are on the disk. Errno: EIO, ENOSPC. */
export function fdatasync(fd: number): number {
  return native().fdatasync(fd);
}

/** fsync(2): as fdatasync with all metadata; of a folder, its names. Errno: EIO, ENOSPC, EINVAL. */
export function fsync(fd: number): number {
  return native().fsync(fd);
}

/**
 * flock(2) LOCK_EX without waiting; the lock goes with the last close of this open file.
 * Errno: EAGAIN (another open file holds it), EBADF, ENOLCK.
 */
export function flockExclusive(fd: number): number {
  return native().flockExclusive(fd);
}

/** fstatvfs(3): bytes that an ordinary user may still write to the file system of `fd`. */
export function freeBytes(fd: number): number {
  return native().freeBytes(fd);
}
