/**
 * Block bytes: payloads read into memory to choose records from, once for all channels.
 *
 * WHY        Channels that filter walk the same blocks at nearly the same time: whoever comes first
 *            reads the payload and verifies its checksum, the others find it.
 * OWNERSHIP  The forward worker. A payload that was read is valid until the next call of read:
 *            who keeps records for longer copies them.
 * INVARIANTS 1. The checksum of a payload that is given out was verified when it was read, unless
 *               the block is fresh (fresh.ts): then no disk has had its hands on it. A damaged one
 *               is remembered as such. Who walks the records says so when they do not add up.
 *            2. Memory: BLOCKS_CACHED buffers, each of the largest payload that it has held,
 *               rounded up to a power of two; no allocation per block once they have grown.
 * REFUSED    A cache by bytes (blocks are of one order of size); sharing the buffers with parcels
 *            (a slow connection would hold them all).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../toolkit/base/assert.ts';
import { OS_PAGE_BYTES } from '../../toolkit/base/limits.ts';
import { pread } from '../../toolkit/sys/index.ts';
import type { CursorBlock } from './block-cursor.ts';
import { isFresh } from './fresh.ts';

/**
 * Channels at the end of the journal are at most a few blocks apart; those that lag read for
 * themselves.
 */
const BLOCKS_CACHED = 8;

/** A payload in memory: whole records of one connection, from the start of `bytes` on. */
export interface BlockPayload {
  readonly bytes: Uint8Array;
  /** Over the same memory, from its start. */
  readonly view: DataView;
  /** Bytes of the payload; what lies behind them is not its. */
  readonly length: number;
}

interface Entry {
  bytes: Uint8Array;
  view: DataView;
  length: number;
  /** Of the block, -1: none yet. */
  position: number;
  isWhole: boolean;
  /** When it was last asked for, in calls. */
  usedAt: number;
}

function emptyEntry(): Entry {
  const bytes = new Uint8Array(OS_PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  return { bytes, view, length: 0, position: -1, isWhole: false, usedAt: 0 };
}

export class BlockBytes {
  readonly #entries: Entry[];
  #calls = 0;
  #reads = 0;

  constructor(blockCount = BLOCKS_CACHED) {
    assert(blockCount > 0, 'room for a block');
    this.#entries = Array.from({ length: blockCount }, emptyEntry);
  }

  /** Payloads that were read from their file; the other calls found theirs here. */
  get reads(): number {
    return this.#reads;
  }

  /**
   * The payload of a block, valid until the next call; null when it cannot be read or its checksum
   * does not hold: its records are damaged, which the caller counts.
   */
  read(block: CursorBlock): BlockPayload | null {
    const usedAt = ++this.#calls;
    let oldest = this.#entries[0]!;
    for (const entry of this.#entries) {
      if (entry.position === block.position) {
        entry.usedAt = usedAt;
        return entry.isWhole ? entry : null;
      }
      if (entry.usedAt < oldest.usedAt) oldest = entry;
    }
    oldest.usedAt = usedAt;
    this.#fill(oldest, block);
    return oldest.isWhole ? oldest : null;
  }

  #fill(entry: Entry, block: CursorBlock): void {
    const { length } = block;
    this.#reads++;
    if (length > entry.bytes.length) {
      entry.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
      entry.view = new DataView(entry.bytes.buffer);
    }
    entry.position = block.position;
    entry.length = length;
    const isRead = readFully(block.segment.fd, entry.bytes, length, block.fileOffset);
    entry.isWhole = isRead && (isFresh(block.header) || isIntact(entry.bytes, block));
  }
}

function isIntact(bytes: Uint8Array, { header, length }: CursorBlock): boolean {
  return crc32(bytes.subarray(0, length)) === header.payloadCrc;
}

/** False: the file ends before, or cannot be read. */
function readFully(fd: number, bytes: Uint8Array, length: number, fileOffset: number): boolean {
  let done = 0;
  while (done < length) {
    const got = pread(fd, bytes, done, length - done, fileOffset + done);
    if (got <= 0) return false;
    done += got;
  }
  return true;
}
