/**
 * Supervisor: starts the workers, watches them, drains them in the order of the flow.
 *
 * WHY         One object owns what all workers share (memory, listeners, the lock of the data
 *             folder) and decides what a death means.
 * ORDER       start: keeper, journal, store, catchup, forward, collect (the last opens the gate);
 *             drain: collect (reads what the kernel holds), journal (appends all), then store
 *             (commits) beside forward (sends what it can) and catchup, keeper (syncs, closes).
 * DEATHS      collect: its connections are closed and counted, its pages given up, it is restarted;
 *             an SCE reconnects. store: restarted with back-off, goes on from its last commit.
 *             forward: its sockets are closed, it is restarted likewise, its channels go on from
 *             their positions; catchup: likewise.
 *             journal and keeper: the server ends (`closed` rejects): what is appended is safe, as
 *             after kill -9.
 * TIME        A drain takes at most DRAIN_MS_MAX; the store gets what the others left, at most
 *             STORE_DRAIN_MS.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { Counters } from '../toolkit/counters/index.ts';
import { IdleStrategy } from '../toolkit/ring/index.ts';
import { closeFd, eventfdSignal } from '../toolkit/sys/index.ts';
import type { SinkReport, WorkerMessage } from './control.ts';
import { FORWARD_DRAIN_MS } from './forward/options.ts';
import type { ForwardReport } from './forward/report.ts';
import type { ForwardDoor } from './forward-door.ts';
import { ForwardEvents } from './forward-events.ts';
import type { Logger } from './log.ts';
import type { Memory } from './memory.ts';
import type { Pinning } from './pinning.ts';
import type { Plan, PlannedWorker } from './plan.ts';
import type { SupervisorState } from './sampler.ts';
import type { Role, WorkerSetup } from './setup.ts';
import { WorkerHandle } from './worker-handle.ts';
import { WorkerLogs } from './worker-logs.ts';

const DRAIN_MS_MAX = 9_500;
const COLLECT_DRAIN_MS = 3_000;
const JOURNAL_DRAIN_MS = 2_000;
const STORE_DRAIN_MS = 8_000;
const KEEPER_DRAIN_MS = 2_000;
/** What a forwarder takes that keeps to its own time, and something for its last writes. */
const FORWARD_END_MS = FORWARD_DRAIN_MS + 1_500;
const CATCHUP_DRAIN_MS = 1_000;
const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 10_000;
/** A worker that lived this long starts again without a longer wait. */
const STABLE_MS = 60_000;
const REPLY_MS = 5_000;
const FORWARD_POLL_MS = 10;

const START_ORDER: readonly Role[] = [
  'keeper',
  'journal',
  'store',
  'catchup',
  'forward',
  'collect',
];

function lifeKey({ role, index }: PlannedWorker): string {
  return `${role}-${index}`;
}

/** Closes what a dead thread had open. */
function closeAll(table: SharedArrayBuffer): void {
  const fds = new Int32Array(table);
  for (let i = 0; i < fds.length; i++) {
    const fd = Atomics.exchange(fds, i, 0) - 1;
    if (fd >= 0) closeFd(fd);
  }
}

interface Life {
  handle: WorkerHandle | null;
  startedMs: number;
  restartMs: number;
}

export class Supervisor {
  readonly state: SupervisorState = {
    state: 'starting',
    droppedWorkerDied: 0,
    workerDeaths: 0,
    exporters: new Map(),
    sink: null,
    isSinkRunning: false,
    forward: null,
  };
  /** Rejects when a worker died that the server cannot do without. */
  readonly failed: Promise<never>;
  readonly #memory: Memory;
  readonly #plan: Plan;
  readonly #log: Logger;
  readonly #logs: WorkerLogs;
  readonly #forwardEvents = new ForwardEvents();
  readonly #pinning: Pinning;
  readonly #door: ForwardDoor;
  readonly #lives = new Map<string, Life>();
  readonly #replies = new Map<
    number,
    (message: { value: unknown; error: string | null }) => void
  >();
  #nextRequest = 1;
  #fail: (error: Error) => void = () => {};
  #isDraining = false;

  constructor(memory: Memory, plan: Plan, log: Logger, pinning: Pinning, door: ForwardDoor) {
    this.#memory = memory;
    this.#plan = plan;
    this.#log = log;
    this.#logs = new WorkerLogs(memory.logSources(), log);
    this.#pinning = pinning;
    this.#door = door;
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** Starts every worker of the plan; on an error those that run are stopped. */
  async start(): Promise<void> {
    this.#logs.start();
    try {
      for (const role of START_ORDER) {
        for (const worker of this.#plan.workers) {
          if (worker.role === role) await this.#startWorker(worker);
        }
      }
      this.#pinning.started();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.state.state = 'running';
  }

  /** Drains all workers; false when one had to be ended by force. */
  async drain(): Promise<boolean> {
    this.#isDraining = true;
    this.state.state = 'draining';
    const beganMs = monotonicMs();
    const memory = this.#memory;
    const left = (mostMs: number): number =>
      Math.max(100, Math.min(mostMs, DRAIN_MS_MAX - (monotonicMs() - beganMs)));
    let isWhole = await this.#drainRole('collect', left(COLLECT_DRAIN_MS), (index) => {
      eventfdSignal(memory.wakeFds[index]!);
    });
    const journal = IdleStrategy.waker(memory.shared.journalIdle);
    const keeper = IdleStrategy.waker(memory.shared.keeperIdle);
    isWhole =
      (await this.#drainRole('journal', left(JOURNAL_DRAIN_MS), () => journal.wake())) && isWhole;
    const readers = await Promise.all([
      this.#drainRole('store', left(STORE_DRAIN_MS), () => {}),
      this.#drainForward(left(FORWARD_END_MS)),
    ]);
    isWhole = !readers.includes(false) && isWhole;
    isWhole =
      (await this.#drainRole('keeper', left(KEEPER_DRAIN_MS), () => keeper.wake())) && isWhole;
    this.state.state = 'stopped';
    this.#logs.drain();
    return isWhole;
  }

  /** The forwarder first: it may be waiting for what the other reads. */
  async #drainForward(timeoutMs: number): Promise<boolean> {
    const { forwardWakeFd, catchup } = this.#memory.shared;
    const isWhole = await this.#drainRole('forward', timeoutMs, () => eventfdSignal(forwardWakeFd));
    const wake = (): void => {
      if (catchup !== null) IdleStrategy.waker(catchup.idle).wake();
    };
    return (await this.#drainRole('catchup', CATCHUP_DRAIN_MS, wake)) && isWhole;
  }

  /** Starts workers that the plan at the start did not have: a reload brought a destination. */
  async add(workers: readonly PlannedWorker[]): Promise<void> {
    for (const role of START_ORDER) {
      for (const worker of workers) {
        if (worker.role === role && !this.#lives.has(lifeKey(worker))) {
          await this.#startWorker(worker);
        }
      }
    }
  }

  /**
   * True when the forwarder says within the time that these options, or newer ones, are in force.
   */
  async untilForward(generation: number, timeoutMs: number): Promise<boolean> {
    const endMs = monotonicMs() + timeoutMs;
    while (this.#lives.has('forward-0')) {
      if ((this.state.forward?.generation ?? -1) >= generation) return true;
      if (this.#isDraining || monotonicMs() > endMs) return false;
      await sleep(FORWARD_POLL_MS);
    }
    return true;
  }

  /** Resolves when every thread has ended, also one that a drain has left behind. */
  async ended(): Promise<void> {
    await Promise.all([...this.#lives.values()].map(async (life) => await life.handle?.ended));
    this.#logs.stop();
  }

  /** Ends every thread at once; the data folder is left as after a kill. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#lives.values()].map(async (life) => await life.handle?.stop()));
    this.#lives.clear();
    this.#logs.stop();
  }

  /** Asks the store for its live tops; rejects when it does not answer in time. */
  async topLive(by: string, count: number): Promise<unknown> {
    const handle = this.#lives.get('store-0')?.handle;
    if (handle === null || handle === undefined) return [];
    const id = this.#nextRequest++;
    let timer: NodeJS.Timeout | undefined;
    try {
      const reply = await new Promise<{ value: unknown; error: string | null }>(
        (resolve, reject) => {
          this.#replies.set(id, resolve);
          timer = setTimeout(
            () => reject(new MillraceError('MR_WORKER_DIED', 'the store does not answer')),
            REPLY_MS,
          );
          handle.post({ kind: 'topLive', id, by, count });
        },
      );
      if (reply.error !== null) throw new MillraceError('MR_SQL', reply.error);
      return reply.value;
    } finally {
      clearTimeout(timer);
      this.#replies.delete(id);
    }
  }

  async #startWorker(worker: PlannedWorker): Promise<void> {
    const key = lifeKey(worker);
    const life = this.#lives.get(key) ?? { handle: null, startedMs: 0, restartMs: RESTART_MS_MIN };
    this.#lives.set(key, life);
    // Whatever thread held its ends of the rings before has ended.
    this.#memory.abandon(worker.role, worker.index);
    const forward = worker.role === 'forward' ? this.#door.connect() : null;
    const setup: WorkerSetup = this.#memory.setupOf(worker.role, worker.index, forward);
    life.startedMs = monotonicMs();
    try {
      const commands = this.#memory.commandsOf(worker.role, worker.index);
      life.handle = await WorkerHandle.start(setup, commands, {
        onMessage: (message) => this.#onMessage(worker, message),
        onDeath: (error) => this.#onDeath(worker, error),
      });
    } finally {
      this.#logs.drain();
    }
    this.#pinning.workerStarted(worker, life.handle.thread);
    if (worker.role === 'store') this.state.isSinkRunning = true;
  }

  #onMessage(worker: PlannedWorker, message: WorkerMessage): void {
    if (message.kind === 'exporters') this.state.exporters.set(worker.index, message.rows);
    else if (message.kind === 'sink') this.#onSink(message.report);
    else if (message.kind === 'forward') this.#onForward(message.report);
    else if (message.kind === 'resolve') void this.#door.resolve(message.host);
    else if (message.kind === 'reply') this.#replies.get(message.id)?.(message);
  }

  #onForward(report: ForwardReport): void {
    this.state.forward = report;
    for (const { level, text, fields } of this.#forwardEvents.observe(report)) {
      this.#log[level]({ stage: 'forward', ...fields }, text);
    }
  }

  #onSink(report: SinkReport): void {
    this.state.sink = report;
    this.#memory.journal.consumedPosition = report.committedPosition;
  }

  #onDeath(worker: PlannedWorker, error: Error): void {
    this.state.workerDeaths++;
    this.#memory.abandon(worker.role, worker.index);
    // Its last words come before those about it.
    this.#logs.drain();
    this.#log.error({ stage: worker.role, error: error.message }, 'a worker died');
    if (worker.role === 'collect') this.#buryCollector(worker.index);
    else if (worker.role === 'store') {
      this.state.isSinkRunning = false;
    } else if (worker.role === 'forward') {
      closeAll(this.#memory.fdsOf(worker.role, worker.index));
    } else if (worker.role !== 'catchup') {
      this.#fail(
        new MillraceError(
          'MR_WORKER_DIED',
          `the ${worker.role} worker ended: ${error.message}`,
          'restart the server; what was appended to the journal is safe',
          { cause: error },
        ),
      );
      return;
    }
    void this.#restart(worker);
  }

  async #restart(worker: PlannedWorker): Promise<void> {
    const life = this.#lives.get(lifeKey(worker))!;
    life.handle = null;
    if (monotonicMs() - life.startedMs > STABLE_MS) life.restartMs = RESTART_MS_MIN;
    while (!this.#isDraining) {
      await sleep(life.restartMs);
      life.restartMs = Math.min(RESTART_MS_MAX, life.restartMs * 2);
      if (this.#isDraining) return;
      try {
        await this.#startWorker(worker);
        this.#log.info({ stage: worker.role }, 'the worker runs again');
        return;
      } catch (error) {
        this.#log.error({ stage: worker.role, error: String(error) }, 'the worker cannot start');
      }
    }
  }

  /** Closes what the dead collector had open and accounts for the bytes that were in its pages. */
  #buryCollector(index: number): void {
    const memory = this.#memory;
    closeAll(memory.fdsOf('collect', index));
    const counters = Counters.writer(memory.collect.handle, index);
    this.state.droppedWorkerDied += counters.get('openBytes');
    counters.set('openBytes', 0);
    counters.set('open', 0);
    counters.close();
    memory.pool.abandon(index + 1);
    // Its totals stay, under a key of their own: its successor counts from 0.
    const rows = this.state.exporters.get(index) ?? [];
    this.state.exporters.set(
      -this.state.workerDeaths,
      rows.map((row) => ({ ...row, connections: 0 })),
    );
    this.state.exporters.delete(index);
  }

  async #drainRole(role: Role, timeoutMs: number, wake: (index: number) => void): Promise<boolean> {
    const waits: Promise<boolean>[] = [];
    for (const life of this.#lives.values()) {
      const handle = life.handle;
      if (handle === null || handle.setup.role !== role) continue;
      waits.push(handle.drain(timeoutMs, () => wake(handle.setup.index)));
    }
    const results = await Promise.all(waits);
    for (const life of this.#lives.values()) {
      const { handle } = life;
      if (handle?.setup.role === role && handle.hasEnded) {
        this.#memory.abandon(role, handle.setup.index);
      }
    }
    if (results.includes(false)) {
      this.#log.warn({ stage: role, timeoutMs }, 'the stage did not drain in time and was ended');
    }
    return !results.includes(false);
  }
}
