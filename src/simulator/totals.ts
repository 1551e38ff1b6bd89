/**
 * Totals: what a collector that has read everything must have counted.
 *
 * Kept per connection while records are made, in typed arrays; added up and printed as JSON, so
 * that anybody can compare them with `status` and with `count(*)` of each table.
 */
import { MALFORMED_NAMES } from '../rdr/index.ts';
import { GARBAGE_NAMES } from './garbage.ts';
import { LAYOUTS } from './layout.ts';
import { HOSTILE_NAMES } from './text-pool.ts';

/** What is unusual but well formed; the order of `Totals.other`. */
export const OTHER_NAMES = ['unknown_tag', 'unknown_type', 'type_mismatch', 'more_fields'] as const;

export const OTHER = { UNKNOWN_TAG: 0, UNKNOWN_TYPE: 1, TYPE_MISMATCH: 2, MORE_FIELDS: 3 } as const;

/** The totals as they are printed. Keys of count 0 are left out of `tables` only. */
export interface TotalsJson {
  /** Frames that a collector accepts, well formed or not. */
  readonly records: number;
  readonly bytes: number;
  /** Table name -> rows; a record with `extra` values is a row as well. */
  readonly tables: Readonly<Record<string, number>>;
  /** Reason -> records that are skipped by their length. */
  readonly malformed: Readonly<Record<string, number>>;
  /** unknown_tag: records of no table; the others: rows that have something in `extra`. */
  readonly other: Readonly<Record<string, number>>;
  /** Rows of transaction_usage whose access and info strings are this kind of hostile text. */
  readonly hostileText: Readonly<Record<string, number>>;
  /** Records of 10,004 bytes, the longest that there can be. */
  readonly longestRecords: number;
  readonly resync: {
    readonly runs: number;
    readonly bytes: number;
    readonly kinds: Readonly<Record<string, number>>;
  };
  /** Half a record at the end of a connection. */
  readonly truncated: { readonly runs: number; readonly bytes: number };
  /** Records whose length digits lie. Where there are any, no other count is exact. */
  readonly lies: number;
  readonly exact: boolean;
}

export class Totals {
  records = 0;
  bytes = 0;
  readonly tables: Float64Array = new Float64Array(LAYOUTS.length);
  /** By reason code; index 0 stays 0. */
  readonly malformed: Float64Array = new Float64Array(MALFORMED_NAMES.length);
  readonly other: Float64Array = new Float64Array(OTHER_NAMES.length);
  readonly hostile: Float64Array = new Float64Array(HOSTILE_NAMES.length);
  readonly garbage: Float64Array = new Float64Array(GARBAGE_NAMES.length);
  garbageBytes = 0;
  longestRecords = 0;
  truncatedRuns = 0;
  truncatedBytes = 0;
  lies = 0;

  add(other: Totals): void {
    this.records += other.records;
    this.bytes += other.bytes;
    addInto(this.tables, other.tables);
    addInto(this.malformed, other.malformed);
    addInto(this.other, other.other);
    addInto(this.hostile, other.hostile);
    addInto(this.garbage, other.garbage);
    this.garbageBytes += other.garbageBytes;
    this.longestRecords += other.longestRecords;
    this.truncatedRuns += other.truncatedRuns;
    this.truncatedBytes += other.truncatedBytes;
    this.lies += other.lies;
  }

  /** Makes this an exact copy; nothing is allocated. */
  copyFrom(other: Totals): void {
    this.records = other.records;
    this.bytes = other.bytes;
    this.tables.set(other.tables);
    this.malformed.set(other.malformed);
    this.other.set(other.other);
    this.hostile.set(other.hostile);
    this.garbage.set(other.garbage);
    this.garbageBytes = other.garbageBytes;
    this.longestRecords = other.longestRecords;
    this.truncatedRuns = other.truncatedRuns;
    this.truncatedBytes = other.truncatedBytes;
    this.lies = other.lies;
  }

  toJson(): TotalsJson {
    const tables: Record<string, number> = {};
    for (const layout of LAYOUTS) {
      const count = this.tables[layout.index]!;
      if (count > 0) tables[layout.tableName] = count;
    }
    return {
      records: this.records,
      bytes: this.bytes,
      tables,
      malformed: named(MALFORMED_NAMES.slice(1), this.malformed.subarray(1)),
      other: named(OTHER_NAMES, this.other),
      hostileText: named(HOSTILE_NAMES, this.hostile),
      longestRecords: this.longestRecords,
      resync: {
        runs: this.garbage.reduce((sum, count) => sum + count, 0),
        bytes: this.garbageBytes,
        kinds: named(GARBAGE_NAMES, this.garbage),
      },
      truncated: { runs: this.truncatedRuns, bytes: this.truncatedBytes },
      lies: this.lies,
      exact: this.lies === 0,
    };
  }
}

function addInto(target: Float64Array, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + source[i]!;
}

function named(names: readonly string[], counts: Float64Array): Record<string, number> {
  return Object.fromEntries(names.map((name, index) => [name, counts[index]!]));
}
