/**
 * Helpers: keeps the threads that are nobody's worker away from the CPUs of the workers.
 *
 * WHY         V8's and libuv's pools may run anywhere, also on the CPU of a pinned worker; libuv's
 *             pool is born at its first use, with the mask of the thread that used it first. So
 *             the rule is applied again and again (a sweep), not once.
 * INVARIANTS  1. The main thread and registered workers are never touched.  2. A worker that was
 *             swept before it registered gets its mask back at the next sweep.  3. `stop` puts back
 *             what was changed here, and only where nobody has changed it since; a thread born
 *             later has the mask of a thread that was pinned, so it gets what the main thread had
 *             when this began.
 */
import { MillraceError } from '../base/errors.ts';
import { ESRCH, schedGetAffinity, schedSetAffinity } from '../sys/index.ts';
import { isSame, isStill } from './pin.ts';
import { type CpuSpec, cpusOf } from './spec.ts';
import { type ThreadInfo, threads } from './threads.ts';
import { topology } from './topology.ts';

export interface ConfineOptions {
  /** Time between two sweeps; 0: only when `sweep` is called. 1,000 by default. */
  readonly sweepMs?: number;
}

const SWEEP_MS = 1_000;

interface Moved {
  readonly startTicks: number;
  readonly before: readonly number[];
  /** Put back by `stop`. */
  readonly atStop: readonly number[];
}

export class Confinement {
  readonly cpus: readonly number[];
  /** Masks changed so far. */
  changed = 0;
  /** Threads that the kernel refused to move; each is counted once and stays where it was. */
  refused = 0;
  readonly #moved = new Map<number, Moved>();
  /** Start by thread id. */
  readonly #refused = new Map<number, number>();
  /** Start by thread id, of the last sweep. */
  #known: ReadonlyMap<number, number> | null = null;
  /** What the main thread had at the first sweep. */
  #mainMask: readonly number[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** @internal: use `confineHelperThreads`. */
  constructor(cpus: readonly number[], sweepMs: number) {
    this.cpus = cpus;
    this.sweep();
    if (sweepMs > 0) this.#timer = setInterval(() => this.sweep(), sweepMs).unref();
  }

  /** Applies the rule to the threads that there are now; how many masks it changed. */
  sweep(): number {
    const now = threads();
    const changedBefore = this.changed;
    for (const [tid, moved] of this.#moved) {
      const thread = now.find(({ threadId }) => threadId === tid);
      if (thread === undefined || thread.startTicks !== moved.startTicks) this.#moved.delete(tid);
      else if (thread.kind !== 'helper') this.#putBack(tid, moved.before);
    }
    if (this.#known === null) {
      this.#mainMask = now.find(({ kind }) => kind === 'main')?.cpus ?? this.cpus;
    }
    // The kernel may take a CPU that went offline out of the masks: nothing to change then.
    let online: readonly number[] | null = null;
    const isInPlace = ({ cpus }: ThreadInfo): boolean => {
      if (isSame(cpus, this.cpus)) return true;
      online ??= topology().online.filter((cpu) => this.cpus.includes(cpu));
      return isSame(cpus, online);
    };
    for (const thread of now) {
      if (thread.kind === 'helper') this.#confine(thread, isInPlace(thread));
    }
    this.#known = new Map(now.map(({ threadId, startTicks }) => [threadId, startTicks]));
    return this.changed - changedBefore;
  }

  /** Ends the sweeps and puts back what was changed; how many masks were put back. */
  stop(): number {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    const alive = new Map(threads().map((thread) => [thread.threadId, thread.startTicks]));
    let count = 0;
    for (const [tid, moved] of this.#moved) {
      if (alive.get(tid) === moved.startTicks && this.#putBack(tid, moved.atStop)) count++;
    }
    this.#moved.clear();
    return count;
  }

  #confine(thread: ThreadInfo, isInPlace: boolean): void {
    const { threadId, startTicks, cpus: before } = thread;
    const isBornLater = this.#known !== null && this.#known.get(threadId) !== startTicks;
    if (isInPlace && !isBornLater) return;
    if (!isInPlace) {
      const result = schedSetAffinity(threadId, this.cpus);
      if (result < 0) {
        // ESRCH: it ended just now.
        if (result === -ESRCH || this.#refused.get(threadId) === startTicks) return;
        this.#refused.set(threadId, startTicks);
        this.refused++;
        return;
      }
      this.changed++;
    }
    // What somebody else set in between is not ours to bring back: the first mask is.
    if (this.#moved.has(threadId)) return;
    const atStop = isBornLater ? this.#mainMask : before;
    this.#moved.set(threadId, { startTicks, before, atStop });
  }

  #putBack(tid: number, mask: readonly number[]): boolean {
    this.#moved.delete(tid);
    try {
      if (!isStill(schedGetAffinity(tid), this.cpus)) return false;
    } catch (error) {
      // It ended just now.
      if (error instanceof MillraceError) return false;
      throw error;
    }
    return schedSetAffinity(tid, mask) === 0;
  }
}

/**
 * Lets all helper threads run on these CPUs only, now and those born later. Workers of your own
 * that must not be moved call `registerThread`. Throws MR_CPU for CPUs that may not be used.
 */
export function confineHelperThreads(spec: CpuSpec, options: ConfineOptions = {}): Confinement {
  return new Confinement(cpusOf(spec, topology()), options.sweepMs ?? SWEEP_MS);
}
