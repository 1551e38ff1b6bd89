/**
 * Memory: advice to the kernel about a range, and files mapped as ArrayBuffers.
 */
import { EINVAL, SyscallError } from './errno.ts';
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

/** Policies of mbind(2), by number. */
const MEMORY_POLICIES = { default: 0, preferred: 1, bind: 2, interleave: 3, local: 4 } as const;

export type MemoryPolicy = keyof typeof MEMORY_POLICIES;

/** The kernel reads a mask of N bytes as N bits. */
const NODE_COUNT_MAX = 1024;

/**
 * mbind(2): NUMA nodes for the OS pages of a range that starts on a page boundary; those touched
 * already stay where they are. `nodes` (0..1022) is empty for the policies default and local.
 * Errno: EINVAL (unaligned, no such node, or one that the cpuset does not allow), ENOSYS, EPERM
 * (a seccomp profile: Docker's own refuses it), EIO, ENOMEM.
 */
export function mbind(
  bytes: Uint8Array,
  offset: number,
  length: number,
  policy: MemoryPolicy,
  nodes: readonly number[],
): number {
  const mask = new Uint8Array(NODE_COUNT_MAX);
  for (const node of nodes) {
    if (!(node >= 0 && node < NODE_COUNT_MAX - 1)) return -EINVAL;
    mask[node >>> 3] = mask[node >>> 3]! | (1 << (node & 7));
  }
  const mode = MEMORY_POLICIES[policy];
  return native().mbind(bytes, offset, length, mode, mask, 0, NODE_COUNT_MAX, 0);
}
