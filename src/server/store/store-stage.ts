/**
 * Store stage: journal blocks in, committed Parquet files out; one worker, one DuckDB instance.
 *
 * WHY         Decoding, DuckDB and the commit log belong to one thread, so that the position of the
 *             store and what it holds can never disagree.
 * LAYOUT      Files and log: commit-record.ts, docs/reference/store-schema.md.
 * OWNERSHIP   The worker owns store/ under the data folder's lock. A block is borrowed from the
 *             source for one decode and given back. Generations: one is filled, at most one is
 *             being written (two for a moment when an hour ends).
 * INVARIANTS  1. received = committed (delivered + filtered + malformed + dropped) + pending.
 *             2. A flush that fails is tried again with the same rows; the flow stops taking blocks
 *                when the next generation is full, and the journal keeps what follows.
 *             3. An exception in decoding ends the worker; a new one goes on from the log's
 *                position.
 * REFUSED     Committing per block (a file per 64 KiB); flushing on a thread of its own (files and
 *             DuckDB answer by promises already); dropping rows when the disk is full (the
 *             journal has room).
 */
import { mkdir, readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs, wallMs, wallUs } from '../../toolkit/base/clock.ts';
import type { BlockSource, BlockView } from '../journal/block-source.ts';
import type { Stage } from '../stage.ts';
import { CommitLog } from './commit-log.ts';
import { sumOf } from './commit-record.ts';
import { DuckWriter } from './duckdb.ts';
import { type CommitContext, flushGeneration, type StepHook } from './flush.ts';
import { Generation, type SealedGeneration } from './generation.ts';
import { RecordIntake, US_PER_HOUR } from './intake.ts';
import { type LiveDimension, type LiveTopRow, LiveTops } from './live-tops.ts';
import { Maintenance } from './maintenance.ts';
import type { StoreOptions } from './options.ts';
import { PlainFilePool } from './plain-file.ts';
import { MALFORMED_TABLE } from './tables.ts';

/** One turn takes blocks for so long at most, so that promises get their turn, too. */
const TURN_MS = 4;
/** Bytes of a generation that make a flush due, whatever the rows. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

export interface StoreHooks {
  /** Opens the source of blocks at a position of the journal. */
  readonly openSource: (position: number) => BlockSource;
  /** Resolves when the journal is on disk up to `position`. */
  readonly syncJournal: (position: number) => Promise<void>;
  /** Ordinal behind the last published record; without it, what was consumed. */
  readonly publishedOrdinal?: () => number;
  /** For a log line; nothing is hidden when it is absent, as everything is counted, too. */
  readonly onEvent?: (level: 'info' | 'warn' | 'error', text: string) => void;
  /** Tests only: called at every step of a commit and of a block. */
  readonly onStep?: StepHook;
  /** Tests only: the clocks. */
  readonly nowMs?: () => number;
  readonly wallMs?: () => number;
}

/** Plain numbers for the supervisor; committed totals are of the store's life. */
export interface StoreStats {
  readonly received: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly malformed: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly pending: number;
  readonly deliveredByTable: Readonly<Record<string, number>>;
  readonly malformedByReason: Readonly<Record<string, number>>;
  /** Since this worker started: rows decoded by table, malformed by reason. */
  readonly decoded: Readonly<Record<string, number>>;
  readonly malformedNow: Readonly<Record<string, number>>;
  readonly position: number;
  readonly readPosition: number;
  readonly source: string;
  readonly skippedBytes: number;
  readonly commits: number;
  readonly files: number;
  readonly fileBytes: number;
  readonly invalidText: number;
  readonly misfits: number;
  readonly errors: number;
  readonly lastError: string;
  /** How long the last flush took. */
  readonly flushMs: number;
  /** Arrival of the oldest record that is not committed, ms since 1970; 0 = none is held. */
  readonly oldestHeldMs: number;
  readonly compactions: number;
}

export class StoreStage implements Omit<Stage, 'done'> {
  readonly roleName = 'store';
  readonly #options: StoreOptions;
  readonly #hooks: StoreHooks;
  readonly #storeDir: string;
  readonly #nowMs: () => number;
  readonly #wallMs: () => number;
  readonly #tops: LiveTops;
  #duck!: DuckWriter;
  #log!: CommitLog;
  #source!: BlockSource;
  #intake!: RecordIntake;
  readonly #pool = new PlainFilePool();
  #maintenance!: Maintenance;
  #context!: CommitContext;
  #generation!: Generation;
  /** Sealed, not yet committed; the first one is being written. */
  readonly #sealed: SealedGeneration[] = [];
  #flushing: Promise<void> | null = null;
  #fatal: unknown = null;
  #isClosing = false;
  #wakeRetry: (() => void) | null = null;
  #errors = 0;
  #lastError = '';
  #flushMs = 0;
  /** Hour -> malformed records kept. */
  readonly #malformedKept = new Map<number, number>();
  #skippedBytes = 0;

  constructor(options: StoreOptions, hooks: StoreHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#storeDir = join(options.dataDir, 'store');
    this.#nowMs = hooks.nowMs ?? monotonicMs;
    this.#wallMs = hooks.wallMs ?? wallMs;
    this.#tops = new LiveTops(this.#nowMs);
  }

  async onStart(): Promise<void> {
    const options = this.#options;
    await mkdir(this.#storeDir, { recursive: true });
    this.#log = await CommitLog.open(this.#storeDir);
    await removeLeftovers(this.#storeDir, new Set(this.#log.state.files.keys()));
    const spillDir = join(this.#storeDir, '.spill');
    await rm(spillDir, { recursive: true, force: true });
    const { memoryBytes, threads } = options;
    this.#duck = await DuckWriter.open({ memoryBytes, threads, spillDir });
    this.#intake = new RecordIntake(this.#tops, (hour) => this.#keepMalformed(hour));
    this.#context = {
      storeDir: this.#storeDir,
      duck: this.#duck,
      log: this.#log,
      options,
      syncJournal: this.#hooks.syncJournal,
      onStep: this.#hooks.onStep ?? (() => undefined),
    };
    this.#maintenance = new Maintenance(this.#context, this.#wallMs, (error) =>
      this.#count('compaction', error),
    );
    const { position, nextOrdinal } = this.#log.state;
    this.#generation = this.#newGeneration(position, nextOrdinal);
    this.#source = this.#hooks.openSource(position);
    this.#skippedBytes = this.#source.skippedBytes;
  }

  /** Takes blocks for a turn; the number of records taken. Throws what ends the worker. */
  doWork(): number {
    if (this.#fatal !== null) throw this.#fatal;
    this.#tops.tick();
    this.#flushIfDue();
    const endMs = this.#nowMs() + TURN_MS;
    let records = 0;
    while (this.#mayTake()) {
      const block = this.#source.tryNext();
      if (block === null) break;
      try {
        records += this.#takeBlock(block);
      } finally {
        this.#source.release();
      }
      this.#flushIfDue();
      if (this.#nowMs() >= endMs) break;
    }
    if (!this.#isClosing) this.#maintenance.tick(this.#nowMs(), this.#lastHour(records));
    return records;
  }

  /** Everything that was published is flushed, if that can be done by `deadlineMs` from now. */
  async drain(deadlineMs: number): Promise<boolean> {
    const endMs = this.#nowMs() + deadlineMs;
    while (this.#nowMs() < endMs) {
      const records = this.doWork();
      if (records === 0 && this.#mayTake()) {
        this.#flushNow();
        if (this.#sealed.length === 0 && this.#generation.records === 0) return true;
      }
      await waitFor(this.#flushing, records > 0 ? 0 : Math.min(20, endMs - this.#nowMs()));
    }
    return this.pending === 0;
  }

  async onClose(): Promise<void> {
    this.#isClosing = true;
    this.#wakeRetry?.();
    await this.#maintenance.close();
    await this.#flushing;
    this.#source.close();
    await this.#log.close();
    this.#duck.close();
  }

  /** Records taken that are not committed. */
  get pending(): number {
    return this.#sealed.reduce((sum, { records }) => sum + records, this.#generation.records);
  }

  topLive(by: LiveDimension, n: number, order: 'bytes' | 'sessions' = 'bytes'): LiveTopRow[] {
    return this.#tops.topLive(by, n, order);
  }

  stats(): StoreStats {
    const { state } = this.#log;
    const consumed = this.#generation.toOrdinal;
    const received = Math.max(this.#hooks.publishedOrdinal?.() ?? consumed, consumed);
    let fileBytes = 0;
    for (const file of state.files.values()) fileBytes += file.bytes;
    const oldest = this.#sealed[0] ?? this.#generation;
    return {
      received,
      delivered: sumOf(state.ledger.delivered),
      filtered: state.ledger.filtered,
      malformed: sumOf(state.ledger.malformed),
      dropped: { ...state.ledger.dropped },
      pending: this.pending + (received - consumed),
      deliveredByTable: { ...state.ledger.delivered },
      malformedByReason: { ...state.ledger.malformed },
      decoded: { ...this.#intake.counts.delivered },
      malformedNow: { ...this.#intake.counts.malformed },
      position: state.position,
      readPosition: this.#source.position,
      source: this.#source.source,
      skippedBytes: this.#source.skippedBytes,
      commits: state.commits,
      files: state.files.size,
      fileBytes,
      invalidText: this.#intake.counts.invalidValues,
      misfits: this.#intake.misfitCount,
      errors: this.#errors,
      lastError: this.#lastError,
      flushMs: this.#flushMs,
      oldestHeldMs: oldest.firstArrivalUs / 1000,
      compactions: this.#maintenance.compactions,
    };
  }

  #takeBlock(block: BlockView): number {
    const { header } = block;
    const hour = Math.floor(header.arrivalUs / US_PER_HOUR);
    if (this.#generation.hour !== hour && this.#generation.hour !== -1) this.#flushNow();
    const generation = this.#generation;
    generation.hour = hour;
    if (generation.startedMs === 0) {
      generation.startedMs = this.#nowMs();
      generation.firstArrivalUs = header.arrivalUs;
    }
    const gap = header.firstOrdinal - generation.toOrdinal;
    if (gap > 0) {
      const isDamage = this.#source.skippedBytes > this.#skippedBytes;
      this.#intake.drop(generation, isDamage ? 'damaged' : 'retention', gap);
      generation.records += gap;
    }
    this.#skippedBytes = this.#source.skippedBytes;
    this.#intake.takeBlock(block, generation);
    this.#context.onStep('block-decoded');
    generation.to = block.endPosition;
    generation.toOrdinal = header.firstOrdinal + header.recordCount;
    return header.recordCount;
  }

  #newGeneration(position: number, ordinal: number): Generation {
    return new Generation(position, ordinal, this.#pool);
  }

  #isDue(): boolean {
    const { records, startedMs, heldBytes } = this.#generation;
    if (records === 0) return false;
    if (records >= this.#options.flushRows || heldBytes >= HELD_BYTES_MAX) return true;
    return this.#nowMs() - startedMs >= this.#options.flushMs;
  }

  /** May one more block be taken? Not while a full generation waits for the one being written. */
  #mayTake(): boolean {
    const { records, heldBytes } = this.#generation;
    if (this.#sealed.length > 1) return false;
    if (this.#sealed.length === 0) return true;
    return records < this.#options.flushRows && heldBytes < HELD_BYTES_MAX;
  }

  #flushIfDue(): void {
    if (this.#isDue() && this.#sealed.length === 0) this.#flushNow();
  }

  /** Seals the generation if it holds anything, and sees to it that it is written. */
  #flushNow(): void {
    const generation = this.#generation;
    if (generation.records === 0) return;
    this.#sealed.push(generation.seal(this.#intake.batches, this.#intake.counts));
    this.#generation = this.#newGeneration(generation.to, generation.toOrdinal);
    this.#flushing ??= this.#flushAll().then(
      () => {
        this.#flushing = null;
      },
      (error: unknown) => {
        this.#flushing = null;
        this.#fatal = error;
      },
    );
  }

  async #flushAll(): Promise<void> {
    for (;;) {
      const sealed = this.#sealed[0];
      if (sealed === undefined) return;
      const startMs = this.#nowMs();
      if (!(await this.#flushUntilDone(sealed))) return;
      this.#flushMs = this.#nowMs() - startMs;
      this.#sealed.shift();
      for (const file of sealed.files) this.#pool.give(file);
      if (this.#log.lines > this.#options.snapshotLines) await this.#snapshot();
    }
  }

  /** False when the stage closes before the flush has succeeded. */
  async #flushUntilDone(sealed: SealedGeneration): Promise<boolean> {
    let delayMs = this.#options.retryMs;
    for (;;) {
      try {
        await flushGeneration(this.#context, sealed);
        return true;
      } catch (error) {
        this.#count('flush', error);
        if (isFatal(error)) throw error;
        // It failed behind its commit: to write the same rows again would double them.
        if (this.#log.state.position >= sealed.to) return true;
      }
      if (this.#isClosing) return false;
      await this.#pause(delayMs);
      if (this.#isClosing) return false;
      delayMs = Math.min(delayMs * 2, this.#options.retryMaxMs);
    }
  }

  async #snapshot(): Promise<void> {
    try {
      await this.#log.snapshot(wallUs());
    } catch (error) {
      this.#count('snapshot of the commit log', error);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeRetry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #count(what: string, error: unknown): void {
    this.#errors++;
    this.#lastError = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    this.#hooks.onEvent?.('error', this.#lastError);
  }

  /** Hours before this one will get no more rows, as far as one can know. */
  #lastHour(recordsNow: number): number {
    const hours = this.#sealed.map(({ hour }) => hour);
    if (this.#generation.hour !== -1) hours.push(this.#generation.hour);
    if (hours.length > 0 || recordsNow > 0) return Math.min(...hours);
    return Math.floor(this.#wallMs() / 3_600_000);
  }

  #keepMalformed(hour: number): boolean {
    let kept = this.#malformedKept.get(hour);
    if (kept === undefined) {
      kept = this.#maintenance.rowsOf(MALFORMED_TABLE, hour);
      this.#malformedKept.clear();
    }
    if (kept >= this.#options.malformedRowsPerHour) return false;
    this.#malformedKept.set(hour, kept + 1);
    return true;
  }
}

/** DuckDB has ended for good: only a new worker helps. */
function isFatal(error: unknown): boolean {
  const text = error instanceof Error ? error.message : String(error);
  return /FATAL|has been invalidated/.test(text);
}

/** Waits for a promise that never rejects, or for a time, whichever is first. */
async function waitFor(promise: Promise<void> | null, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms));
  });
  await (promise === null ? time : Promise.race([promise, time]));
  clearTimeout(timer);
}

/** Removes Parquet files and half-written files that the log does not name. */
export async function removeLeftovers(
  storeDir: string,
  known: ReadonlySet<string>,
): Promise<number> {
  let removed = 0;
  const entries = await readdir(storeDir, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !/\.(parquet|tmp)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    if (known.has(path.slice(storeDir.length + 1))) continue;
    await unlink(path);
    removed++;
  }
  return removed;
}
