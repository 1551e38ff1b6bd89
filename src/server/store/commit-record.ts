/**
 * Commit record: one line of `store/commits.log`, the only list of what exists in the store.
 *
 * WHY         Output and position become durable in one append: a file that no record names does
 *             not exist, and the store goes on where the last record ends. So nothing is lost or
 *             doubled.
 * LAYOUT      `<8 hex digits: CRC-32 of the JSON> <JSON>\n`, UTF-8. The JSON is a CommitRecord.
 *             A line is valid when its checksum holds and its sequence is the one expected.
 * INVARIANTS  sequence grows by 1; `from` of a flush = `to` of what is before it; compaction and
 *             retention keep `to`. A snapshot stands only in the first line and replaces all before
 *             it.
 * REFUSED     A database for the list (a second truth that can be damaged); one file per commit (a
 *             folder scan at each start); binary (a person must be able to read it after a
 *             disaster).
 */
import { crc32 } from 'node:zlib';

export interface StoredFile {
  /** Below the store folder: `<table>/date=.../hour=.../<name>.parquet`. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** Parquet row groups. */
  readonly groups: number;
  /** Present when a flush wrote it: plain pages, to be rewritten by the next merge. */
  readonly plain?: true;
}

/** Records, by what became of them. Totals in a snapshot, differences in the others. */
export interface LedgerCounts {
  /** table -> rows: records that are in a table, other_records included. */
  readonly delivered: Readonly<Record<string, number>>;
  /** reason -> records. */
  readonly malformed: Readonly<Record<string, number>>;
  readonly filtered: number;
  /** reason -> records. */
  readonly dropped: Readonly<Record<string, number>>;
  /** table -> delivered rows that retention has removed; beside the equation. */
  readonly expired: Readonly<Record<string, number>>;
}

export type CommitKind = 'flush' | 'compact' | 'retain' | 'snapshot';

export interface CommitRecord {
  readonly version: 1;
  readonly sequence: number;
  readonly kind: CommitKind;
  /** Journal positions: what this commit covers; both the same unless it is a flush. */
  readonly from: number;
  readonly to: number;
  /** Ordinal of the first record that is not covered. */
  readonly toOrdinal: number;
  /** Wall time, us. */
  readonly timeUs: number;
  readonly added: readonly StoredFile[];
  /** Paths. */
  readonly removed: readonly string[];
  readonly ledger: LedgerCounts;
}

export const NO_COUNTS: LedgerCounts = Object.freeze({
  delivered: {},
  malformed: {},
  filtered: 0,
  dropped: {},
  expired: {},
});

export function encodeCommit(record: CommitRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

/** The record of a line without its `\n`, or null when it is damaged or cut. */
export function decodeCommit(line: string): CommitRecord | null {
  if (!/^[0-9a-f]{8} \{/.test(line)) return null;
  const json = line.slice(9);
  if (crc32(json) !== Number.parseInt(line.slice(0, 8), 16)) return null;
  return JSON.parse(json) as CommitRecord;
}

/** Where a file lies: `usage/date=2026-01-31/hour=07/`. `hour` = hours since 1970, UTC. */
export function partitionPath(table: string, hour: number): string {
  const iso = new Date(hour * 3_600_000).toISOString();
  return `${table}/date=${iso.slice(0, 10)}/hour=${iso.slice(11, 13)}`;
}

/** Journal positions and number in a file's name. */
export function spanOf(path: string): { readonly from: number; readonly to: number; n: number } {
  const match = /\/(\d+)-(\d+)-(\d+)\.parquet$/.exec(path);
  if (match === null) return { from: 0, to: 0, n: 0 };
  return { from: Number(match[1]), to: Number(match[2]), n: Number(match[3]) };
}

/** Table and hour of a stored path. */
export function partitionOf(path: string): { readonly table: string; readonly hour: number } {
  const match = /^([^/]+)\/date=(\d{4}-\d\d-\d\d)\/hour=(\d\d)\//.exec(path);
  if (match === null) return { table: '', hour: Number.NaN };
  return { table: match[1]!, hour: Date.parse(`${match[2]}T${match[3]}:00:00Z`) / 3_600_000 };
}

function addInto(target: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, count] of Object.entries(counts)) target[key] = (target[key] ?? 0) + count;
}

/** Running totals of a ledger. */
export class LedgerTotals implements LedgerCounts {
  readonly delivered: Record<string, number> = {};
  readonly malformed: Record<string, number> = {};
  filtered = 0;
  readonly dropped: Record<string, number> = {};
  readonly expired: Record<string, number> = {};

  add(counts: LedgerCounts): void {
    addInto(this.delivered, counts.delivered);
    addInto(this.malformed, counts.malformed);
    this.filtered += counts.filtered;
    addInto(this.dropped, counts.dropped);
    addInto(this.expired, counts.expired);
  }
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const count of Object.values(counts)) sum += count;
  return sum;
}
