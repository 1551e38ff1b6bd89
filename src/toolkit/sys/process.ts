/**
 * The process and its threads: CPU time, names, and the CPUs that a thread may run on.
 *
 * All results are values >= 0 or -errno; times are microseconds, user + system.
 */

import { checked } from './errno.ts';
import { native } from './load.ts';

/** The kernel keeps 15 bytes of a thread's name. */
export const THREAD_NAME_BYTES_MAX = 15;

/** Linux supports at most that many CPUs. */
const CPU_COUNT_MAX = 8192;

/** getrusage(2) RUSAGE_SELF: CPU time of all threads, also of those that ended, µs. */
export function processCpuUs(): number {
  return native().processCpuUs();
}

/** getrusage(2) RUSAGE_THREAD: CPU time of the calling thread, µs. */
export function threadCpuUs(): number {
  return native().threadCpuUs();
}

/**
 * _exit(2): ends the process with `code` (0..255) at once. No exit handler runs and no thread is
 * waited for: for a process whose threads may be inside a library that cannot be interrupted.
 */
export function exitNow(code: number): never {
  return native().exitNow(code);
}

/** gettid(2): the folder name under /proc/self/task. */
export function threadId(): number {
  return native().threadId();
}

/** prctl(2) PR_SET_NAME of the calling thread, 1 to 15 bytes (RangeError), as `ps -T` shows it. */
export function setThreadName(name: string): number {
  return native().setThreadName(name);
}

/**
 * sched_setaffinity(2): lets the thread (0: the calling one) run on these CPUs only.
 * Errno: EINVAL (no such CPU, or none that the container allows), ESRCH, EPERM.
 */
export function schedSetAffinity(threadId: number, cpuIndexes: readonly number[]): number {
  return native().schedSetAffinity(threadId, Int32Array.from(cpuIndexes), cpuIndexes.length);
}

/** sched_getaffinity(2): the CPUs that the thread (0: the calling one) may run on. Throws ESRCH. */
export function schedGetAffinity(threadId = 0): readonly number[] {
  const cpuIndexes = new Int32Array(CPU_COUNT_MAX);
  const count = native().schedGetAffinity(threadId, cpuIndexes, CPU_COUNT_MAX);
  return Array.from(cpuIndexes.subarray(0, checked('sched_getaffinity', count)));
}

/** sched_getcpu(3): the CPU that the calling thread runs on; it may be another one already. */
export function currentCpu(): number {
  return native().currentCpu();
}

/**
 * sched_yield(2): lets others that wait for the calling thread's CPU run first; returns at once
 * when there is none. For IdleStrategy.sleeper({ yieldCpu }).
 */
export function yieldCpu(): void {
  native().yieldCpu();
}
