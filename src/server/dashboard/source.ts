/**
 * DashboardSource: all that the dashboard knows of the rest of the server.
 *
 * WHY       A stage never imports another stage. The supervisor hands these questions in; the
 *           dashboard runs on the main thread and never touches a page, a ring or the store.
 * COST      `snapshot` returns plain data that already exists and is asked four times a second.
 *           The tops are asked only while somebody looks (tops.ts).
 */
import type { Snapshot } from '../snapshot.ts';
import { TOP_MEASURES, TOP_SUBJECTS, type TopMeasure, type TopSubject } from '../top-words.ts';

export { TOP_MEASURES, TOP_SUBJECTS, type TopMeasure, type TopSubject };

/**
 * Window name of the API -> its length in ms. `1m` is live, the others are SQL over the roll-ups.
 */
export const TOP_WINDOWS = { '1m': 60_000, '15m': 900_000, '1h': 3_600_000 } as const;
export type TopWindow = keyof typeof TOP_WINDOWS;

/**
 * The live aggregates are kept only while somebody asks for them: they begin with the first
 * question and end when none has come for this long.
 */
export const LIVE_LEASE_MS = 5_000;

/** Records that one answer of a search can have at most. */
export const RECORDS_MAX = 500;

/** Rows that one answer can have at most. */
export const TOP_ROWS_MAX = 100;

export interface TopRow {
  /** Subscriber id, host, exporter address, or the raw number of a service, package or protocol. */
  readonly name: string;
  readonly bytes: number;
  readonly sessions: number;
  readonly records: number;
}

/** Where the records are looked for. */
export interface SearchedJournal {
  /** Of the segment files. */
  readonly folder: string;
  /** The end of the last block that may be read. */
  readonly publishedPosition: () => number;
  /** Name -> tags, for `category` in a filter. */
  readonly categories: () => Readonly<Record<string, readonly number[]>>;
}

export interface DashboardSource {
  readonly journal: SearchedJournal;

  snapshot(): Snapshot;
  /** The last minute by bytes, most first, from the live aggregates; at most `n` rows. */
  topLive(by: TopSubject, n: number): Promise<readonly TopRow[]>;
  /** Since `sinceMs` (wall time, ms since 1970) from the store, most of `measure` first. */
  topSince(
    by: TopSubject,
    sinceMs: number,
    measure: TopMeasure,
    n: number,
  ): Promise<readonly TopRow[]>;
  /** True only while the server takes records: not while it starts or drains. */
  ready(): boolean;
}
