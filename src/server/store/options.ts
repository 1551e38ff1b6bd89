/**
 * Store options: everything that can be set, with its default; the supervisor fills it from config.
 */

export interface RetentionRule {
  /** Hours older than this are removed; 0 = never by age. */
  readonly maxAgeHours: number;
  /** The oldest files go when a table takes more; 0 = no limit. */
  readonly maxBytes: number;
}

export interface StoreOptions {
  /** The data folder; the store lives in its `store/`. */
  readonly dataDir: string;
  /** A flush starts at the latest so long after its first record. */
  readonly flushMs: number;
  /** A flush starts at the block that reaches so many records. */
  readonly flushRows: number;
  /** DuckDB `memory_limit`. */
  readonly memoryBytes: number;
  /** DuckDB `threads`: it works beside the event loop, so 1 already overlaps decoding. */
  readonly threads: number;
  /** Parquet codec of merged files; a flush writes plain pages. */
  readonly compression: 'zstd' | 'lz4_raw' | 'snappy' | 'uncompressed';
  /** Rows kept per hour in malformed_records; further malformed records are counted only. */
  readonly malformedRowsPerHour: number;
  /** An hour is compacted so long after its end. */
  readonly compactGraceMs: number;
  /** So many plain files of a table and hour are merged into one before the hour is over. */
  readonly mergeFiles: number;
  /** How often compaction and retention look for work. */
  readonly maintainMs: number;
  /** Removed files are unlinked so long after the commit that removed them. */
  readonly unlinkDelayMs: number;
  /** table -> rule; `*` is the rule of every table that has none of its own. */
  readonly retention: Readonly<Record<string, RetentionRule>>;
  /** A failed flush is tried again after this, doubling up to retryMaxMs. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** commits.log is rewritten as one snapshot after so many lines. */
  readonly snapshotLines: number;
}

export const STORE_DEFAULTS: Omit<StoreOptions, 'dataDir'> = {
  flushMs: 5000,
  flushRows: 131_072,
  memoryBytes: 256 * 1024 * 1024,
  threads: 1,
  compression: 'zstd',
  malformedRowsPerHour: 100_000,
  compactGraceMs: 120_000,
  mergeFiles: 32,
  maintainMs: 10_000,
  unlinkDelayMs: 600_000,
  retention: { '*': { maxAgeHours: 0, maxBytes: 0 } },
  retryMs: 500,
  retryMaxMs: 30_000,
  snapshotLines: 5000,
};

export function storeOptions(
  given: Partial<StoreOptions> & { readonly dataDir: string },
): StoreOptions {
  return { ...STORE_DEFAULTS, ...given };
}
