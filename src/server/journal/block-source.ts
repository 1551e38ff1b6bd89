/**
 * Block source: where a reader of the journal gets its blocks from; the meeting place of the
 * stages.
 *
 * The store, forwarders and tools know this interface only. One implementation reads the broadcast
 * ring and falls back to segments (server); `SegmentBlockSource` below reads segments alone.
 */
import type { BlockHeader } from './format.ts';
import { JournalReader, type JournalReaderOptions } from './reader.ts';

/** A block as a reader sees it. One object is reused; it is valid until release(). */
export interface BlockView {
  readonly header: BlockHeader;
  /** The memory that holds the payload; `view` is over the same memory from its start. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Start of the payload in `bytes`: whole records of one connection. */
  readonly offset: number;
  /** Payload bytes. */
  readonly length: number;
  /** Journal position behind the block: what a reader commits once it has delivered the block. */
  readonly endPosition: number;
}

export interface BlockSource {
  /** The next block at or after `position`, or null: nothing new yet. Valid until release(). */
  tryNext(): BlockView | null;
  /** Gives the block of the last tryNext back; it must not be looked at afterwards. */
  release(): void;
  /** Position behind the last block that tryNext returned. */
  readonly position: number;
  /** Bytes of damaged blocks that were passed over. */
  readonly skippedBytes: number;
  readonly source: 'ring' | 'segments';
  close(): void;
}

/** Blocks from segment files alone: for tests, tools and a reader that has lost the ring. */
export class SegmentBlockSource implements BlockSource {
  readonly source = 'segments';
  readonly #reader: JournalReader;

  constructor(folder: string, options: JournalReaderOptions = {}) {
    this.#reader = new JournalReader(folder, options);
  }

  get position(): number {
    return this.#reader.position;
  }

  get skippedBytes(): number {
    return this.#reader.skippedBytes;
  }

  tryNext(): BlockView | null {
    return this.#reader.tryNext();
  }

  /** Nothing to give back: the reader's buffer is its own. */
  release(): void {}

  close(): void {
    this.#reader.close();
  }
}
