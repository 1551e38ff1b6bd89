/**
 * Pinning: keeps the threads of a running server on their CPUs, and says what became of it.
 *
 * WHY         A pinned thread is steadier on a CPU of its own and much worse off on one that others
 *             use too. So `auto` looks first, goes on looking, and lets go; an operator's list is
 *             obeyed, and what cannot be obeyed after the start is counted, never fatal.
 * ORDER       Entries are checked before anything runs; each worker is pinned when it has started,
 *             also after a restart; then the helpers; the main thread last, as its children get its
 *             mask.
 * FALLBACKS   A CPU that went away (hotplug, cpuset): the kernel lets the thread run elsewhere; an
 *             entry of the operator is tried again at every look, `auto` lets all go if it was a
 *             worker's own. A mask that somebody else has set is left alone. Each is logged and
 *             counted by its reason; helpers that the kernel refuses to move are only counted.
 * INVARIANTS  Only masks that this object has changed are put back, and only while they are still
 *             what it made them.
 */
import type { Worker } from 'node:worker_threads';
import { monotonicMs } from '../toolkit/base/clock.ts';
import {
  type Advice,
  type Confinement,
  CpuError,
  confineHelperThreads,
  formatCpuList,
  type PinTarget,
  percent,
  pin,
  placeMemory,
  release,
  type ThreadInfo,
  type Topology,
  threads,
  topology,
} from '../toolkit/cpu/index.ts';
import type { Config } from './config.ts';
import { advisePlan, explicitCpus, HELPERS_NAME, MAIN_NAME, workerName } from './cpu-plan.ts';
import type { Logger } from './log.ts';
import { Held } from './pinning-held.ts';
import {
  FALLBACK_REASONS,
  type FallbackReason,
  type PinningState,
  type PinningStatus,
} from './pinning-status.ts';
import type { Plan, PlannedWorker } from './plan.ts';

/** Between two looks at the pinned threads. */
const LOOK_MS = 2_000;
/** A pinned worker that waited so much of WAIT_WINDOW_MS is not alone on its CPU. */
const WAIT_FRACTION_MAX = 0.05;
const WAIT_WINDOW_MS = 10_000;
const WARN_EVERY_MS = 600_000;

export interface PinningOptions {
  /** Tests put their own in its place. */
  readonly advise?: (plan: Plan) => Promise<Advice>;
  readonly threads?: () => readonly ThreadInfo[];
  readonly topology?: () => Topology;
  readonly nowMs?: () => number;
  readonly lookMs?: number;
}

export class Pinning {
  readonly #mode: PinningStatus['mode'];
  readonly #plan: Plan;
  readonly #log: Logger;
  readonly #options: PinningOptions;
  readonly #workers = new Map<string, Worker>();
  readonly #held = new Map<string, Held>();
  readonly #fallbacks = Object.fromEntries(FALLBACK_REASONS.map((name) => [name, 0])) as Record<
    FallbackReason,
    number
  >;
  /** By name: where threads are to run. */
  #cpus: ReadonlyMap<string, readonly number[]>;
  /** Workers that auto promised a core of their own. */
  #alone: ReadonlySet<string> = new Set();
  #state: PinningState;
  #reasons: readonly string[] = [];
  #memory = 'first touch';
  #arena: Uint8Array | null = null;
  #pins = 0;
  #helperMasksBefore = 0;
  #helperRefusalsBefore = 0;
  #confinement: Confinement | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** All workers of the plan have started once: from now on nothing here is fatal. */
  #isRunning = false;
  #hasEnded = false;

  /** Checks the entries of the operator; changes nothing. Throws CpuError. */
  constructor(config: Config, plan: Plan, log: Logger, options: PinningOptions = {}) {
    const { pin: wish } = config.cpu;
    this.#mode = typeof wish === 'string' ? wish : 'explicit';
    this.#plan = plan;
    this.#log = log;
    this.#options = options;
    this.#cpus = explicitCpus(config, plan);
    if (this.#mode === 'explicit') {
      const isNamed = this.#cpus.size > 0;
      this.#state = isNamed ? 'pinned' : 'notPinned';
      this.#reasons = [isNamed ? 'cpu.pin names these CPUs' : 'cpu.pin names no CPU'];
    } else this.#state = this.#mode === 'off' ? 'off' : 'watching';
  }

  /** Where the arena's memory shall come from; before anybody touches it. */
  placeArena(bytes: Uint8Array): void {
    this.#arena = bytes;
    this.#placeMemory();
  }

  /**
   * A worker has started, for the first time or again. The first time an entry that cannot be
   * obeyed throws CpuError.
   */
  workerStarted(planned: PlannedWorker, thread: Worker): void {
    const name = workerName(planned);
    this.#workers.set(name, thread);
    this.#held.delete(name);
    if (this.#hasEnded) return;
    if (this.#cpus.has(name)) this.#pin(name, thread);
    else this.#freeOfMain(name, thread);
  }

  /** All workers run: helpers and main thread, or the look at the CPUs. */
  started(): void {
    if (this.#mode === 'auto') void this.#decide();
    else if (this.#mode === 'explicit') this.#pinOthers();
    this.#isRunning = true;
  }

  /** Puts back what was changed. The workers have ended, or keep what they have. */
  stop(): void {
    this.#hasEnded = true;
    this.#letGo();
  }

  status(): PinningStatus {
    const names = this.#plan.workers.map(workerName);
    const others = [MAIN_NAME, HELPERS_NAME].filter((name) => this.#isHeld(name));
    const helperRefusals = this.#helperRefusalsBefore + (this.#confinement?.refused ?? 0);
    return {
      mode: this.#mode,
      state: this.#state,
      reasons: this.#reasons,
      threads: [...names, ...others].map((name) => ({
        name,
        cpus: this.#isHeld(name) ? formatCpuList(this.#cpus.get(name)!) : '',
        waitFraction: this.#held.get(name)?.waitFraction ?? null,
      })),
      memory: this.#memory,
      pins: this.#pins,
      helperMasks: this.#helperMasksBefore + (this.#confinement?.changed ?? 0),
      fallbacks: { ...this.#fallbacks, refused: this.#fallbacks.refused + helperRefusals },
    };
  }

  #isHeld(name: string): boolean {
    if (name === HELPERS_NAME) return this.#confinement !== null;
    return this.#held.get(name)?.isLost === false;
  }

  async #decide(): Promise<void> {
    try {
      const advice = await (this.#options.advise ?? advisePlan)(this.#plan);
      if (this.#hasEnded) return;
      const reasons = [...advice.reasons];
      const all = this.#threads();
      if (all.every(({ waitedMs }) => waitedMs === null)) {
        reasons.push('this kernel does not say how long a thread waits (schedstat)');
      }
      if (reasons.length > 0) this.#notPinned(reasons, 'shared');
      else this.#pinBy(advice);
    } catch (error) {
      this.#notPinned([`the CPUs cannot be watched: ${String(error)}`], 'error');
    }
  }

  #notPinned(reasons: readonly string[], why: FallbackReason): void {
    this.#state = 'notPinned';
    this.#reasons = reasons;
    this.#fallbacks[why]++;
    this.#log.info({ reasons }, 'workers are not pinned');
  }

  #pinBy({ placements, otherCpus, audit }: Advice): void {
    const others = [MAIN_NAME, HELPERS_NAME].map((name) => [name, otherCpus] as const);
    this.#cpus = new Map([...placements.map(({ name, cpus }) => [name, cpus] as const), ...others]);
    this.#alone = new Set(placements.flatMap(({ name, isAlone }) => (isAlone ? [name] : [])));
    const chosen = new Set(placements.flatMap(({ isAlone, cpus }) => (isAlone ? cpus : [])));
    const seen = audit?.cpus.filter(({ cpuIndex }) => chosen.has(cpuIndex)) ?? [];
    this.#reasons = seen.map(
      ({ cpuIndex, otherFraction, stealFraction, interruptFraction }) =>
        `CPU ${cpuIndex}: other tasks ${percent(otherFraction)}, stolen` +
        ` ${percent(stealFraction)}, interrupts ${percent(interruptFraction)}`,
    );
    this.#state = 'pinned';
    this.#log.info({ reasons: this.#reasons }, 'these CPUs are quiet: workers are pinned');
    for (const [name, thread] of this.#workers) {
      if (this.#cpus.has(name)) this.#pin(name, thread);
    }
    this.#placeMemory();
    this.#pinOthers();
  }

  #pinOthers(): void {
    const helpers = this.#cpus.get(HELPERS_NAME);
    try {
      if (helpers !== undefined) {
        this.#confinement = confineHelperThreads(helpers, { sweepMs: LOOK_MS });
        this.#log.info({ cpus: formatCpuList(helpers) }, 'helper threads are confined');
      }
    } catch (error) {
      this.#failed(HELPERS_NAME, error);
    }
    if (this.#cpus.has(MAIN_NAME)) this.#pin(MAIN_NAME, 'self');
    if (this.#held.size > 0 && this.#timer === null) {
      const lookMs = this.#options.lookMs ?? LOOK_MS;
      this.#timer = setInterval(() => this.#look(), lookMs).unref();
    }
  }

  #pin(name: string, target: PinTarget): void {
    const cpus = this.#cpus.get(name)!;
    try {
      const pinned = pin(target, cpus);
      const last = this.#held.get(name)?.pinned;
      // Pinned again after its CPU came back: what it had at first is what is put back in the end.
      // Started by a main thread that is pinned: it inherited that mask, which is no worker's own.
      const inherited = this.#held.get(MAIN_NAME)?.pinned.before ?? pinned.before;
      const before = last?.threadId === pinned.threadId ? last.before : inherited;
      this.#held.set(name, new Held({ ...pinned, before }));
      this.#pins++;
      this.#log.info({ thread: name, cpus: formatCpuList(cpus) }, 'pinned');
    } catch (error) {
      this.#failed(name, error);
    }
  }

  /** Fatal at the start, when an operator's entry cannot be obeyed; counted ever after. */
  #failed(name: string, error: unknown): void {
    if (this.#mode === 'explicit' && !this.#isRunning) throw error;
    this.#fallbacks[error instanceof CpuError ? error.problem : 'error']++;
    this.#log.warn({ thread: name, error: String(error) }, 'a thread cannot be pinned');
  }

  /** A worker without an entry, started by a main thread that is pinned, has that one's mask. */
  #freeOfMain(name: string, thread: Worker): void {
    const main = this.#held.get(MAIN_NAME);
    if (main === undefined) return;
    try {
      const { usable } = this.#machine();
      pin(
        thread,
        main.pinned.before.filter((cpu) => usable.includes(cpu)),
      );
    } catch (error) {
      this.#failed(name, error);
    }
  }

  #threads(): readonly ThreadInfo[] {
    return (this.#options.threads ?? threads)();
  }

  #nowMs(): number {
    return (this.#options.nowMs ?? monotonicMs)();
  }

  #machine(): Topology {
    return (this.#options.topology ?? topology)();
  }

  /** Are the masks what they were made, and does nobody wait? */
  #look(): void {
    const now = new Map(this.#threads().map((thread) => [thread.threadId, thread]));
    for (const [name, held] of this.#held) {
      const thread = now.get(held.pinned.threadId);
      // It ended: the supervisor says when its successor has started.
      if (thread === undefined) continue;
      if (!this.#isInPlace(name, held, thread)) continue;
      const waited = held.noteWait(thread.waitedMs, this.#nowMs(), WAIT_WINDOW_MS);
      if (waited !== null && waited > WAIT_FRACTION_MAX) this.#onWait(name, held, waited);
      if (this.#state === 'letGo') return;
    }
  }

  #isInPlace(name: string, held: Held, thread: ThreadInfo): boolean {
    const wanted = formatCpuList(held.pinned.cpus);
    const found = formatCpuList(thread.cpus);
    if (!held.isLost && wanted === found) return true;
    const { usable, online } = this.#machine();
    const missing = held.pinned.cpus.filter((cpu) => !usable.includes(cpu));
    if (missing.length > 0) {
      const isOutside = missing.every((cpu) => online.includes(cpu));
      if (!held.isLost) this.#onLost(name, held, missing, isOutside);
      return false;
    }
    if (held.isLost) {
      const target = name === MAIN_NAME ? 'self' : this.#workers.get(name)!;
      this.#pin(name, target);
      return false;
    }
    this.#fallbacks.changed++;
    this.#held.delete(name);
    this.#log.warn({ thread: name, wanted, found }, 'somebody else has set other CPUs: left alone');
    return false;
  }

  #onLost(name: string, held: Held, missing: readonly number[], isOutside: boolean): void {
    this.#fallbacks[isOutside ? 'outside' : 'offline']++;
    const cpus = formatCpuList(missing);
    const what = isOutside ? 'went out of the cpuset' : 'went offline';
    this.#log.warn({ thread: name, cpus }, `a CPU ${what}: the kernel runs the thread elsewhere`);
    held.isLost = true;
    if (this.#mode === 'auto' && this.#alone.has(name)) {
      this.#giveUp(`CPU ${cpus} of ${name} ${what}`);
    }
  }

  #onWait(name: string, held: Held, waited: number): void {
    const cpus = formatCpuList(held.pinned.cpus);
    const seconds = WAIT_WINDOW_MS / 1000;
    const what = `${name} waited ${percent(waited)} of ${seconds} s for CPU ${cpus}`;
    if (this.#mode === 'auto' && this.#alone.has(name)) {
      this.#fallbacks.waiting++;
      this.#giveUp(what);
    } else if (this.#mode === 'explicit' && held.mayWarn(this.#nowMs(), WARN_EVERY_MS)) {
      this.#log.warn(
        { thread: name, cpus, waited },
        'a pinned thread waits: it is not alone there',
      );
    }
  }

  #giveUp(reason: string): void {
    this.#letGo();
    this.#state = 'letGo';
    this.#reasons = [reason];
    this.#log.warn({ reason }, 'the workers are let go: they may run on all CPUs again');
  }

  /** The main thread first: whoever it starts now gets no mask of ours. */
  #letGo(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    const main = this.#held.get(MAIN_NAME);
    if (main !== undefined) release(main.pinned);
    this.#held.delete(MAIN_NAME);
    for (const held of this.#held.values()) release(held.pinned);
    this.#held.clear();
    this.#helperMasksBefore += this.#confinement?.changed ?? 0;
    this.#helperRefusalsBefore += this.#confinement?.refused ?? 0;
    this.#confinement?.stop();
    this.#confinement = null;
    this.#cpus = new Map();
  }

  /** Near the workers that touch it: not the keeper; with auto those that have their own CPU. */
  #placeMemory(): void {
    const cpus = this.#plan.workers.flatMap((worker) => {
      const name = workerName(worker);
      const isNear = this.#mode === 'auto' ? this.#alone.has(name) : worker.role !== 'keeper';
      return isNear ? (this.#cpus.get(name) ?? []) : [];
    });
    if (this.#arena === null || cpus.length === 0) return;
    const { state, reason } = placeMemory(this.#arena, cpus, this.#machine());
    this.#memory = reason;
    if (state === 'refused') this.#fallbacks.memory++;
    this.#log.info({ state, reason }, 'memory of the arena');
  }
}
