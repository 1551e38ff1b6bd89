/**
 * Store options from the configuration: milliseconds of the file become what the store counts in.
 */
import type { Config } from '../config.ts';
import { type RetentionRule, type StoreOptions, storeOptions } from './options.ts';

const HOUR_MS = 3_600_000;

function byAge(ageMs: number): RetentionRule {
  return { maxAgeHours: ageMs / HOUR_MS, maxBytes: 0 };
}

export function optionsOf(dataDir: string, config: Config['store']): StoreOptions {
  const retention: Record<string, RetentionRule> = { '*': byAge(config.retentionMs) };
  for (const [table, ageMs] of Object.entries(config.retentionByTableMs)) {
    retention[table] = byAge(ageMs);
  }
  return storeOptions({
    dataDir,
    flushMs: config.flushMs,
    flushRows: config.flushRows,
    memoryBytes: config.memoryLimitBytes,
    threads: config.threadCount,
    compression: config.compression,
    malformedRowsPerHour: config.malformedRowsPerHour,
    compactGraceMs: config.compactAfterMs,
    mergeFiles: config.mergeFileCount,
    unlinkDelayMs: config.unlinkAfterMs,
    retention,
  });
}
