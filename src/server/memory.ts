/**
 * Memory: everything that workers share, made once by the supervisor before the first of them
 * starts.
 *
 * WHY        Rings, pages and counters outlive a worker that dies; so they belong to nobody's
 *            thread.
 */
import { BROADCAST_SLOTS, COLLECT_SLOTS, POSITION_MAX } from '../toolkit/base/limits.ts';
import { Counters } from '../toolkit/counters/index.ts';
import { PagePool } from '../toolkit/pages/index.ts';
import {
  BroadcastRing,
  IdleStrategy,
  SpscByteRing,
  type SpscByteRingHandle,
  SpscRing,
} from '../toolkit/ring/index.ts';
import { checked, eventfdCreate } from '../toolkit/sys/index.ts';
import type { ArenaGuardHandle } from './arena-guard.ts';
import { COLLECT_COUNTERS, type CollectCounter } from './collect/counters.ts';
import type { Listener } from './collect/listener.ts';
import type { Config } from './config.ts';
import { Commands } from './control.ts';
import { createCatchup } from './forward/catchup-slot.ts';
import {
  JOURNAL_COUNTERS,
  type JournalCounter,
  KEEPER_COUNTERS,
  type KeeperCounter,
} from './journal/counters.ts';
import type { RecoveredJournal } from './journal/recovery.ts';
import { JournalShared } from './journal/shared.ts';
import { createLogRing, LOG_COUNTERS, type LogCounter } from './log-ring.ts';
import {
  type Fault,
  type ForwardSetup,
  READER_COUNT,
  type Role,
  type SharedMemory,
  STORE_READER,
  type WorkerSetup,
} from './setup.ts';
import { SLOT_BYTES } from './slot.ts';
import type { LogSource } from './worker-logs.ts';

/** Roles of one worker. */
const OTHER_ROLES: readonly Role[] = ['journal', 'keeper', 'store', 'forward', 'catchup'];
/** Sealed segments that may wait for the keeper: 64 x 256 MiB. */
const SEALED_SLOTS = 64;
/**
 * Open sockets and files of the forwarder: 100 destinations for 64 exporters, and their segments.
 */
const FORWARD_FDS = 16_384;

/**
 * From a collector to the journal. A slot that the journal has taken is free at once: a collector
 * counts those in flight.
 */
function createSlotRing(): SpscRing {
  return SpscRing.create({ capacity: COLLECT_SLOTS, slotBytes: SLOT_BYTES, creditEvery: 1 });
}

export class Memory {
  readonly config: Config;
  readonly pool: PagePool;
  readonly journal: JournalShared;
  /** From the journal to its readers. */
  readonly broadcast = BroadcastRing.create({
    capacity: BROADCAST_SLOTS,
    slotBytes: SLOT_BYTES,
    readerCount: READER_COUNT,
  });
  shared: SharedMemory;
  /** A slab for each collector. */
  readonly collect: Counters<CollectCounter>;
  readonly journalCounters = Counters.create<JournalCounter>(JOURNAL_COUNTERS);
  readonly keeperCounters = Counters.create<KeeperCounter>(KEEPER_COUNTERS);
  /** These report by messages: they count nothing in shared memory. */
  readonly #noCounters = {
    store: Counters.create<string>([]),
    forward: Counters.create<string>([]),
    catchup: Counters.create<string>([]),
  };
  /** A slab for each worker, by workerNumber(). */
  readonly logCounters: Counters<LogCounter>;
  /** What a worker is told, and what it logs, through all its lives; by workerNumber(). */
  readonly #commands: readonly Commands[];
  readonly #logs: readonly SpscByteRingHandle[];
  /** eventfd per collector. */
  readonly wakeFds: readonly number[];
  /** Per collector: fd + 1 of its open connections, then of its epoll. */
  readonly fds: readonly SharedArrayBuffer[];
  /** The same of the forwarder: its sockets, segments and epoll, in no order. */
  readonly forwardFds = new SharedArrayBuffer(4 * FORWARD_FDS);
  readonly #listeners: readonly Listener[];
  readonly #recovered: RecoveredJournal;
  readonly #journalFolder: string;
  /** Taken by the first worker of their role; one that is restarted has none. */
  #faults: readonly Fault[];

  constructor(
    config: Config,
    recovered: RecoveredJournal,
    journalFolder: string,
    listeners: readonly Listener[],
    faults: readonly Fault[],
  ) {
    this.#faults = faults;
    this.config = config;
    this.#recovered = recovered;
    this.#journalFolder = journalFolder;
    this.#listeners = listeners;
    this.pool = PagePool.create(config.pages.arenaBytes);
    this.journal = JournalShared.create();
    const indexes = Array.from({ length: config.collect.workers }, (_, index) => index);
    this.shared = {
      pool: this.pool.handle,
      guard: null,
      rings: indexes.map(() => createSlotRing().handle),
      broadcast: this.broadcast.handle,
      sealed: SpscRing.create({ capacity: SEALED_SLOTS, creditEvery: 1 }).handle,
      journalIdle: IdleStrategy.create().handle,
      keeperIdle: IdleStrategy.create().handle,
      journal: this.journal.handle,
      // Also without a destination: a reload may bring one.
      forwardWakeFd: checked('eventfd', eventfdCreate()),
      catchup: createCatchup(),
      connectionIds: new SharedArrayBuffer(4),
    };
    this.journal.publish(recovered.nextPosition, recovered.nextOrdinal);
    this.journal.syncedPosition = recovered.nextPosition;
    // Nobody reads the journal: nothing holds its segments but their age and size.
    if (config.sink === 'null') this.journal.consumedPosition = POSITION_MAX;
    this.collect = Counters.create<CollectCounter>(COLLECT_COUNTERS, {
      writerCount: indexes.length,
    });
    const numbers = Array.from({ length: indexes.length + OTHER_ROLES.length });
    this.logCounters = Counters.create<LogCounter>(LOG_COUNTERS, { writerCount: numbers.length });
    this.#commands = numbers.map(() => new Commands());
    this.#logs = numbers.map(() => createLogRing());
    this.wakeFds = indexes.map(() => checked('eventfd', eventfdCreate()));
    const perCollector = Math.ceil(config.collect.connectionCountMax / config.collect.workers);
    this.fds = indexes.map(() => new SharedArrayBuffer(4 * (perCollector + 1)));
  }

  /** Before the first worker starts. */
  guardWith(guard: ArenaGuardHandle): void {
    this.shared = { ...this.shared, guard };
  }

  setupOf(role: Role, index: number, forward: ForwardSetup | null = null): WorkerSetup {
    const isCollect = role === 'collect';
    const number = this.#workerNumber(role, index);
    const isOwn = (fault: Fault): boolean => (fault.role ?? 'store') === role;
    const faults = this.#faults.filter(isOwn);
    this.#faults = this.#faults.filter((fault) => !isOwn(fault));
    return {
      role,
      index,
      config: this.config,
      shared: this.shared,
      commands: this.#commands[number]!.handle,
      log: { ring: this.#logs[number]!, counters: this.logCounters.handle, writer: number },
      counters: this.#countersOf(role).handle,
      journalFolder: this.#journalFolder,
      journalUuid: this.#recovered.uuid,
      firstPosition: this.#recovered.nextPosition,
      firstOrdinal: this.#recovered.nextOrdinal,
      firstBlockOrdinal: this.#recovered.nextBlockOrdinal,
      connectionIdBase: this.#recovered.nextConnectionId,
      listeners: isCollect ? this.#listeners.map(({ fd, port }) => ({ fd, port })) : [],
      wakeFd: isCollect ? this.wakeFds[index]! : -1,
      fds: this.fdsOf(role, index),
      forward,
      faults,
    };
  }

  /**
   * The thread of a worker has ended, however: what it held is free for the next one, and what it
   * had counted can be seen.
   */
  abandon(role: Role, index: number): void {
    this.#countersOf(role).abandonWriter(role === 'collect' ? index : 0);
    if (role === 'collect') new SpscRing(this.shared.rings[index]!).abandonProducer();
    if (role === 'store') this.broadcast.abandonReader(STORE_READER);
    const { catchup } = this.shared;
    if (role === 'forward' && catchup !== null) new SpscRing(catchup.ring).abandonProducer();
    if (role === 'catchup' && catchup !== null) {
      new SpscRing(catchup.ring).abandonConsumer();
      new IdleStrategy(catchup.idle).abandonSleeper();
    }
    const number = this.#workerNumber(role, index);
    this.logCounters.abandonWriter(number);
    new SpscByteRing(this.#logs[number]!).abandonProducer();
    this.#commands[number]!.abandon();
  }

  /** The table of open fds of a worker, as WorkerSetup has it. */
  fdsOf(role: Role, index: number): SharedArrayBuffer {
    if (role === 'collect') return this.fds[index]!;
    return role === 'forward' ? this.forwardFds : new SharedArrayBuffer(4);
  }

  commandsOf(role: Role, index: number): Commands {
    return this.#commands[this.#workerNumber(role, index)]!;
  }

  /** The log rings of all workers that there may be. */
  logSources(): readonly LogSource[] {
    return this.#logs.map((ring, number) => {
      const role = OTHER_ROLES[number - this.config.collect.workers] ?? 'collect';
      return { role, ring };
    });
  }

  /** Collectors first, then the roles of one worker. */
  #workerNumber(role: Role, index: number): number {
    return role === 'collect' ? index : this.config.collect.workers + OTHER_ROLES.indexOf(role);
  }

  #countersOf(role: Role): Counters {
    return {
      collect: this.collect,
      journal: this.journalCounters,
      keeper: this.keeperCounters,
      ...this.#noCounters,
    }[role];
  }
}
