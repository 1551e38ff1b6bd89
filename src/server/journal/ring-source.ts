/**
 * Ring block source: a reader of the running server: pages while it keeps up, segments when it does
 * not.
 *
 * WHY         The ring saves reading what is still in memory; the segments hold the same bytes for
 *             ever. Which one is read is decided here, per block, and the reader does not notice.
 * OWNERSHIP   One reader thread. Between tryNext and release a block in a page is marked as being
 *             read.
 * INVARIANTS  1. Blocks come in the order of positions, each once: a slot below `position` is
 *             skipped, a slot above it means that blocks are missing, which the segments have.
 *             2. Nothing at or above the published position is read from segments.
 * CHOICE      With a place in the ring, its slots are compared first: older ones are passed, the
 *             one at `position` is taken, a newer one is put back and what is before it read from
 *             disk. Without a place: segments until nothing is new, then a place is asked for. A
 *             segment's head makes a gap of its own: one block per segment is read from disk.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { BLOCK_HEADER_BYTES, PAGE_BYTES } from '../../toolkit/base/limits.ts';
import type { PagePool } from '../../toolkit/pages/index.ts';
import { type BroadcastReader, READ_NOTHING, READ_OK } from '../../toolkit/ring/index.ts';
import { SLOT_GENERATION, SLOT_LENGTH, SLOT_OFFSET, SLOT_PAGE, slotPosition } from '../slot.ts';
import type { BlockSource, BlockView } from './block-source.ts';
import { makeBlockHeader, readBlockFields } from './format.ts';
import { type Damage, JournalReader } from './reader.ts';

/** The ring does not have the block at `position`: the segments do. */
const GAP = Symbol('gap');

export interface RingSourceOptions {
  readonly folder: string;
  readonly position: number;
  readonly publishedPosition: () => number;
  readonly onDamage?: (damage: Damage) => void;
}

export class RingBlockSource implements BlockSource {
  source: 'ring' | 'segments' = 'segments';
  /** How often the ring took this reader's place away. */
  evictions = 0;
  readonly #pool: PagePool;
  readonly #reader: BroadcastReader;
  readonly #journal: JournalReader;
  readonly #options: RingSourceOptions;
  readonly #block: { -readonly [K in keyof BlockView]: BlockView[K] };
  #position: number;
  #isReading = false;
  /** The ring had a place for this reader when it last looked. */
  #hasPlace = false;

  constructor(pool: PagePool, reader: BroadcastReader, options: RingSourceOptions) {
    this.#pool = pool;
    this.#reader = reader;
    this.#options = options;
    this.#position = options.position;
    this.#block = {
      header: makeBlockHeader(),
      bytes: pool.bytes,
      view: pool.view,
      offset: 0,
      length: 0,
      endPosition: 0,
    };
    this.#journal = this.#openJournal();
  }

  get position(): number {
    return this.#position;
  }

  get skippedBytes(): number {
    return this.#journal.skippedBytes;
  }

  tryNext(): BlockView | null {
    assert(!this.#isReading, 'a block is released before the next is taken');
    if (this.#reader.joined) {
      this.#hasPlace = true;
      const block = this.#nextFromRing();
      if (block !== GAP) return block;
    } else if (this.#hasPlace) {
      this.#hasPlace = false;
      this.evictions++;
    }
    return this.#nextFromSegments();
  }

  release(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#reader.finish();
  }

  close(): void {
    this.release();
    this.#reader.close();
    this.#journal.close();
  }

  #openJournal(): JournalReader {
    const { folder, publishedPosition, onDamage } = this.#options;
    return new JournalReader(folder, {
      position: this.#position,
      limitPosition: publishedPosition,
      ...(onDamage === undefined ? {} : { onDamage }),
    });
  }

  /** What stands between this reader and the oldest slot that it holds, or all it has missed. */
  #nextFromSegments(): BlockView | null {
    if (this.#journal.position < this.#position) this.#journal.seek(this.#position);
    const block = this.#journal.tryNext();
    if (block !== null) {
      this.source = 'segments';
      this.#position = block.endPosition;
      return block;
    }
    this.#position = Math.max(this.#position, this.#journal.position);
    if (!this.#reader.joined) {
      // Blocks published before the place is granted are in the segments alone.
      this.source = 'segments';
      this.#reader.join();
    }
    return null;
  }

  #nextFromRing(): BlockView | null | typeof GAP {
    for (;;) {
      const answer = this.#reader.tryRead();
      if (answer === READ_NOTHING) return this.source === 'ring' ? null : GAP;
      if (answer !== READ_OK) return GAP;
      const slot = this.#reader.slot;
      const position = slotPosition(slot, 0);
      if (position > this.#position) {
        this.#reader.putBack();
        return GAP;
      }
      if (position === this.#position) {
        this.source = 'ring';
        this.#isReading = true;
        return this.#viewOf(slot);
      }
      this.#reader.finish();
    }
  }

  #viewOf(slot: Int32Array): BlockView {
    const page = slot[SLOT_PAGE]!;
    assert(this.#pool.generation(page) === slot[SLOT_GENERATION], 'the page has not been reused');
    const at = page * PAGE_BYTES + slot[SLOT_OFFSET]!;
    const block = this.#block;
    readBlockFields(this.#pool.bytes, this.#pool.view, at, block.header);
    block.offset = at + BLOCK_HEADER_BYTES;
    block.length = slot[SLOT_LENGTH]! - BLOCK_HEADER_BYTES;
    block.endPosition = this.#position + slot[SLOT_LENGTH]!;
    this.#position = block.endPosition;
    return block;
  }
}
