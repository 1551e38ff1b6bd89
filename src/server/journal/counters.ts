/**
 * Counters of the journal; the journal worker is the only writer of the first slab, the keeper of
 * the second. `turn` is a sequence lock for those who read the intake ledger (collect/counters.ts).
 */
export const JOURNAL_COUNTERS = [
  'turn',
  'consumedBytes',
  'journaledBytes',
  'journaledRecords',
  'journaledBlocks',
  'droppedFullBytes',
  'droppedFullRecords',
  'droppedErrorBytes',
  'droppedErrorRecords',
  'droppedBenchBytes',
  'errors',
  'evictions',
  'segments',
] as const;

export type JournalCounter = (typeof JOURNAL_COUNTERS)[number];

export const KEEPER_COUNTERS = ['syncs', 'syncMs', 'syncErrors', 'removedSegments'] as const;

export type KeeperCounter = (typeof KEEPER_COUNTERS)[number];
