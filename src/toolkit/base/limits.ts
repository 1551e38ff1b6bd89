/**
 * Limits: every bound of the data path, named once, with its reason.
 */

/** The kernel's own page, x86-64 and arm64 with default settings: slices start on it. */
export const OS_PAGE_BYTES = 4096;

/**
 * Distance between words of different writers: two cache lines, as adjacent-line prefetch pairs
 * them.
 */
export const CACHE_LINE_PAIR_BYTES = 128;

/**
 * A page of the arena: large enough to amortise pwrite(2), small enough to stay in the L2 cache.
 */
export const PAGE_BYTES = 256 * 1024;

/** Room in front of a block for its header (server/journal/format.ts). */
export const BLOCK_HEADER_BYTES = 128;

/** Blocks smaller than this that are made by the linger timer are copied to a packing page. */
export const PACK_BELOW_BYTES = 16 * 1024;

/** Slots of the broadcast ring; a power of two. */
export const BROADCAST_SLOTS = 4096;

/** Slots of the ring from one collector to the journal; a power of two. */
export const COLLECT_SLOTS = 1024;

/** Positions and ordinals are JavaScript numbers: exact up to 2^53, 9 petabytes of journal. */
export const POSITION_MAX = Number.MAX_SAFE_INTEGER;
