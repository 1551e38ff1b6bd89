/**
 * Sampler: builds the snapshot from the workers' counters, once a second.
 *
 * WHY         One place where counters of several threads become one statement. Each ledger's terms
 *             are read at one moment: writers publish what they change together together, and the
 *             copies of all slabs are taken again until none has changed meanwhile. Where there is
 *             no such moment (writers that publish without a pause) the journal's copy is the older
 *             one: the ledger closes all the same, and what it took since counts as in pages.
 * COST        some hundred loads a second; nothing in the workers.
 */
import { resourceUsage } from 'node:process';
import { wallMs } from '../toolkit/base/clock.ts';
import { CounterReader, type Counters } from '../toolkit/counters/index.ts';
import type { PagePool } from '../toolkit/pages/index.ts';
import type { CollectCounter } from './collect/counters.ts';
import type { ExporterTotals, SinkReport } from './control.ts';
import type { ForwardReport } from './forward/report.ts';
import type { GuardStatus } from './guard-status.ts';
import type { JournalCounter, KeeperCounter } from './journal/counters.ts';
import type { JournalShared } from './journal/shared.ts';
import type { LogCounter } from './log-ring.ts';
import type { PinningStatus } from './pinning-status.ts';
import type { ReloadStatus } from './reload-status.ts';
import type { ExporterStatus, IntakeLedger, SinkLedger, Snapshot } from './snapshot.ts';

/** An exporter without an open connection counts as idle for this long, then as gone. */
const GONE_AFTER_MS = 600_000;

type CollectValues = Record<CollectCounter, number>;
type JournalValues = Record<JournalCounter, number>;

export interface SamplerSources {
  readonly collect: Counters<CollectCounter>;
  readonly journal: Counters<JournalCounter>;
  readonly keeper: Counters<KeeperCounter>;
  readonly log: Counters<LogCounter>;
  readonly shared: JournalShared;
  readonly pool: PagePool;
  readonly version: string;
  readonly startedMs: number;
  readonly connectionCountMax: number;
  readonly tornBytes: number;
  readonly listeners: readonly string[];
  readonly pinning: () => PinningStatus;
  readonly guard: () => GuardStatus;
  readonly reload: () => ReloadStatus;
}

/** What the supervisor knows and counts itself. */
export interface SupervisorState {
  state: Snapshot['state'];
  /** Bytes open in the pages of collectors that died. */
  droppedWorkerDied: number;
  workerDeaths: number;
  /** By collector; those of dead ones under negative numbers. */
  exporters: Map<number, readonly ExporterTotals[]>;
  sink: SinkReport | null;
  isSinkRunning: boolean;
  /** The newest report of the forwarder; null: there is none, or it has said nothing yet. */
  forward: ForwardReport | null;
}

export class Sampler {
  readonly #sources: SamplerSources;
  readonly #state: SupervisorState;
  readonly #ledger: CounterReader;
  #lastMs = 0;
  #lastRecords = 0;
  #lastBytes = 0;
  readonly #lastByExporter = new Map<string, { records: number; bytes: number }>();

  constructor(sources: SamplerSources, state: SupervisorState) {
    this.#sources = sources;
    this.#state = state;
    // In this order: a block is counted by its collector before the journal has it.
    this.#ledger = new CounterReader([sources.journal.handle, sources.collect.handle]);
  }

  /** A new snapshot; rates are those since the last call. */
  sample(): Snapshot {
    const sources = this.#sources;
    const state = this.#state;
    const nowMs = wallMs();
    this.#ledger.take();
    const collect: CollectValues = this.#ledger.totals(sources.collect.handle);
    const journal: JournalValues = this.#ledger.totals(sources.journal.handle);
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1000);
    const isFirst = this.#lastMs === 0;
    const rate = (now: number, before: number): number =>
      isFirst ? 0 : Math.max(0, (now - before) / seconds);
    const keeper = sources.keeper.snapshot();
    const snapshot: Snapshot = {
      timeMs: nowMs,
      startedMs: sources.startedMs,
      version: sources.version,
      state: state.state,
      recordsPerSecond: rate(collect.records, this.#lastRecords),
      bytesPerSecond: rate(collect.readBytes, this.#lastBytes),
      recordsTotal: collect.records,
      intake: this.#intake(collect, journal),
      sinks: this.#sinks(nowMs),
      forward: state.forward,
      exporters: this.#exporters(nowMs, rate),
      malformed: state.sink?.malformedByReason ?? {},
      tables: state.sink?.tables ?? {},
      resyncRuns: collect.resyncRuns,
      connections: {
        open: collect.open,
        accepted: collect.accepted,
        limit: sources.connectionCountMax,
      },
      ...reasons(collect),
      workerDeaths: state.workerDeaths,
      log: logUse(sources.log.snapshot()),
      stalls: { count: collect.stalls, ms: collect.stallMs },
      pages: {
        total: sources.pool.pageCount,
        free: sources.pool.freeCount(),
        bytes: sources.pool.bytes.length,
      },
      journal: {
        position: sources.shared.publishedPosition,
        nextOrdinal: sources.shared.publishedOrdinal,
        segments: sources.shared.segmentCount,
        bytesOnDisk: sources.shared.diskBytes,
        syncedPosition: sources.shared.syncedPosition,
        syncMs: keeper.syncs === 0 ? 0 : keeper.syncMs / keeper.syncs,
        tornBytes: sources.tornBytes,
        errors: journal.errors + keeper.syncErrors,
      },
      store: {
        commits: state.sink?.commits ?? 0,
        flushMs: state.sink?.flushMs ?? 0,
        files: state.sink?.files ?? 0,
        invalidText: state.sink?.invalidText ?? 0,
        misfits: state.sink?.misfits ?? 0,
        errors: state.sink?.errors ?? 0,
      },
      process: processUse(),
      listeners: sources.listeners,
      pinning: sources.pinning(),
      guard: sources.guard(),
      reload: sources.reload(),
    };
    this.#lastMs = nowMs;
    this.#lastRecords = collect.records;
    this.#lastBytes = collect.readBytes;
    return snapshot;
  }

  #intake(collect: CollectValues, journal: JournalValues): IntakeLedger {
    const dropped = {
      journal_full: journal.droppedFullBytes,
      journal_error: journal.droppedErrorBytes,
      worker_died: this.#state.droppedWorkerDied,
      drain: collect.droppedDrain,
      bench: collect.droppedBench + journal.droppedBenchBytes,
    };
    const inPages = collect.openBytes + collect.committedBytes - journal.consumedBytes;
    const explained =
      journal.journaledBytes +
      collect.resyncBytes +
      collect.truncatedBytes +
      Object.values(dropped).reduce((sum, bytes) => sum + bytes, 0) +
      inPages;
    return {
      read: collect.readBytes,
      journaled: journal.journaledBytes,
      resync: collect.resyncBytes,
      truncated: collect.truncatedBytes,
      dropped,
      inPages,
      difference: collect.readBytes - explained,
      unreadAtDrain: collect.unreadAtDrain,
    };
  }

  #sinks(nowMs: number): readonly SinkLedger[] {
    const sink = this.#state.sink;
    if (sink === null) return [];
    const { publishedOrdinal, publishedPosition } = this.#sources.shared;
    // What was published since the sink spoke has been received and is pending.
    const received = Math.max(publishedOrdinal, sink.received);
    const pending = sink.pending + (received - sink.received);
    const dropped = Object.values(sink.dropped).reduce((sum, count) => sum + count, 0);
    return [
      {
        name: 'store',
        received,
        delivered: sink.delivered,
        filtered: sink.filtered,
        malformed: sink.malformed,
        dropped: sink.dropped,
        pending,
        difference: received - sink.delivered - sink.filtered - sink.malformed - dropped - pending,
        lagBytes: Math.max(0, publishedPosition - sink.committedPosition),
        lagMs: sink.oldestHeldMs === 0 ? 0 : Math.max(0, nowMs - sink.oldestHeldMs),
        source: this.#state.isSinkRunning ? sink.source : 'stopped',
        evictions: sink.evictions,
      },
    ];
  }

  #exporters(
    nowMs: number,
    rate: (now: number, before: number) => number,
  ): readonly ExporterStatus[] {
    const byAddress = new Map<string, ExporterTotals>();
    for (const rows of this.#state.exporters.values()) {
      for (const row of rows) {
        const seen = byAddress.get(row.address);
        byAddress.set(row.address, seen === undefined ? row : addTotals(seen, row));
      }
    }
    return [...byAddress.values()].map((row) => {
      const last = this.#lastByExporter.get(row.address) ?? {
        records: row.records,
        bytes: row.bytes,
      };
      this.#lastByExporter.set(row.address, { records: row.records, bytes: row.bytes });
      const isGone = nowMs - row.lastSeenMs > GONE_AFTER_MS;
      return {
        ...row,
        state: row.connections > 0 ? 'connected' : isGone ? 'gone' : 'idle',
        recordsPerSecond: rate(row.records, last.records),
        bytesPerSecond: rate(row.bytes, last.bytes),
      };
    });
  }
}

function addTotals(a: ExporterTotals, b: ExporterTotals): ExporterTotals {
  return {
    address: a.address,
    connections: a.connections + b.connections,
    records: a.records + b.records,
    bytes: a.bytes + b.bytes,
    resyncBytes: a.resyncBytes + b.resyncBytes,
    truncatedBytes: a.truncatedBytes + b.truncatedBytes,
    lastSeenMs: Math.max(a.lastSeenMs, b.lastSeenMs),
  };
}

function reasons(collect: CollectValues): Pick<Snapshot, 'refused' | 'closed'> {
  return {
    refused: {
      not_allowed: collect.refusedNotAllowed,
      connection_limit: collect.refusedLimit,
      accept_error: collect.acceptErrors,
    },
    closed: {
      peer: collect.closedByPeer,
      error: collect.closedByError,
      idle: collect.closedIdle,
    },
  };
}

function logUse(counters: Record<LogCounter, number>): Snapshot['log'] {
  const { lines, droppedRingFull, droppedTooLong } = counters;
  return { lines, dropped: { ring_full: droppedRingFull, too_long: droppedTooLong } };
}

/** It is read from /proc: without a descriptor (EMFILE) the most that it ever was. */
function residentBytes(maxBytes: number): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return maxBytes;
  }
}

export function processUse(): Snapshot['process'] {
  const usage = resourceUsage();
  return {
    rssBytes: residentBytes(usage.maxRSS * 1024),
    cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
  };
}
