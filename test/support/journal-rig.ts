/**
 * Journal rig: the journal stage, its rings, segments and readers in the thread of the test, which
 * gives the turns. Producers make blocks of known bytes; appends can be made to fail.
 */
import assert from 'node:assert/strict';
import { COMMAND_DRAIN, Commands, Control } from '../../src/server/control.ts';
import { JOURNAL_COUNTERS, type JournalCounter } from '../../src/server/journal/counters.ts';
import { makeBlockHeader, writeBlockFields } from '../../src/server/journal/format.ts';
import { JournalStage } from '../../src/server/journal/journal-stage.ts';
import { RingBlockSource } from '../../src/server/journal/ring-source.ts';
import { SegmentWriter } from '../../src/server/journal/segment-writer.ts';
import { JournalShared } from '../../src/server/journal/shared.ts';
import {
  SLOT_BYTES,
  SLOT_GENERATION,
  SLOT_LENGTH,
  SLOT_OFFSET,
  SLOT_PAGE,
  SLOT_RECORDS,
} from '../../src/server/slot.ts';
import { BLOCK_HEADER_BYTES, OS_PAGE_BYTES, PAGE_BYTES } from '../../src/toolkit/base/limits.ts';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import { Counters } from '../../src/toolkit/counters/index.ts';
import { NO_PAGE, PagePool } from '../../src/toolkit/pages/index.ts';
import {
  BroadcastRing,
  type BroadcastWriter,
  IdleStrategy,
  NO_SLOT,
  type SpscProducer,
  SpscRing,
} from '../../src/toolkit/ring/index.ts';
import { closeFd, pwrite } from '../../src/toolkit/sys/index.ts';

const OWNER = 1;
const FIRST_POSITION = 2 ** 33;
const FIRST_ORDINAL = 2 ** 34;
const FIRST_BLOCK_ORDINAL = 2 ** 35 - 3;

/** A block as its producer made it. */
export interface MadeBlock {
  readonly payload: Buffer;
  readonly records: number;
  readonly connectionId: number;
}

/** Fails when told; a failed append leaves half of the block behind, as a full disk does. */
class FailingWriter extends SegmentWriter {
  failWith = 0;
  #start = 0;

  override reserve(...numbers: Parameters<SegmentWriter['reserve']>): number {
    const { fd } = this;
    const result = super.reserve(...numbers);
    if (this.fd !== fd) this.#start = this.position - 128;
    return result;
  }

  override append(bytes: Uint8Array, offset: number, length: number): number {
    if (this.failWith === 0) return super.append(bytes, offset, length);
    pwrite(this.fd, bytes, offset, length >> 1, this.position - this.#start);
    return this.failWith;
  }
}

export interface JournalRigOptions {
  readonly folder: string;
  readonly segmentBytes: number;
  readonly pages?: number;
  readonly slots?: number;
  readonly readers?: number;
  readonly freePageCountMin?: number;
}

export class JournalRig {
  readonly pool: PagePool;
  readonly ring: SpscProducer;
  readonly shared = JournalShared.create();
  readonly counters = Counters.writer(Counters.create<JournalCounter>(JOURNAL_COUNTERS).handle);
  readonly stage: JournalStage;
  readonly writer: FailingWriter;
  readonly broadcast: BroadcastWriter;
  readonly firstPosition = FIRST_POSITION;
  readonly firstOrdinal = FIRST_ORDINAL;
  readonly firstBlockOrdinal = FIRST_BLOCK_ORDINAL;
  readonly sealed: number[] = [];
  /** In the order in which the journal takes them; those that it dropped are not in it. */
  readonly journaled: MadeBlock[] = [];
  dropped = 0;
  readonly warnings: string[] = [];
  readonly #ring: BroadcastRing;
  readonly #folder: string;
  readonly #pending: MadeBlock[] = [];
  readonly #header = makeBlockHeader();
  #page = NO_PAGE;
  #at = 0;

  constructor(options: JournalRigOptions) {
    const pages = options.pages ?? 12;
    this.#folder = options.folder;
    this.pool = PagePool.create(pages * PAGE_BYTES);
    const ringOptions = { slotBytes: SLOT_BYTES, creditEvery: 1, startSeq: 0xffff_fff0 };
    const { handle } = SpscRing.create({ capacity: 8, ...ringOptions });
    this.ring = SpscRing.producer(handle);
    this.#ring = BroadcastRing.create({
      capacity: options.slots ?? 8,
      slotBytes: SLOT_BYTES,
      readerCount: options.readers ?? 1,
      startSeq: 0x1fff_fff0,
    });
    this.broadcast = BroadcastRing.writer(this.#ring.handle, {
      release: (words, index) => this.pool.release(words[index + SLOT_PAGE]!),
    });
    this.writer = new FailingWriter(
      { folder: options.folder, segmentBytes: options.segmentBytes, uuid: new Uint8Array(16) },
      FIRST_POSITION,
      (fd) => this.sealed.push(fd),
    );
    const commands = new Commands();
    // Draining, a stage does not sleep: the test gives the turns.
    commands.send(COMMAND_DRAIN);
    this.stage = new JournalStage(
      {
        firstOrdinal: FIRST_ORDINAL,
        firstBlockOrdinal: FIRST_BLOCK_ORDINAL,
        connectionIds: new Int32Array(new SharedArrayBuffer(4)),
        connectionIdBase: 1,
        dozeMs: 0,
        freePageCountMin: options.freePageCountMin ?? pages / 4,
        discard: false,
      },
      {
        pool: this.pool,
        rings: [SpscRing.consumer(handle)],
        broadcast: this.broadcast,
        sleeper: IdleStrategy.sleeper(IdleStrategy.create().handle),
        writer: this.writer,
        shared: this.shared,
        forwardWaker: null,
        counters: this.counters,
        control: new Control(commands.handle),
        warn: (text) => this.warnings.push(text),
      },
    );
    this.stage.onStart();
  }

  source(reader: number, position = FIRST_POSITION): RingBlockSource {
    return new RingBlockSource(this.pool, BroadcastRing.reader(this.#ring.handle, reader), {
      folder: this.#folder,
      position,
      publishedPosition: () => this.shared.publishedPosition,
    });
  }

  /** What the supervisor does when the thread of a reader has ended. */
  bury(reader: number): void {
    this.#ring.abandonReader(reader);
  }

  /** One block into the ring; false when there is no page or no slot. */
  produce(prng: Prng): boolean {
    const slot = this.ring.claim();
    if (slot === NO_SLOT) return false;
    const payload = Buffer.alloc(1 + prng.below(prng.chance(0.2) ? 60_000 : 3_000));
    for (let i = 0; i < payload.length; i += 7) payload[i] = prng.below(256);
    const length = BLOCK_HEADER_BYTES + payload.length;
    if (!this.#hasRoom(length)) return false;
    const made = { payload, records: 1 + prng.below(50), connectionId: 1 + prng.below(9) };
    const at = this.#at;
    this.pool.bytes.set(payload, at + BLOCK_HEADER_BYTES);
    Object.assign(this.#header, {
      connectionId: made.connectionId,
      recordCount: made.records,
      payloadLength: payload.length,
    });
    writeBlockFields(this.pool.bytes, this.pool.view, at, this.#header);
    this.pool.retain(this.#page);
    const { slots: words } = this.ring;
    words[slot + SLOT_PAGE] = this.#page;
    words[slot + SLOT_GENERATION] = this.pool.generation(this.#page);
    words[slot + SLOT_OFFSET] = at - this.#page * PAGE_BYTES;
    words[slot + SLOT_LENGTH] = length;
    words[slot + SLOT_RECORDS] = made.records;
    this.ring.commit();
    this.#pending.push(made);
    this.#at = at + Math.ceil(length / OS_PAGE_BYTES) * OS_PAGE_BYTES;
    return true;
  }

  /** One turn of the journal, which takes all that waits; failing with -errno when told. */
  turn(failWith = 0): void {
    this.writer.failWith = failWith;
    this.stage.doWork();
    this.writer.failWith = 0;
    for (const made of this.#pending.splice(0)) {
      if (failWith === 0) this.journaled.push(made);
      else this.dropped++;
    }
    const get = (name: JournalCounter): number => this.counters.get(name);
    const explained = get('journaledBytes') + get('droppedFullBytes') + get('droppedErrorBytes');
    assert.equal(get('consumedBytes'), explained);
  }

  close(): void {
    if (this.#page !== NO_PAGE) this.pool.stopFilling(this.#page);
    this.#page = NO_PAGE;
    this.stage.onClose();
    for (const fd of this.sealed.splice(0)) closeFd(fd);
  }

  #hasRoom(length: number): boolean {
    if (this.#page !== NO_PAGE) {
      if ((this.#page + 1) * PAGE_BYTES - this.#at >= length) return true;
      this.pool.stopFilling(this.#page);
    }
    this.#page = this.pool.acquire(OWNER);
    this.#at = this.#page * PAGE_BYTES;
    return this.#page !== NO_PAGE;
  }
}

/** A reader that checks that it sees every journaled block once, in order, with its bytes. */
export class CheckedReader {
  readonly #rig: JournalRig;
  readonly #index: number;
  #source: RingBlockSource;
  #next = 0;
  #ordinal: number;
  #held: { bytes: Uint8Array; offset: number; length: number } | null = null;
  fromRing = 0;
  fromSegments = 0;

  constructor(rig: JournalRig, index: number) {
    this.#rig = rig;
    this.#index = index;
    this.#source = rig.source(index);
    this.#ordinal = rig.firstOrdinal;
  }

  get seen(): number {
    return this.#next;
  }

  /** Lets go of what is held, or takes the next block. True when something was done. */
  step(): boolean {
    if (this.#held !== null) {
      this.check();
      this.#held = null;
      this.#source.release();
      return true;
    }
    const block = this.#source.tryNext();
    if (block === null) return false;
    const made = this.#rig.journaled[this.#next];
    assert.ok(made !== undefined, 'a block that nobody journaled');
    assert.equal(block.header.firstOrdinal, this.#ordinal, 'ordinals without a hole');
    const blockOrdinal = this.#rig.firstBlockOrdinal + this.#next;
    assert.equal(block.header.blockOrdinal, blockOrdinal, 'blocks counted without a hole');
    assert.equal(block.header.recordCount, made.records);
    assert.equal(block.header.connectionId, made.connectionId);
    assert.equal(block.endPosition, block.header.position + BLOCK_HEADER_BYTES + block.length);
    this.#held = { bytes: block.bytes, offset: block.offset, length: block.length };
    this.#next++;
    this.#ordinal += made.records;
    if (this.#source.source === 'ring') this.fromRing++;
    else this.fromSegments++;
    this.check();
    return true;
  }

  /** The bytes are those of the producer, as long as the block is held. */
  check(): void {
    if (this.#held === null) return;
    const { bytes, offset, length } = this.#held;
    const { payload } = this.#rig.journaled[this.#next - 1]!;
    assert.equal(length, payload.length);
    assert.ok(
      payload.equals(bytes.subarray(offset, offset + length)),
      'bytes change under a reader',
    );
  }

  /** The thread ends in the midst of whatever it does; another goes on behind what was done. */
  restart(): void {
    this.#held = null;
    this.#rig.bury(this.#index);
    this.#source = this.#rig.source(this.#index, this.#source.position);
  }

  close(): void {
    this.#source.close();
  }
}
