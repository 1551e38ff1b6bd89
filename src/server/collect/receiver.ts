/**
 * Receiver: publishes the blocks of connections to the journal's ring.
 *
 * WHY         Cutting is where bytes change hands: the header is written, the page gets one more
 *             slice, the slot goes to the ring. Whoever follows a byte from the socket finds it
 *             here.
 * OWNERSHIP   One collector, which is the writer of the ring and of the slab of counters.
 * INVARIANTS  A block is published once or stays in its builder: a full ring or an empty pool
 *             changes nothing (`false`), and the caller tries again. It is counted, and that is
 *             published, before the journal can see it.
 * PACKING     A block under PACK_BELOW_BYTES that the linger timer cut is copied to a page shared
 *             by all connections of the collector: else 64 slow connections would hold 64 pages,
 *             and each small block the rest of its 4 KiB.
 */
import { monotonicUs } from '../../toolkit/base/clock.ts';
import {
  BLOCK_HEADER_BYTES,
  OS_PAGE_BYTES,
  PACK_BELOW_BYTES,
  PAGE_BYTES,
} from '../../toolkit/base/limits.ts';
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import { NO_PAGE, type PagePool } from '../../toolkit/pages/index.ts';
import { type IdleWaker, NO_SLOT, type SpscProducer } from '../../toolkit/ring/index.ts';
import {
  type BlockHeader,
  makeBlockHeader,
  writeBlockFields,
  writeStamp,
} from '../journal/format.ts';
import {
  SLOT_GENERATION,
  SLOT_LENGTH,
  SLOT_OFFSET,
  SLOT_PAGE,
  SLOT_PROTECTED,
  SLOT_RECORDS,
} from '../slot.ts';
import type { Connection } from './connection.ts';
import type { CollectCounter } from './counters.ts';

export class Receiver {
  readonly #pool: PagePool;
  readonly #ring: SpscProducer;
  readonly #journal: IdleWaker;
  readonly #owner: number;
  readonly #header: BlockHeader = makeBlockHeader();
  readonly #counters: CounterWriter<CollectCounter>;
  readonly #values: Float64Array;
  readonly #committed: number;
  readonly #open: number;
  readonly #blocks: number;
  readonly #packed: number;
  readonly #isStamped: boolean;
  #packPage = NO_PAGE;
  #packAt = 0;

  constructor(
    pool: PagePool,
    ring: SpscProducer,
    journal: IdleWaker,
    counters: CounterWriter<CollectCounter>,
    owner: number,
    isStamped = false,
  ) {
    this.#isStamped = isStamped;
    this.#owner = owner;
    this.#pool = pool;
    this.#ring = ring;
    this.#journal = journal;
    this.#counters = counters;
    this.#values = counters.values;
    this.#committed = counters.index('committedBytes');
    this.#open = counters.index('openBytes');
    this.#blocks = counters.index('blocks');
    this.#packed = counters.index('packedBlocks');
  }

  /** Blocks that the journal has not taken yet. */
  get inFlight(): number {
    return this.#ring.used();
  }

  /**
   * Publishes the block of `connection`; `lingered` blocks may be packed. False: try again later.
   */
  cut(connection: Connection, lingered: boolean): boolean {
    const builder = connection.builder;
    if (builder.records === 0) return true;
    // Records found at the end of a stream may stand right behind a published block.
    if (!builder.prepare()) return false;
    const slot = this.#ring.claim();
    if (slot === NO_SLOT) return false;
    const payloadBytes = builder.payloadBytes;
    const records = builder.records;
    const slotBytes = BLOCK_HEADER_BYTES + payloadBytes;
    if (lingered && slotBytes < PACK_BELOW_BYTES && this.#hasPackRoom(slotBytes)) {
      const at = this.#packAt;
      this.#pool.bytes.copyWithin(at + BLOCK_HEADER_BYTES, builder.payloadAt, builder.parsedAt);
      this.#describe(connection, slot, this.#packPage, at);
      this.#packAt = at + wholeOsPages(slotBytes);
      this.#values[this.#packed]! += 1;
      builder.restart();
      this.#protect(slot, wholeOsPages(slotBytes));
    } else {
      this.#describe(connection, slot, builder.page, builder.headerAt);
      builder.published();
      this.#protect(slot, builder.isTailWaiting ? slotBytes : wholeOsPages(slotBytes));
    }
    connection.connectionOrdinal += records;
    connection.firstByteUs = 0;
    this.#values[this.#committed]! += payloadBytes;
    this.#values[this.#open]! -= payloadBytes;
    this.#values[this.#blocks]! += 1;
    // First: else the journal could be seen to have taken what nobody had given.
    this.#counters.publish();
    this.#ring.commit();
    this.#journal.wake();
    return true;
  }

  /** After the last cut: the packing page is nobody's any more. */
  close(): void {
    if (this.#packPage !== NO_PAGE) this.#pool.stopFilling(this.#packPage);
    this.#packPage = NO_PAGE;
  }

  /** Header and slot of the block; the page has one more slice. */
  #describe(connection: Connection, slot: number, page: number, headerAt: number): void {
    const builder = connection.builder;
    const header = this.#header;
    header.connectionId = connection.connectionId;
    header.connectionOrdinal = connection.connectionOrdinal;
    header.exporter.set(connection.address);
    header.arrivalUs = connection.firstByteUs;
    header.recordCount = builder.records;
    header.payloadLength = builder.payloadBytes;
    header.listenerPort = connection.listenerPort;
    header.exporterPort = connection.exporterPort;
    writeBlockFields(this.#pool.bytes, this.#pool.view, headerAt, header);
    // Benchmarks only.
    if (this.#isStamped) writeStamp(this.#pool.view, headerAt, monotonicUs());
    this.#pool.retain(page);
    const words = this.#ring.slots;
    words[slot + SLOT_PAGE] = page;
    words[slot + SLOT_GENERATION] = this.#pool.generation(page);
    words[slot + SLOT_OFFSET] = headerAt - page * PAGE_BYTES;
    words[slot + SLOT_LENGTH] = BLOCK_HEADER_BYTES + builder.payloadBytes;
    words[slot + SLOT_RECORDS] = builder.records;
  }

  /** Nobody writes into the slice any more, but the journal into its header. */
  #protect(slot: number, bytes: number): void {
    const words = this.#ring.slots;
    const [page, offset] = [words[slot + SLOT_PAGE]!, words[slot + SLOT_OFFSET]!];
    words[slot + SLOT_PROTECTED] = this.#pool.protect(page, offset, bytes);
  }

  #hasPackRoom(slotBytes: number): boolean {
    if (this.#packPage !== NO_PAGE) {
      if ((this.#packPage + 1) * PAGE_BYTES - this.#packAt >= slotBytes) return true;
      this.#pool.stopFilling(this.#packPage);
    }
    this.#packPage = this.#pool.acquire(this.#owner);
    this.#packAt = this.#packPage * PAGE_BYTES;
    return this.#packPage !== NO_PAGE;
  }
}

/** The next block in the page begins behind. */
function wholeOsPages(bytes: number): number {
  return Math.ceil(bytes / OS_PAGE_BYTES) * OS_PAGE_BYTES;
}
