/**
 * Snapshot: what the server knows of itself at one moment, as plain data.
 *
 * WHY         The page, `millrace status`, `/api/v1/status` and `/metrics` show the same numbers
 *             because they read the same snapshot; there are no second truths.
 * OWNERSHIP   Built once a second on the main thread by the supervisor from the shared counters and
 *             the once-a-second reports of the workers; read-only afterwards.
 * LEDGERS     intake (bytes, this process): read = journaled + resync + truncated + sum(dropped) +
 *             inPages.  sink (records, durable): received = delivered + filtered + malformed +
 *             sum(dropped) + pending.  forward (records, durable): see forward/report.ts.  Each
 *             term is counted at its own place; `difference` is what is left over and 0 when the
 *             ledger closes.
 */
import type { ForwardReport } from './forward/report.ts';
import type { GuardStatus } from './guard-status.ts';
import type { PinningStatus } from './pinning-status.ts';
import type { ReloadStatus } from './reload-status.ts';

export interface IntakeLedger {
  /** Bytes that recv(2) returned. */
  readonly read: number;
  readonly journaled: number;
  /** Bytes skipped while looking for the next record. */
  readonly resync: number;
  /** Bytes of the half record that a connection ended with. */
  readonly truncated: number;
  /** reason -> bytes; the list of reasons is closed (docs/reference/metrics.md). */
  readonly dropped: Readonly<Record<string, number>>;
  /** Bytes in pages: received, not yet appended to the journal. */
  readonly inPages: number;
  readonly difference: number;
  /** Bytes that the kernel still held when the server drained; beside the equation. */
  readonly unreadAtDrain: number;
}

export interface SinkLedger {
  readonly name: string;
  readonly received: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly malformed: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly pending: number;
  readonly difference: number;
  /** Journal bytes between the last published position and the committed one. */
  readonly lagBytes: number;
  /** Age of the oldest record not yet committed, ms; 0 when there is none. */
  readonly lagMs: number;
  /** 'ring' | 'segments' | 'stopped': where the sink reads now. */
  readonly source: string;
  /** How often the ring evicted this reader. */
  readonly evictions: number;
}

export interface ExporterStatus {
  readonly address: string;
  readonly connections: number;
  readonly state: 'connected' | 'idle' | 'gone';
  readonly records: number;
  readonly bytes: number;
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly resyncBytes: number;
  readonly truncatedBytes: number;
  /** Wall time of the last byte, ms since 1970. */
  readonly lastSeenMs: number;
}

export interface Snapshot {
  /** Wall time, ms since 1970. */
  readonly timeMs: number;
  readonly startedMs: number;
  readonly version: string;
  readonly state: 'starting' | 'running' | 'draining' | 'stopped';
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Records framed since the start of this process. */
  readonly recordsTotal: number;
  readonly intake: IntakeLedger;
  readonly sinks: readonly SinkLedger[];
  /** Channels and destinations; null: nothing is forwarded, or the forwarder has just begun. */
  readonly forward: ForwardReport | null;
  readonly exporters: readonly ExporterStatus[];
  /** reason -> count of malformed records, this process. */
  readonly malformed: Readonly<Record<string, number>>;
  /** table -> rows decoded, this process. */
  readonly tables: Readonly<Record<string, number>>;
  /** Runs of garbage that were skipped, this process. */
  readonly resyncRuns: number;
  readonly connections: {
    readonly open: number;
    readonly accepted: number;
    readonly limit: number;
  };
  /** reason -> refused connections. */
  readonly refused: Readonly<Record<string, number>>;
  /** reason -> connections closed; those that a drain closes are not counted. */
  readonly closed: Readonly<Record<string, number>>;
  /** Workers that ended by themselves, this process. */
  readonly workerDeaths: number;
  /** Lines that workers logged, and those that were lost, by reason. */
  readonly log: {
    readonly lines: number;
    readonly dropped: Readonly<Record<string, number>>;
  };
  readonly stalls: { readonly count: number; readonly ms: number };
  readonly pages: { readonly total: number; readonly free: number; readonly bytes: number };
  readonly journal: {
    readonly position: number;
    readonly nextOrdinal: number;
    readonly segments: number;
    readonly bytesOnDisk: number;
    readonly syncedPosition: number;
    readonly syncMs: number;
    readonly tornBytes: number;
    readonly errors: number;
  };
  readonly store: {
    readonly commits: number;
    readonly flushMs: number;
    readonly files: number;
    readonly invalidText: number;
    readonly misfits: number;
    readonly errors: number;
  };
  readonly process: { readonly rssBytes: number; readonly cpuSeconds: number };
  readonly listeners: readonly string[];
  readonly pinning: PinningStatus;
  readonly guard: GuardStatus;
  readonly reload: ReloadStatus;
}
