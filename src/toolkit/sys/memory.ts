/**
 * Memory: advice to the kernel about a range, and files mapped as ArrayBuffers.
 */
import { SyscallError } from './errno.ts';
import { native } from './load.ts';

/** Advice of madvise(2), by number. */
const ADVICE = { dontNeed: 4, dontFork: 10, hugePage: 14, populateWrite: 23 } as const;

export type MemoryAdvice = keyof typeof ADVICE;

/**
 * madvise(2) on the whole OS pages inside the range: how many bytes they are, or -errno.
 * dontNeed: the range reads as zeros afterwards; what others refer to keeps the old memory.
 * Errno: EINVAL (no such advice in this kernel), ENOMEM (not mapped, or no memory), EAGAIN.
 */
export function madvise(
  bytes: Uint8Array,
  offset: number,
  length: number,
  advice: MemoryAdvice,
): number {
  return native().madvise(ADVICE[advice], bytes, offset, length);
}

/**
 * mmap(2) MAP_SHARED of a file, a memory file or a ring of io_uring; unmapped when the buffer is
 * collected. Throws SyscallError: EACCES, EINVAL, ENODEV, ENOMEM; EOPNOTSUPP where this Node.js
 * has no external buffers.
 */
export function mapFile(fd: number, fileOffset: number, length: number): ArrayBuffer {
  const mapped = native().mapFile(fd, fileOffset, length);
  if (typeof mapped === 'number') throw new SyscallError('mmap', mapped);
  return mapped;
}
