/**
 * Maintenance: merges files, makes the hourly roll-up, removes what is too old; each as a commit.
 *
 * WHY         A flush every few seconds makes thousands of plain files an hour; they are large, and
 *             queries open each one.
 * RULES       Merging before an hour is over: as soon as `mergeFiles` plain files of one table and
 *             hour exist, or so many compressed ones of one size class, so that a row is copied a
 *             few times at most and compressed once. After it (and a grace): all files of a table
 *             and hour become one, and traffic_hour is made from the traffic family. Large row
 *             groups are copied (parquet-merge.ts), small ones and plain files rewritten by DuckDB;
 *             roll-ups are summed again by key.
 * OWNERSHIP   The store worker; one job at a time, beside flushes. Only the log is shared, which
 *             takes turns. A file is removed by a commit first and unlinked `unlinkDelayMs` later.
 * INVARIANTS  Rows before and after a merge are the same multiset (roll-ups: the same sums by key).
 * REFUSED     Sorting rows when merging (costs more than all the rest; arrival order serves
 *             `--since`).
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { wallUs } from '../../toolkit/base/clock.ts';
import { NO_COUNTS, partitionOf, type StoredFile } from './commit-record.ts';
import { type CommitContext, publishFiles } from './flush.ts';
import { makeTrafficHour, mergeFiles } from './merge.ts';
import type { RetentionRule } from './options.ts';
import { STORE_TABLES, TRAFFIC_FAMILY, TRAFFIC_HOUR, tableByName } from './tables.ts';

const MS_PER_HOUR = 3_600_000;
/** After a failed job, none for so long. */
const ERROR_PAUSE_MS = 60_000;

export interface Partition {
  readonly table: string;
  /** Hours since 1970. */
  readonly hour: number;
  readonly files: StoredFile[];
}

/** Files by table and hour, the oldest hour first. */
export function partitionsOf(files: Iterable<StoredFile>): Partition[] {
  const partitions = new Map<string, Partition>();
  for (const file of files) {
    const { table, hour } = partitionOf(file.path);
    const key = `${table} ${hour}`;
    let partition = partitions.get(key);
    if (partition === undefined) {
      partition = { table, hour, files: [] };
      partitions.set(key, partition);
    }
    partition.files.push(file);
  }
  return [...partitions.values()].sort((a, b) => a.hour - b.hour);
}

/** Plain files in one merge at most: what was left to do while merges failed is done in turns. */
const PLAIN_FILES_MAX = 128;

/** Files that are due for a merge before their hour is over: plain, or of one size; or []. */
export function dueFiles(files: readonly StoredFile[], mergeFileCount: number): StoredFile[] {
  const plain = files.filter((file) => file.plain === true);
  if (plain.length >= mergeFileCount) {
    return plain.slice(0, Math.max(mergeFileCount, PLAIN_FILES_MAX));
  }
  const classes = new Map<number, StoredFile[]>();
  for (const file of files) {
    if (file.plain === true) continue;
    const size = Math.floor(Math.log(Math.max(1, file.rows)) / Math.log(mergeFileCount));
    const list = classes.get(size) ?? [];
    list.push(file);
    classes.set(size, list);
    if (list.length >= mergeFileCount) return list;
  }
  return [];
}

interface Unlink {
  readonly path: string;
  readonly atMs: number;
}

export class Maintenance {
  compactions = 0;
  readonly #context: CommitContext;
  readonly #wallMs: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #unlinks: Unlink[] = [];
  #job: Promise<void> | null = null;
  #nextMs = 0;
  #isClosing = false;

  constructor(context: CommitContext, wallMs: () => number, onError: (error: unknown) => void) {
    this.#context = context;
    this.#wallMs = wallMs;
    this.#onError = onError;
  }

  /** Starts a job when one is due. Hours below `openHour` get no more rows. */
  tick(nowMs: number, openHour: number): void {
    if (this.#job !== null || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + this.#context.options.maintainMs;
    this.#job = this.runOnce(openHour).then(
      () => {
        this.#job = null;
      },
      (error: unknown) => {
        this.#job = null;
        this.#nextMs = nowMs + Math.max(ERROR_PAUSE_MS, this.#context.options.maintainMs);
        this.#onError(error);
      },
    );
  }

  /** All that is due now: unlinks, retention, merges, hourly roll-ups. */
  async runOnce(openHour: number): Promise<void> {
    await this.#unlinkDue();
    await this.#retain();
    for (const partition of partitionsOf(this.#context.log.state.files.values())) {
      if (this.#isClosing) return;
      await this.#compact(partition, openHour);
    }
    for (const partition of partitionsOf(this.#context.log.state.files.values())) {
      if (this.#isClosing) return;
      if (!isFamily(partition.table) || !this.#isOver(partition.hour, openHour)) continue;
      await this.#rollUpHour(partition.hour);
    }
  }

  /** Rows that the log has for a table and hour. */
  rowsOf(table: string, hour: number): number {
    let rows = 0;
    for (const file of this.#context.log.state.files.values()) {
      const partition = partitionOf(file.path);
      if (partition.table === table && partition.hour === hour) rows += file.rows;
    }
    return rows;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#job;
  }

  #isOver(hour: number, openHour: number): boolean {
    const endMs = (hour + 1) * MS_PER_HOUR + this.#context.options.compactGraceMs;
    return hour < openHour && this.#wallMs() >= endMs;
  }

  async #compact(partition: Partition, openHour: number): Promise<void> {
    const table = tableByName(partition.table);
    if (table === undefined || table.name === TRAFFIC_HOUR) return;
    const isOver = this.#isOver(partition.hour, openHour);
    const { files } = partition;
    const inputs = isOver ? files : dueFiles(files, this.#context.options.mergeFiles);
    if (inputs.length < 2 && inputs[0]?.plain !== true) return;
    const merged = await mergeFiles(this.#context, table, partition.hour, inputs);
    await this.#commit('compact', [merged], inputs);
    this.compactions++;
  }

  /** traffic_hour of an hour, unless it covers all files of the family already. */
  async #rollUpHour(hour: number): Promise<void> {
    const { files } = this.#context.log.state;
    const partitions = partitionsOf(files.values()).filter((p) => p.hour === hour);
    const family = partitions.filter((p) => isFamily(p.table));
    const old = partitions.filter((p) => p.table === TRAFFIC_HOUR).flatMap((p) => p.files);
    const pending = await makeTrafficHour(this.#context, hour, family, old);
    if (pending === null) return;
    await this.#commit('compact', [pending], old);
    this.compactions++;
  }

  async #commit(
    kind: 'compact' | 'retain',
    added: Parameters<typeof publishFiles>[1],
    removed: readonly StoredFile[],
    expired: Readonly<Record<string, number>> = {},
  ): Promise<void> {
    const { storeDir, log, onStep, options } = this.#context;
    if (added.length > 0) await publishFiles(storeDir, added, onStep);
    onStep(`${kind}-files`);
    await log.append((state) => ({
      version: 1,
      sequence: state.sequence + 1,
      kind,
      from: state.position,
      to: state.position,
      toOrdinal: state.nextOrdinal,
      timeUs: wallUs(),
      added: added.map(({ file }) => file),
      removed: removed.map(({ path }) => path),
      ledger: { ...NO_COUNTS, expired },
    }));
    onStep(`${kind}-committed`);
    const atMs = this.#wallMs() + options.unlinkDelayMs;
    for (const { path } of removed) this.#unlinks.push({ path, atMs });
  }

  async #unlinkDue(): Promise<void> {
    const now = this.#wallMs();
    const due = this.#unlinks.filter(({ atMs }) => atMs <= now);
    const rest = this.#unlinks.filter(({ atMs }) => atMs > now);
    this.#unlinks.splice(0, this.#unlinks.length, ...rest);
    for (const { path } of due) {
      try {
        await unlink(join(this.#context.storeDir, path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  async #retain(): Promise<void> {
    const { retention } = this.#context.options;
    const partitions = partitionsOf(this.#context.log.state.files.values());
    for (const { name, kind } of STORE_TABLES) {
      const rule = retention[name] ?? retention['*'];
      if (rule === undefined) continue;
      const own = partitions.filter(({ table }) => table === name);
      const expired = expiredFiles(own, rule, this.#wallMs());
      if (expired.length === 0) continue;
      const rows = expired.reduce((sum, file) => sum + file.rows, 0);
      const isDelivered = kind === 'records' || name === 'other_records';
      await this.#commit('retain', [], expired, isDelivered ? { [name]: rows } : {});
    }
  }
}

function isFamily(table: string): boolean {
  return TRAFFIC_FAMILY.some((source) => source.table === table);
}

/** Files of one table that a rule removes: whole hours, the oldest first. */
export function expiredFiles(
  partitions: readonly Partition[],
  rule: RetentionRule,
  nowMs: number,
): StoredFile[] {
  const expired: StoredFile[] = [];
  let bytes = 0;
  for (const { files } of partitions) for (const file of files) bytes += file.bytes;
  for (const { hour, files } of partitions) {
    const ageHours = (nowMs - (hour + 1) * MS_PER_HOUR) / MS_PER_HOUR;
    const isOld = rule.maxAgeHours > 0 && ageHours >= rule.maxAgeHours;
    const isOver = rule.maxBytes > 0 && bytes > rule.maxBytes;
    if (!isOld && !isOver) continue;
    for (const file of files) {
      bytes -= file.bytes;
      expired.push(file);
    }
  }
  return expired;
}
