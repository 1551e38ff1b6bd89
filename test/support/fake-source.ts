/**
 * FakeSource: a server that is not there, for the tests and the development of the dashboard.
 *
 * Its counters move as those of a busy collector do and its ledgers close at every moment;
 * `advance` moves it by one second, `start` does so by the clock.
 */
import { tmpdir } from 'node:os';
import type {
  DashboardSource,
  SearchedJournal,
  TopMeasure,
  TopRow,
  TopSubject,
} from '../../src/server/dashboard/source.ts';
import { FALLBACK_REASONS, type FallbackReason } from '../../src/server/pinning-status.ts';
import type {
  ExporterStatus,
  IntakeLedger,
  SinkLedger,
  Snapshot,
} from '../../src/server/snapshot.ts';
import { Prng } from '../../src/toolkit/base/prng.ts';

export interface FakeOptions {
  readonly exporters?: number;
  readonly recordsPerSecond?: number;
  /** Subscriber ids put before the made-up ones. */
  readonly names?: readonly string[];
  readonly seed?: number;
  /** Wall time of the first snapshot. */
  readonly nowMs?: number;
}

const RECORD_BYTES = 248;
const PAGE_BYTES = 262_144;
const DAY_MS = 86_400_000;
const TABLES = [
  'transaction_usage',
  'transaction',
  'subscriber_usage',
  'link_usage',
  'package_usage',
  'http_transaction_usage',
  'real_time_subscriber_usage',
  'media_flow',
] as const;

const NO_FALLBACKS = Object.fromEntries(FALLBACK_REASONS.map((reason) => [reason, 0])) as Record<
  FallbackReason,
  number
>;

export class FakeSource implements DashboardSource {
  /** Empty; a test that searches puts another in. */
  journal: SearchedJournal = {
    folder: tmpdir(),
    publishedPosition: () => 0,
    categories: () => ({}),
  };
  snapshotNow: Snapshot;
  isReady = true;
  topCalls = 0;
  readonly #options: Required<FakeOptions>;
  readonly #random: () => number;
  readonly #startedMs: number;
  #timer: NodeJS.Timeout | null = null;
  #seconds = 0;
  #records = 0;
  #resync = 0;
  #resyncRuns = 0;
  #malformed = 0;
  #delivered = 0;

  constructor(options: FakeOptions = {}) {
    const nowMs = options.nowMs ?? Date.now();
    this.#options = {
      exporters: 4,
      recordsPerSecond: 48_000,
      names: [],
      seed: 1,
      nowMs,
      ...options,
    };
    const prng = new Prng(this.#options.seed);
    this.#random = () => prng.nextU32() / 2 ** 32;
    this.#startedMs = nowMs - 1_000;
    this.snapshotNow = this.#make(0, nowMs);
  }

  snapshot(): Snapshot {
    return this.snapshotNow;
  }

  ready(): boolean {
    return this.isReady;
  }

  topLive(by: TopSubject, n: number): Promise<readonly TopRow[]> {
    this.topCalls += 1;
    return Promise.resolve(this.#tops(by, n, 1));
  }

  topSince(
    by: TopSubject,
    sinceMs: number,
    _measure: TopMeasure,
    n: number,
  ): Promise<readonly TopRow[]> {
    this.topCalls += 1;
    const minutes = (this.snapshotNow.timeMs - sinceMs) / 60_000;
    return Promise.resolve(this.#tops(by, n, minutes));
  }

  /** One second passes. */
  advance(nowMs = this.snapshotNow.timeMs + 1_000): void {
    this.#seconds += 1;
    const wave = 1 + 0.25 * Math.sin(this.#seconds / 70) + 0.1 * Math.sin(this.#seconds / 9);
    const rate = this.#options.recordsPerSecond * wave * (0.94 + 0.12 * this.#random());
    const records = this.#options.exporters === 0 ? 0 : Math.round(rate);
    this.#records += records;
    if (records > 0 && this.#random() < 0.02) {
      this.#resyncRuns += 1;
      this.#resync += Math.round(this.#random() * 900);
    }
    if (this.#random() < 0.1) this.#malformed += Math.round(this.#random() * 4);
    if (this.#seconds % 5 === 0) this.#delivered = this.#records - Math.round(records * 0.4);
    this.snapshotNow = this.#make(records, nowMs);
  }

  /** The generator has stopped: everything is delivered. */
  settle(): void {
    this.#delivered = this.#records;
    this.snapshotNow = this.#make(0, this.snapshotNow.timeMs + 1_000);
  }

  start(): void {
    this.#timer = setInterval(() => this.advance(Date.now()), 1_000).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  set(changes: Partial<Snapshot>): void {
    this.snapshotNow = { ...this.snapshotNow, ...changes };
  }

  #make(records: number, nowMs: number): Snapshot {
    const inPages = records === 0 ? 0 : Math.round(this.#random() * 3) * RECORD_BYTES * 400;
    const journaled = this.#records * RECORD_BYTES;
    const bytesPerSecond = records * RECORD_BYTES;
    return {
      timeMs: nowMs,
      startedMs: this.#startedMs,
      version: '0.1.0',
      state: 'running',
      recordsPerSecond: records,
      bytesPerSecond,
      recordsTotal: this.#records,
      intake: this.#intake(inPages),
      sinks: [this.#sink()],
      forward: null,
      exporters: this.#exporters(records, nowMs),
      malformed: {
        fields_short: Math.ceil(this.#malformed / 2),
        fixed_length: Math.floor(this.#malformed / 2),
      },
      tables: this.#tables(),
      resyncRuns: this.#resyncRuns,
      connections: {
        open: this.#options.exporters,
        accepted: this.#options.exporters + 3,
        limit: 64,
      },
      refused: { not_allowed: 0, connection_limit: 0, accept_error: 0 },
      closed: { peer: 2, error: 0, idle: 0 },
      workerDeaths: 0,
      log: { lines: 3, dropped: { ring_full: 0, too_long: 0 } },
      stalls: { count: 0, ms: 0 },
      pages: { total: 512, free: 512 - Math.ceil(inPages / PAGE_BYTES) - 9, bytes: PAGE_BYTES },
      journal: {
        position: journaled,
        nextOrdinal: this.#records,
        segments: Math.ceil(journaled / 268_435_456) + 1,
        bytesOnDisk: journaled,
        syncedPosition: Math.max(0, journaled - bytesPerSecond / 2),
        syncMs: 7.4,
        tornBytes: 0,
        errors: 0,
      },
      store: {
        commits: Math.floor(this.#seconds / 5),
        flushMs: 312,
        files: 41,
        invalidText: 2,
        misfits: 0,
        errors: 0,
      },
      process: { rssBytes: 412_000_000, cpuSeconds: this.#seconds * 0.31 },
      listeners: ['127.0.0.1:33000'],
      pinning: {
        mode: 'auto',
        state: 'pinned',
        reasons: ['CPU 3: other tasks 0.0 %, stolen 0.0 %, interrupts 0.1 %'],
        threads: [
          { name: 'collect-0', cpus: '3', waitFraction: 0.001 },
          { name: 'store-0', cpus: '', waitFraction: null },
        ],
        memory: 'first touch',
        pins: 1,
        helperMasks: 0,
        fallbacks: NO_FALLBACKS,
      },
      guard: { mode: 'continue', faults: 1, refused: 0, file: '/data/guard-reports.jsonl' },
      reload: { timeMs: 0, count: 0, ok: true, text: '' },
    };
  }

  #intake(inPages: number): IntakeLedger {
    const truncated = this.#records === 0 ? 0 : 131;
    const journaled = this.#records * RECORD_BYTES;
    return {
      read: journaled + this.#resync + truncated + inPages,
      journaled,
      resync: this.#resync,
      truncated,
      dropped: { journal_full: 0 },
      inPages,
      difference: 0,
      unreadAtDrain: 0,
    };
  }

  #sink(): SinkLedger {
    const delivered = Math.max(0, this.#delivered - this.#malformed);
    const pending = this.#records - delivered - this.#malformed;
    return {
      name: 'store',
      received: this.#records,
      delivered,
      filtered: 0,
      malformed: this.#malformed,
      dropped: { retention: 0 },
      pending,
      difference: 0,
      lagBytes: pending * RECORD_BYTES,
      lagMs: pending === 0 ? 0 : 400 + Math.round(((this.#seconds % 5) / 5) * 4_200),
      source: 'ring',
      evictions: 0,
    };
  }

  #tables(): Record<string, number> {
    const rows: Record<string, number> = {};
    TABLES.forEach((table, index) => {
      rows[table] = Math.floor(this.#delivered / 2 ** (index + 1));
    });
    return rows;
  }

  #exporters(records: number, nowMs: number): ExporterStatus[] {
    const count = this.#options.exporters;
    const list: ExporterStatus[] = [];
    for (let i = 0; i < count; i += 1) {
      const share = (count - i) / ((count * (count + 1)) / 2);
      const state =
        i === count - 1 && count > 2 ? 'gone' : i === count - 2 && count > 3 ? 'idle' : 'connected';
      const rate = state === 'connected' ? Math.round(records * share) : 0;
      list.push({
        address: `10.20.0.${11 + i}`,
        connections: state === 'gone' ? 0 : 1 + (i % 2),
        state,
        records: Math.round(this.#records * share),
        bytes: Math.round(this.#records * share * RECORD_BYTES),
        recordsPerSecond: rate,
        bytesPerSecond: rate * RECORD_BYTES,
        resyncBytes: i === 0 ? this.#resync : 0,
        truncatedBytes: i === 1 ? 131 : 0,
        lastSeenMs: state === 'connected' ? nowMs : nowMs - ((i * 97_000) % DAY_MS),
      });
    }
    return list;
  }

  #tops(by: TopSubject, n: number, minutes: number): TopRow[] {
    if (this.#records === 0) return [];
    const rows: TopRow[] = [];
    const names = by === 'subscribers' ? [...this.#options.names, ...NAMES[by]] : NAMES[by];
    for (let i = 0; i < Math.min(n, names.length); i += 1) {
      const weight = minutes / (i + 1) ** 0.8;
      rows.push({
        name: names[i]!,
        bytes: Math.round(4.2e9 * weight * (0.97 + 0.06 * this.#random())),
        sessions: Math.round(8_100 * weight),
        records: Math.round(9_400 * weight),
      });
    }
    return rows;
  }
}

const NAMES: Readonly<Record<TopSubject, readonly string[]>> = {
  subscribers: [
    'cm-00:1e:bd:4f:a2:11',
    'anna.berg@cable.example',
    'N/A',
    'cm-00:1e:bd:09:73:c4',
    'sub-0048812',
    'sub-0010007',
    'lodge-guest-3@hotel.example',
    'sub-0930441',
    'cm-00:1e:bd:77:1c:02',
    'sub-0000195',
    'sub-0551208',
  ],
  services: ['16', '4', '9', '32', '0', '21', '7', '2', '13', '45', '5'],
  packages: ['1', '3', '2', '0'],
  hosts: ['video.example.net', 'cdn.example.org', 'mail.example.com'],
  protocols: ['2', '17', '40', '0'],
  exporters: ['10.20.0.11', '10.20.0.12'],
};
