/**
 * Counters of a collector; one slab per worker, the collector is its only writer.
 *
 * `turn` is a sequence lock for those who read the intake ledger: odd while a group of counters is
 * being changed. Reasons of refusal and closing are closed lists (docs/reference/metrics.md).
 */
export const COLLECT_COUNTERS = [
  'turn',
  'readBytes',
  'records',
  'committedBytes',
  'openBytes',
  'resyncBytes',
  'resyncRuns',
  'truncatedBytes',
  'truncatedConnections',
  'droppedBench',
  'droppedDrain',
  'unreadAtDrain',
  'accepted',
  'open',
  'refusedNotAllowed',
  'refusedLimit',
  'acceptErrors',
  'closedByPeer',
  'closedByError',
  'closedIdle',
  'stalls',
  'stallMs',
  'blocks',
  'packedBlocks',
] as const;

export type CollectCounter = (typeof COLLECT_COUNTERS)[number];
