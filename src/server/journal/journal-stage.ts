/**
 * Journal stage: the only writer of the journal; appends blocks, then publishes them.
 *
 * WHY         Everything behind the journal is a reader with a position of its own. So one thread
 *             gives positions and ordinals, in one order, and nothing is visible before it is
 *             appended.
 * OWNERSHIP   Reader side of every collector's ring, writer side of the broadcast ring, the segment
 *             that is being written, the header room of the slices it was handed, one slab of
 *             counters.
 * TURN        per collector, up to BLOCKS_PER_TURN: checksum, header, one pwrite, publish, give the
 *             slot back. Then admit, release and evict readers. Then doze (a wake-up
 *             costs the collector up to 0.1 ms on virtual machines) or park until one comes.
 * EVICTION    When too few pages are free (a quarter, by default), the slowest reader loses its
 *             place: it goes on from the segments, which hold the same bytes.
 * FULL DISK   The block is dropped and counted in bytes and records (journal_full; anything else
 *             journal_error); it and its records get no ordinal. The next block tries again:
 *             resumes by itself.
 * ORDER       append -> publish position -> ring -> wake the forwarder, if it sleeps. The page of a
 *             block is released only after every reader has passed it.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../toolkit/base/assert.ts';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import { BLOCK_HEADER_BYTES, OS_PAGE_BYTES, PAGE_BYTES } from '../../toolkit/base/limits.ts';
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import type { PagePool } from '../../toolkit/pages/index.ts';
import {
  type BroadcastWriter,
  type IdleSleeper,
  NO_SLOT,
  type SpscConsumer,
} from '../../toolkit/ring/index.ts';
import { EDQUOT, ENOSPC, errnoName } from '../../toolkit/sys/index.ts';
import type { Control } from '../control.ts';
import { CONNECTION_COUNT_WORD } from '../setup.ts';
import {
  SLOT_GENERATION,
  SLOT_LENGTH,
  SLOT_OFFSET,
  SLOT_PAGE,
  SLOT_PROTECTED,
  SLOT_RECORDS,
  setSlotPosition,
} from '../slot.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import type { JournalCounter } from './counters.ts';
import { sealBlockHeader } from './format.ts';
import type { ForwardWaker } from './forward-sleep.ts';
import type { SegmentWriter } from './segment-writer.ts';
import type { JournalShared } from './shared.ts';

const BLOCKS_PER_TURN = 64;
/** Between two looks at readers that still hold slices. */
const READER_WAIT_MS = 5;
/** Goes on dozing for so long after the last block. */
const DOZE_FOR_MS = 30;
const LOG_EVERY_MS = 5_000;

export interface JournalOptions {
  readonly firstOrdinal: number;
  readonly firstBlockOrdinal: number;
  readonly connectionIds: Int32Array;
  readonly connectionIdBase: number;
  /** How long a doze is; 0 = it only parks, so that a block waits for nothing. */
  readonly dozeMs: number;
  /** Readers are evicted when fewer pages are free. */
  readonly freePageCountMin: number;
  /** Benchmarks only: publish without appending. */
  readonly discard: boolean;
}

export interface JournalDependencies {
  readonly pool: PagePool;
  readonly rings: readonly SpscConsumer[];
  readonly broadcast: BroadcastWriter;
  readonly sleeper: IdleSleeper;
  readonly writer: SegmentWriter;
  readonly shared: JournalShared;
  /** null: nobody forwards. */
  readonly forwardWaker: ForwardWaker | null;
  readonly counters: CounterWriter<JournalCounter>;
  readonly control: Control;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

export class JournalStage implements Stage {
  readonly roleName = 'journal';
  readonly #options: JournalOptions;
  readonly #deps: JournalDependencies;
  readonly #hasWork: () => boolean;
  readonly #values: Float64Array;
  readonly #index: Readonly<Record<JournalCounter, number>>;
  #ordinal: number;
  #blockOrdinal: number;
  #nextLogMs = 0;
  #lastBlockMs = Number.NEGATIVE_INFINITY;
  /** The collectors have drained and their rings are empty. */
  done = false;

  constructor(options: JournalOptions, deps: JournalDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#ordinal = options.firstOrdinal;
    this.#blockOrdinal = options.firstBlockOrdinal;
    this.#values = deps.counters.values;
    const names = deps.counters.handle.names;
    this.#index = Object.fromEntries(names.map((name, index) => [name, index])) as Record<
      JournalCounter,
      number
    >;
    this.#hasWork = () => deps.rings.some((ring) => ring.used() > 0);
  }

  onStart(): void {
    this.#deps.shared.publish(this.#deps.writer.position, this.#ordinal);
  }

  doWork(): number {
    let blocks = 0;
    for (const ring of this.#deps.rings) blocks += this.#takeFrom(ring);
    this.#deps.broadcast.poll();
    this.#deps.counters.publish();
    if (blocks > 0) this.#lastBlockMs = monotonicMs();
    if (this.#deps.control.isDraining) this.done = !this.#hasWork();
    else if (blocks < BLOCKS_PER_TURN) this.#sleep();
    return blocks;
  }

  /**
   * While blocks keep coming it dozes, so that collectors do not pay a wake-up for each; else until
   * a collector wakes it, or briefly while readers hold pages, as they do not wake it.
   */
  #sleep(): void {
    const { broadcast, sleeper } = this.#deps;
    const { dozeMs } = this.#options;
    if (dozeMs > 0 && monotonicMs() - this.#lastBlockMs < DOZE_FOR_MS) {
      sleeper.doze(dozeMs);
      return;
    }
    sleeper.park(broadcast.unreleased > 0 ? READER_WAIT_MS : IDLE_WAIT_MS, this.#hasWork);
  }

  onClose(): void {
    // In this order: the keeper, who finds no current fd, must find the last one among the sealed.
    this.#deps.writer.seal();
    this.#deps.shared.currentFd = -1;
    this.#deps.counters.close();
    this.#deps.control.close();
  }

  #takeFrom(ring: SpscConsumer): number {
    let blocks = 0;
    while (blocks < BLOCKS_PER_TURN) {
      const slot = ring.peek();
      if (slot === NO_SLOT) break;
      this.#take(ring.slots, slot);
      ring.release();
      blocks++;
    }
    return blocks;
  }

  #take(words: Int32Array, slot: number): void {
    const { pool } = this.#deps;
    const page = words[slot + SLOT_PAGE]!;
    assert(pool.generation(page) === words[slot + SLOT_GENERATION], 'a slice of the page it names');
    const offset = words[slot + SLOT_OFFSET]!;
    const at = page * PAGE_BYTES + offset;
    const length = words[slot + SLOT_LENGTH]!;
    const records = words[slot + SLOT_RECORDS]!;
    // The header is written over once more: of a protected slice, its first OS page is opened.
    const isProtected = words[slot + SLOT_PROTECTED]! > 0;
    if (isProtected) pool.unprotect(page, offset, OS_PAGE_BYTES);
    const result = this.#options.discard ? this.#pretend(at, length) : this.#append(at, length);
    if (isProtected) pool.protect(page, offset, OS_PAGE_BYTES);
    const values = this.#values;
    values[this.#index.consumedBytes]! += length - BLOCK_HEADER_BYTES;
    if (result < 0) {
      this.#drop(result, length - BLOCK_HEADER_BYTES, records);
      pool.release(page);
    } else {
      const journaled = this.#options.discard ? 'droppedBenchBytes' : 'journaledBytes';
      values[this.#index[journaled]]! += length - BLOCK_HEADER_BYTES;
      values[this.#index.journaledRecords]! += records;
      values[this.#index.journaledBlocks]! += 1;
      const position = this.#deps.writer.position - length;
      this.#ordinal += records;
      this.#blockOrdinal++;
      this.#deps.shared.publish(this.#deps.writer.position, this.#ordinal);
      this.#publish(words, slot, position);
    }
    this.#deps.counters.publish();
    this.#makeRoom();
  }

  /** Completes the header in the page and appends header and payload. Returns bytes or -errno. */
  #append(at: number, length: number): number {
    const { pool, writer, shared } = this.#deps;
    const { connectionIds, connectionIdBase } = this.#options;
    const nextConnectionId = connectionIdBase + Atomics.load(connectionIds, CONNECTION_COUNT_WORD);
    const fdBefore = writer.fd;
    const ordinal = this.#ordinal;
    const blockOrdinal = this.#blockOrdinal;
    const reserved = writer.reserve(length, ordinal, nextConnectionId, blockOrdinal);
    if (reserved < 0) return reserved;
    if (writer.fd !== fdBefore) {
      shared.currentFd = writer.fd;
      this.#values[this.#index.segments] = writer.segments;
    }
    const payloadAt = at + BLOCK_HEADER_BYTES;
    const crc = crc32(pool.bytes.subarray(payloadAt, at + length));
    sealBlockHeader(pool.bytes, pool.view, at, writer.position, ordinal, blockOrdinal, crc);
    return writer.append(pool.bytes, at, length);
  }

  #pretend(at: number, length: number): number {
    const { pool, writer } = this.#deps;
    const { position } = writer;
    sealBlockHeader(pool.bytes, pool.view, at, position, this.#ordinal, this.#blockOrdinal, 0);
    writer.skip(length);
    return length;
  }

  #drop(result: number, bytes: number, records: number): void {
    const full = result === -ENOSPC || result === -EDQUOT;
    const values = this.#values;
    values[full ? this.#index.droppedFullBytes : this.#index.droppedErrorBytes]! += bytes;
    values[full ? this.#index.droppedFullRecords : this.#index.droppedErrorRecords]! += records;
    values[this.#index.errors]! += 1;
    const nowMs = monotonicMs();
    if (nowMs < this.#nextLogMs) return;
    this.#nextLogMs = nowMs + LOG_EVERY_MS;
    const reason = full ? 'journal_full' : 'journal_error';
    this.#deps.warn('the journal cannot append: records are dropped', {
      reason,
      errno: errnoName(result),
      droppedRecords:
        values[this.#index.droppedFullRecords]! + values[this.#index.droppedErrorRecords]!,
    });
  }

  #publish(words: Int32Array, slot: number, position: number): void {
    setSlotPosition(words, slot, position);
    this.#deps.broadcast.push(words, slot);
    this.#deps.forwardWaker?.wake(this.#deps.writer.position);
  }

  /** Keeps pages free for the collectors by evicting readers that hold too many. */
  #makeRoom(): void {
    const { pool, broadcast } = this.#deps;
    broadcast.poll();
    const enough = this.#options.freePageCountMin;
    if (this.#options.discard) return;
    while (broadcast.unreleased > 0 && pool.freeCount() < enough) {
      if (!broadcast.evictSlowest()) return;
      this.#values[this.#index.evictions]! += 1;
    }
  }
}
