/**
 * Channel parts: what a channel needs of its neighbours, so that each can be tested without them.
 */
import type { BlockCursor, CursorBlock } from './block-cursor.ts';
import type { Parcel } from './parcel.ts';
import type { SegmentFiles } from './segment-files.ts';

/** A part of a block that goes as one parcel: whole records, next to each other where they are. */
export interface Piece {
  readonly records: number;
  readonly bytes: number;
  readonly memory: MemoryPiece | null;
  /** Offset in the payload, when it is sent from the file. */
  readonly payloadOffset: number;
}

/** Gathered records. Whoever uses them holds them: `retain` once for each parcel. */
export interface MemoryPiece {
  readonly bytes: Uint8Array;
  readonly offset: number;
  retain(): void;
  release(): void;
}

/** What of a block is sent. */
export interface Selected {
  readonly records: number;
  readonly pieces: readonly Piece[];
}

/** No room to gather: later again, when something was settled. */
export const SELECT_FULL = 'full';
/** The payload is not what its checksum says: none of it is sent. */
export const SELECT_DAMAGED = 'damaged';
export type SelectResult = Selected | typeof SELECT_FULL | typeof SELECT_DAMAGED;

export interface BlockSelector {
  select(block: CursorBlock): SelectResult;
}

/** Where parcels go. */
export interface ChannelOutput {
  /** False: no room; the parcel stays with the caller, until something was settled. */
  tryAdd(parcel: Parcel): boolean;
  /** Whether the connection of this exporter stands; if not, it is made, and `retry` follows. */
  isReady(exporter: string): boolean;
  /**
   * Parcels that are too old and of which nothing was sent are settled, as those of closed
   * connections; of connections that do not stand all that did not arrive.
   */
  giveBack(isTooOld: (parcel: Parcel) => boolean): void;
}

/** Blocks in the order of the journal: BlockCursor, WarmingCursor. */
export type ChannelCursor = Pick<
  BlockCursor,
  'block' | 'next' | 'takeLost' | 'close' | 'position' | 'problem'
>;

export type SegmentHolder = Pick<SegmentFiles, 'retain' | 'release'>;
