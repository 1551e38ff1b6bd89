/**
 * Counters of a collector; one slab per worker, the collector is its only writer.
 *
 * Published at the end of each turn, and before each block is given to the journal (receiver.ts):
 * readBytes = committedBytes + openBytes + resyncBytes + truncatedBytes + droppedBench +
 * droppedDrain in every snapshot. Reasons of refusal and closing are closed lists
 * (docs/reference/metrics.md).
 */
export const COLLECT_COUNTERS = [
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
