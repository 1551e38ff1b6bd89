/**
 * Pin: a thread of this process on certain CPUs, read back, and let go again.
 *
 * WHY         The kernel cuts a mask silently to what the cpuset allows, and an offline CPU takes
 *             no part in it. So a mask is read back, and what was cut off is an error.
 * INVARIANTS  1. After an error the thread has the mask that it had.  2. `release` puts back what
 *             was there before only while the thread still has what `pin` gave it.
 * BEWARE      A thread hands its mask on to those that it starts: pin the main thread last. A CPU
 *             that others use too makes the worst pause longer: ask `advise` first.
 */
import type { Worker } from 'node:worker_threads';
import { MillraceError } from '../base/errors.ts';
import {
  EINVAL,
  EPERM,
  ESRCH,
  errnoName,
  schedGetAffinity,
  schedSetAffinity,
  threadId,
} from '../sys/index.ts';
import { CpuError } from './cpu-error.ts';
import { formatCpuList } from './cpu-list.ts';
import { registeredThreads } from './register.ts';
import { type CpuSpec, cpusOf } from './spec.ts';
import { topology } from './topology.ts';

/** A worker that has called `registerThread`, a thread id as gettid(2) says it, or the caller. */
export type PinTarget = Worker | number | 'self';

export interface Pinned {
  readonly threadId: number;
  readonly cpus: readonly number[];
  /** The mask that it had. */
  readonly before: readonly number[];
}

/**
 * Lets a thread run on these CPUs only. The change holds when the call returns; a thread that runs
 * elsewhere is moved. Throws CpuError (MR_CPU): no such CPU, offline, outside the cpuset, no
 * permission, no such thread, a worker that has not registered; MR_ADDON.
 */
export function pin(target: PinTarget, spec: CpuSpec): Pinned {
  const tid = threadIdOf(target);
  const cpus = cpusOf(spec, topology());
  const before = maskOf(tid);
  const result = schedSetAffinity(tid, cpus);
  if (result < 0) throw refused(result, tid, cpus);
  const got = maskOf(tid);
  if (isSame(got, cpus)) return { threadId: tid, cpus, before };
  schedSetAffinity(tid, before);
  throw new CpuError(
    'refused',
    `of the CPUs ${formatCpuList(cpus)} the kernel gave only ${formatCpuList(got)}`,
    'the others went offline just now, or a cpuset that cannot be seen from here excludes them',
  );
}

/** Puts back the mask that `pin` found; false: somebody changed it since, or the thread ended. */
export function release(pinned: Pinned): boolean {
  try {
    if (!isStill(maskOf(pinned.threadId), pinned.cpus)) return false;
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  }
  return schedSetAffinity(pinned.threadId, pinned.before) === 0;
}

/** The kernel's id of the thread that is meant. */
export function threadIdOf(target: PinTarget): number {
  if (target === 'self') return threadId();
  if (typeof target === 'number') return target;
  const found = registeredThreads().find(({ nodeId }) => nodeId === target.threadId);
  if (found !== undefined) return found.threadId;
  throw new CpuError(
    'thread',
    `the thread of worker ${target.threadId} is not known`,
    'the worker calls registerThread(role) when it starts, and the main thread imports' +
      ' millrace/cpu before it starts workers',
  );
}

function maskOf(tid: number): readonly number[] {
  try {
    return schedGetAffinity(tid);
  } catch (error) {
    throw new CpuError('thread', `there is no thread ${tid}`, '', { cause: error });
  }
}

/** Still what was given? A CPU of it that went offline is missing in what the kernel says. */
export function isStill(mask: readonly number[], given: readonly number[]): boolean {
  if (isSame(mask, given)) return true;
  const { online } = topology();
  return isSame(
    mask,
    given.filter((cpu) => online.includes(cpu)),
  );
}

export function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((cpu, index) => cpu === b[index]);
}

function refused(result: number, tid: number, cpus: readonly number[]): CpuError {
  const what = `thread ${tid} cannot be pinned to ${formatCpuList(cpus)}: ${errnoName(result)}`;
  if (result === -EPERM) {
    return new CpuError(
      'permission',
      what,
      'a seccomp profile refuses sched_setaffinity, or the thread belongs to another user',
    );
  }
  if (result === -EINVAL) {
    return new CpuError(
      'offline',
      what,
      'none of them is online and in the cpuset of this process: `millrace cpu` shows both',
    );
  }
  return new CpuError(result === -ESRCH ? 'thread' : 'refused', what);
}
