/**
 * Channel parcel: a parcel, its block's entry in the ledger, and what it holds.
 */
import type { CursorBlock } from './block-cursor.ts';
import type { MemoryPiece, Piece } from './channel-parts.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Parcel } from './parcel.ts';
import type { OpenSegment } from './segment-files.ts';

/** A parcel, and what it holds. */
export class ChannelParcel implements Parcel {
  readonly position: number;
  readonly endPosition: number;
  readonly records: number;
  readonly bytes: number;
  readonly exporter: string;
  readonly file: Parcel['file'];
  readonly memory: MemoryPiece | null;
  readonly segment: OpenSegment;
  readonly seenMs: number;
  readonly entry: LedgerEntry;

  constructor(entry: LedgerEntry, block: ParcelOrigin, piece: Piece, from: ParcelFrom) {
    this.entry = entry;
    this.position = block.position;
    this.endPosition = block.endPosition;
    this.records = piece.records;
    this.bytes = piece.bytes;
    this.exporter = from.exporter;
    this.seenMs = from.seenMs;
    this.segment = block.segment;
    this.memory = piece.memory;
    this.file =
      piece.memory === null
        ? { segment: block.segment, offset: block.fileOffset + piece.payloadOffset }
        : null;
  }

  /** The rest, from a record boundary on; it takes over what this one holds. */
  from(offset: number, records: number): ChannelParcel {
    const { file, memory, segment, position, endPosition } = this;
    const piece: Piece = {
      records,
      bytes: this.bytes - offset,
      payloadOffset: offset,
      memory: memory === null ? null : new MemoryRest(memory, offset),
    };
    const origin = { segment, position, endPosition, fileOffset: file?.offset ?? 0 };
    return new ChannelParcel(this.entry, origin, piece, this);
  }
}

/** What a parcel needs of its block. */
type ParcelOrigin = Pick<CursorBlock, 'position' | 'endPosition' | 'segment' | 'fileOffset'>;

/** And of what the channel knows of that. */
type ParcelFrom = Pick<Parcel, 'exporter' | 'seenMs'>;

/** The rest of gathered records, held with the hold of the whole. */
class MemoryRest implements MemoryPiece {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly #whole: MemoryPiece;

  constructor(whole: MemoryPiece, offset: number) {
    this.bytes = whole.bytes;
    this.offset = whole.offset + offset;
    this.#whole = whole;
  }

  retain(): void {
    this.#whole.retain();
  }

  release(): void {
    this.#whole.release();
  }
}
