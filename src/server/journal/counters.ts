/**
 * Counters of the journal; the journal worker is the only writer of the first slab, the keeper of
 * the second.
 *
 * The journal publishes after each block: consumedBytes = journaledBytes + dropped bytes of all
 * reasons in every snapshot, and consumedBytes is never ahead of what collectors have committed.
 */
export const JOURNAL_COUNTERS = [
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
