/**
 * Collect stage: owns an epoll and some exporter connections; receives, frames, cuts blocks.
 *
 * WHY         The socket never waits for what is behind it: this thread does nothing but receive
 *             and walk lengths. Slow disks are absorbed by the arena, then by the kernel's buffers.
 * OWNERSHIP   The epoll, the connections and their pages under construction; the writer side of one
 *             ring to the journal; one slab of counters. Listening sockets belong to the supervisor
 *             and are shared by all collectors (level-triggered; EAGAIN tells that another was
 *             first).
 * TURN        1. epoll_wait, bounded   2. accept   3. one receive per ready connection, so that a
 *             fast one cannot starve the others   4. stalled connections   5. linger and idle
 *             timers   6. counters are published.
 * STALL       No free page or no free slot: the connection leaves the epoll set (with no events
 *             asked for it would still report hang-ups, without end), is counted and is tried again
 *             every turn; the kernel's buffer and then TCP's window hold the exporter. It cannot be
 *             idle.
 * INVARIANTS  1. a connection that has ended is stalled, or closed before the turn ends: it is
 *             never received from again
 *             2. #stalled is the number of connections that are stalled.
 * DRAIN       Listeners leave the epoll, connections are read until the kernel holds nothing or the
 *             drain's time is over, everything is cut; what is left in the kernel is counted.
 * REFUSED     Edge-triggered epoll (one more way to forget bytes; the call it saves is 1 in 100);
 *             a blocking thread per connection (64 threads on 2 CPUs); io_uring (containers forbid
 *             it).
 */
import { monotonicMs, wallMs, wallUs } from '../../toolkit/base/clock.ts';
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import type { PagePool } from '../../toolkit/pages/index.ts';
import {
  checked,
  closeFd,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollDelete,
  epollWait,
  eventfdClear,
  recv,
} from '../../toolkit/sys/index.ts';
import type { Control, ExporterTotals } from '../control.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import { Acceptor, type AcceptorOptions } from './acceptor.ts';
import { CloseReason, type Connection } from './connection.ts';
import { ConnectionTable } from './connection-table.ts';
import type { CollectCounter } from './counters.ts';
import type { Receiver } from './receiver.ts';

/**
 * `data` of the wake-up eventfd in the epoll; connections are their index, listeners from here on.
 */
const WAKE_DATA = 1_000_000;
const LISTENER_DATA = 2_000_000;
const EVENTS_PER_WAIT = 64;
const REPORT_EVERY_MS = 1_000;
/** Connections accepted from one listener in one turn. */
const ACCEPTS_PER_TURN = 64;
/** Listeners rest this long when accept4(2) has failed: they stay ready, and nothing is gained. */
export const ACCEPT_PAUSE_MS = 200;
/** How long a drain reads from exporters that go on sending. */
export const DRAIN_READ_MS = 1_000;
/** How long a drain waits for pages and slots before it gives up, counted as droppedDrain. */
export const DRAIN_CUT_MS = 1_000;

export interface CollectOptions extends AcceptorOptions {
  /** This collector, as the page table knows it. */
  readonly owner: number;
  /** Shared by all collectors: connections so far in this process. */
  readonly connectionIds: Int32Array;
  readonly connectionIdBase: number;
  readonly listeners: readonly { readonly fd: number; readonly port: number }[];
  readonly wakeFd: number;
  readonly lingerMs: number;
  readonly readBytes: number;
  readonly idleTimeoutMs: number;
  /** Nothing more is received while so many blocks wait for the journal. */
  readonly inFlightBlockCountMax: number;
  /** Benchmarks only: frame and forget. */
  readonly discard: boolean;
  /**
   * fd + 1 of open connections, then of the epoll: the supervisor closes them if this worker dies.
   */
  readonly fds: Int32Array;
}

export interface CollectDependencies {
  readonly pool: PagePool;
  readonly receiver: Receiver;
  readonly counters: CounterWriter<CollectCounter>;
  readonly control: Control;
  /** Once a second: totals per exporter. */
  readonly report: (rows: readonly ExporterTotals[]) => void;
}

export class CollectStage implements Stage {
  readonly roleName = 'collect';
  readonly #options: CollectOptions;
  readonly #deps: CollectDependencies;
  readonly #table: ConnectionTable;
  readonly #acceptor: Acceptor;
  readonly #events = new Int32Array(2 * EVENTS_PER_WAIT);
  readonly #values: Float64Array;
  readonly #index: Readonly<Record<'read' | 'records' | 'open' | 'bench', number>>;
  #epollFd = -1;
  #nextTimersMs = 0;
  #nextReportMs = 0;
  #drainEndMs = 0;
  #stalled = 0;
  /** Monotonic time at which paused listeners are watched again; 0 = they are watched. */
  #resumeAcceptMs = 0;
  /** True when the drain is complete: the runner stops. */
  done = false;

  constructor(options: CollectOptions, deps: CollectDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#table = new ConnectionTable(options, deps);
    this.#acceptor = new Acceptor(options, deps.counters);
    this.#values = deps.counters.values;
    const index = (name: CollectCounter): number => deps.counters.index(name);
    this.#index = {
      read: index('readBytes'),
      records: index('records'),
      open: index('openBytes'),
      bench: index('droppedBench'),
    };
  }

  onStart(): void {
    this.#epollFd = checked('epoll_create1', epollCreate());
    Atomics.store(this.#options.fds, this.#options.connectionCountMax, this.#epollFd + 1);
    checked('epoll_ctl', epollAdd(this.#epollFd, this.#options.wakeFd, EPOLLIN, WAKE_DATA));
    this.#watchListeners();
  }

  doWork(): number {
    const draining = this.#deps.control.isDraining;
    if (draining && this.#drainEndMs === 0) this.#beginDrain();
    const ready = epollWait(this.#epollFd, this.#events, EVENTS_PER_WAIT, this.#waitMs(draining));
    const nowMs = monotonicMs();
    for (let i = 0; i < ready; i++) {
      const data = this.#events[2 * i]!;
      if (data === WAKE_DATA) eventfdClear(this.#options.wakeFd);
      else if (data >= LISTENER_DATA) this.#accept(data - LISTENER_DATA, nowMs);
      else this.#receive(this.#table.at(data), nowMs);
    }
    if (this.#stalled > 0) this.#retryStalled(nowMs);
    if (this.#resumeAcceptMs !== 0 && nowMs >= this.#resumeAcceptMs) this.#watchListeners();
    if (nowMs >= this.#nextTimersMs || draining) this.#timers(nowMs);
    if (draining && !this.done) this.#drain(ready, nowMs);
    this.#deps.counters.publish();
    return ready;
  }

  onClose(): void {
    this.#table.closeAll(this.#epollFd);
    this.#deps.receiver.close();
    this.#deps.report(this.#table.exporters.report());
    this.#deps.counters.close();
    this.#deps.control.close();
    Atomics.store(this.#options.fds, this.#options.connectionCountMax, 0);
    closeFd(this.#epollFd);
  }

  #waitMs(draining: boolean): number {
    if (draining) return 1;
    if (this.#stalled > 0) return 1;
    if (!this.#table.hasOpenBlocks) return IDLE_WAIT_MS;
    return Math.max(1, Math.min(IDLE_WAIT_MS, Math.ceil(this.#nextTimersMs - monotonicMs())));
  }

  #accept(listener: number, nowMs: number): void {
    const { fd, port } = this.#options.listeners[listener]!;
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      if (!this.#acceptor.accept(fd, this.#table.openCount)) break;
      const connection = this.#table.open(this.#acceptor, port, nowMs);
      this.#watch(connection);
    }
    if (!this.#acceptor.hasFailed || this.#resumeAcceptMs !== 0) return;
    this.#resumeAcceptMs = nowMs + ACCEPT_PAUSE_MS;
    for (const paused of this.#options.listeners) epollDelete(this.#epollFd, paused.fd);
  }

  #watchListeners(): void {
    this.#resumeAcceptMs = 0;
    this.#options.listeners.forEach((listener, index) => {
      checked('epoll_ctl', epollAdd(this.#epollFd, listener.fd, EPOLLIN, LISTENER_DATA + index));
    });
  }

  /** Waits for bytes of the connection; closes it when that cannot be had. */
  #watch(connection: Connection): void {
    const index = this.#table.indexOf(connection);
    const result = epollAdd(this.#epollFd, connection.fd, EPOLLIN, index);
    if (result < 0) this.#end(connection, CloseReason.error, monotonicMs());
  }

  /** One receive, the walk, and a cut when the page is full. */
  #receive(connection: Connection, nowMs: number): void {
    if (connection.fd < 0 || connection.stalled) return;
    const builder = connection.builder;
    if (this.#hasEnoughInFlight() || !builder.prepare()) {
      this.#stall(connection, nowMs);
      return;
    }
    const length = Math.min(this.#options.readBytes, builder.room);
    const bytes = recv(connection.fd, this.#deps.pool.bytes, builder.fillAt, length);
    if (bytes <= 0) {
      if (bytes === 0) this.#end(connection, CloseReason.peer, nowMs);
      else if (!this.#acceptor.isTransient(bytes)) this.#end(connection, CloseReason.error, nowMs);
      return;
    }
    connection.lastByteMs = nowMs;
    // The time of garbage is not that of the records behind it.
    const isGarbage = builder.resyncing && builder.records === 0;
    if (connection.firstByteUs === 0 || isGarbage) {
      connection.firstByteUs = wallUs();
      connection.lingerAtMs = nowMs + this.#options.lingerMs;
      this.#nextTimersMs = Math.min(this.#nextTimersMs, connection.lingerAtMs);
      this.#table.hasOpenBlocks = true;
    }
    this.#account(connection, bytes);
    if (builder.isFull) this.#cut(connection, false, nowMs);
  }

  #hasEnoughInFlight(): boolean {
    return this.#deps.receiver.inFlight >= this.#options.inFlightBlockCountMax;
  }

  /** Walks the received bytes, and counts where each of them went. */
  #account(connection: Connection, bytes: number): void {
    const values = this.#values;
    const builder = connection.builder;
    const openBefore = builder.openBytes;
    const records = builder.received(bytes);
    values[this.#index.read]! += bytes;
    values[this.#index.records]! += records;
    values[this.#index.open]! += builder.openBytes - openBefore;
    if (builder.resyncBytes > 0 || builder.resyncRuns > 0) this.#table.countResync(connection);
    const exporter = connection.exporter!;
    exporter.bytes += bytes;
    exporter.records += records;
    exporter.lastSeenMs = wallMs();
  }

  #cut(connection: Connection, lingered: boolean, nowMs: number): boolean {
    const values = this.#values;
    const builder = connection.builder;
    let done = true;
    if (!this.#options.discard) {
      done = this.#deps.receiver.cut(connection, lingered);
    } else if (builder.records > 0) {
      values[this.#index.bench]! += builder.payloadBytes;
      values[this.#index.open]! -= builder.payloadBytes;
      builder.restart();
      connection.firstByteUs = 0;
    }
    if (!done && (builder.isFull || connection.ended)) this.#stall(connection, nowMs);
    return done;
  }

  #stall(connection: Connection, nowMs: number): void {
    if (connection.stalled) return;
    connection.stalled = true;
    connection.stalledSinceMs = nowMs;
    this.#stalled++;
    this.#deps.counters.add('stalls', 1);
    epollDelete(this.#epollFd, connection.fd);
  }

  #retryStalled(nowMs: number): void {
    for (const connection of this.#table.used()) {
      if (!connection.stalled) continue;
      if (connection.ended) {
        this.#cutAndClose(connection, nowMs);
        continue;
      }
      if (connection.builder.isFull && !this.#cut(connection, false, nowMs)) continue;
      if (this.#hasEnoughInFlight() || !connection.builder.prepare()) continue;
      this.#unstall(connection, nowMs);
      connection.lastByteMs = nowMs;
      this.#watch(connection);
    }
  }

  #unstall(connection: Connection, nowMs: number): void {
    connection.stalled = false;
    this.#stalled--;
    this.#deps.counters.add('stallMs', nowMs - connection.stalledSinceMs);
  }

  /** The stream is over: the rest is walked, cut and counted, then the connection is closed. */
  #end(connection: Connection, reason: CloseReason, nowMs: number): void {
    connection.ended = true;
    connection.closeReason = reason;
    this.#table.finish(connection);
    this.#cutAndClose(connection, nowMs);
  }

  /** Of a connection that has ended; it stays, stalled, when its last block finds no place yet. */
  #cutAndClose(connection: Connection, nowMs: number): void {
    if (!this.#cut(connection, true, nowMs)) return;
    if (connection.stalled) this.#unstall(connection, nowMs);
    this.#table.close(connection, this.#epollFd);
  }

  #timers(nowMs: number): void {
    let nextMs = nowMs + IDLE_WAIT_MS;
    let hasOpenBlocks = false;
    for (const connection of this.#table.used()) {
      if (this.#options.receiveLowWaterBytes > 1) {
        // The kernel does not report less than the low-water mark: it is looked for.
        this.#receive(connection, nowMs);
        hasOpenBlocks = true;
        nextMs = Math.min(nextMs, nowMs + this.#options.lingerMs);
      }
      if (connection.fd < 0 || connection.stalled) continue;
      if (connection.builder.records > 0) {
        const isDue = nowMs >= connection.lingerAtMs;
        if (!isDue || !this.#cut(connection, true, nowMs)) {
          hasOpenBlocks = true;
          nextMs = Math.min(nextMs, Math.max(connection.lingerAtMs, nowMs + 1));
        }
      }
      if (nowMs - connection.lastByteMs > this.#options.idleTimeoutMs) {
        this.#end(connection, CloseReason.idle, nowMs);
      }
    }
    this.#table.hasOpenBlocks = hasOpenBlocks;
    this.#nextTimersMs = nextMs;
    if (nowMs >= this.#nextReportMs) {
      this.#nextReportMs = nowMs + REPORT_EVERY_MS;
      this.#deps.report(this.#table.exporters.report());
    }
  }

  #beginDrain(): void {
    this.#drainEndMs = monotonicMs() + DRAIN_READ_MS;
    // Who is already connected for the kernel is served; then nobody more.
    this.#options.listeners.forEach((_, index) => {
      this.#accept(index, monotonicMs());
    });
    this.#resumeAcceptMs = 0;
    for (const listener of this.#options.listeners) epollDelete(this.#epollFd, listener.fd);
  }

  /** Called after a turn: closes what has nothing more, or everything when the time is over. */
  #drain(ready: number, nowMs: number): void {
    const timeIsOver = nowMs >= this.#drainEndMs;
    if (ready > 0 && !timeIsOver) return;
    for (const connection of this.#table.used()) {
      if (connection.ended) continue;
      if (!timeIsOver && this.#table.hasUnread(connection)) {
        // Stalled, or below the low-water mark: there is still time.
        this.#receive(connection, nowMs);
        continue;
      }
      this.#table.countUnread(connection);
      this.#end(connection, CloseReason.drain, nowMs);
    }
    if (this.#table.openCount === 0) this.done = true;
    else if (nowMs >= this.#drainEndMs + DRAIN_CUT_MS) {
      for (const connection of this.#table.used()) this.#table.dropOpen(connection);
      this.done = true;
    }
  }
}
