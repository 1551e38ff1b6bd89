import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Framed,
  frameOf,
  frameWhole,
  hostileBytes,
  simulatedBytes,
} from '../../../test/support/streams.ts';
import { walkFrames } from '../../rdr/frame-run.ts';
import { BLOCK_HEADER_BYTES, OS_PAGE_BYTES, PAGE_BYTES } from '../../toolkit/base/limits.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { Counters } from '../../toolkit/counters/index.ts';
import { NO_PAGE, PagePool } from '../../toolkit/pages/index.ts';
import { IdleStrategy, NO_SLOT, type SpscConsumer, SpscRing } from '../../toolkit/ring/index.ts';
import { makeBlockHeader, readBlockFields } from '../journal/format.ts';
import { SLOT_BYTES, SLOT_GENERATION, SLOT_LENGTH, SLOT_OFFSET, SLOT_PAGE } from '../slot.ts';
import { Connection } from './connection.ts';
import { COLLECT_COUNTERS, type CollectCounter } from './counters.ts';
import { Receiver } from './receiver.ts';

const OWNER = 1;

interface Published {
  readonly page: number;
  readonly at: number;
  readonly length: number;
  readonly generation: number;
}

/** A collector without sockets: one connection, a journal that takes and releases when told. */
class Rig {
  readonly pool: PagePool;
  readonly ring: SpscConsumer;
  readonly receiver: Receiver;
  readonly connection: Connection;
  readonly counters = Counters.writer(Counters.create<CollectCounter>(COLLECT_COUNTERS).handle);
  readonly taken: Uint8Array[] = [];
  readonly inFlight: Published[] = [];
  readonly hostageTaker: PagePool;
  readonly hostages: number[] = [];
  read = 0;
  resyncBytes = 0;
  resyncRuns = 0;
  truncatedBytes = 0;
  releasedBytes = 0;
  #ordinal = 0;
  readonly #header = makeBlockHeader();
  readonly #run = new Int32Array(3);

  constructor(pages: number, slots = 8) {
    this.pool = PagePool.create(pages * PAGE_BYTES);
    this.hostageTaker = new PagePool(this.pool.handle, 9);
    const options = { slotBytes: SLOT_BYTES, creditEvery: 1, startSeq: 0xffff_fff0 };
    const { handle } = SpscRing.create({ capacity: slots, ...options });
    this.ring = SpscRing.consumer(handle);
    this.receiver = new Receiver(
      this.pool,
      SpscRing.producer(handle),
      IdleStrategy.waker(IdleStrategy.create().handle),
      this.counters,
      OWNER,
    );
    this.connection = new Connection(this.pool, OWNER);
    this.connection.open(3, 77, 33000, 0);
  }

  /** As much of `bytes` as one receive takes; 0 when no page is free. */
  receive(bytes: Uint8Array, offset: number, most: number): number {
    const { builder } = this.connection;
    if (!builder.prepare()) return 0;
    const length = Math.min(most, builder.room, bytes.length - offset);
    assert.ok(length > 0, 'there is always room to receive into');
    this.pool.bytes.set(bytes.subarray(offset, offset + length), builder.fillAt);
    this.read += length;
    this.count(() => builder.received(length));
    return length;
  }

  count(walk: () => number): void {
    const { builder } = this.connection;
    walk();
    this.resyncBytes += builder.resyncBytes;
    this.resyncRuns += builder.resyncRuns;
    this.assertSound();
  }

  finish(): void {
    this.count(() => {
      this.truncatedBytes += this.connection.builder.finish();
      return 0;
    });
  }

  cut(lingered: boolean): boolean {
    const done = this.receiver.cut(this.connection, lingered);
    this.assertSound();
    return done;
  }

  /** The invariants of the builder's head. */
  assertSound(): void {
    const { builder } = this.connection;
    const { page, payloadAt, parsedAt, fillAt, pageEnd } = builder;
    if (page !== NO_PAGE) {
      assert.ok(payloadAt <= parsedAt && parsedAt <= fillAt && fillAt <= pageEnd);
      walkFrames(this.pool.view, payloadAt, parsedAt, this.#run);
      assert.equal(this.#run[0]! >>> 0, parsedAt, 'whole records only');
      assert.equal(this.#run[1], builder.records);
      assert.ok(fillAt - parsedAt < 10_004, 'a bounded tail');
    }
    const committed = this.counters.get('committedBytes');
    const gone = this.resyncBytes + this.truncatedBytes;
    assert.equal(committed + gone + builder.openBytes, this.read, 'the ledger closes');
  }

  /** The journal takes one slot: its header is completed in the page, as sealing does. */
  take(): boolean {
    const slot = this.ring.peek();
    if (slot === NO_SLOT) return false;
    const { slots: words } = this.ring;
    const page = words[slot + SLOT_PAGE]!;
    assert.equal(words[slot + SLOT_OFFSET]! % OS_PAGE_BYTES, 0, 'a block starts on an OS page');
    const at = page * PAGE_BYTES + words[slot + SLOT_OFFSET]!;
    const length = words[slot + SLOT_LENGTH]!;
    this.inFlight.push({ page, at, length, generation: words[slot + SLOT_GENERATION]! });
    this.pool.bytes.fill(0xab, at + 4, at + 24);
    this.ring.release();
    return true;
  }

  /** The last reader passes a block: only now its bytes are looked at. */
  releaseOne(index = 0): boolean {
    const [block] = this.inFlight.splice(index, 1);
    if (block === undefined) return false;
    const { page, at, length, generation } = block;
    assert.equal(this.pool.generation(page), generation, 'the page is still the slice it was');
    assert.ok(at + length <= (page + 1) * PAGE_BYTES);
    readBlockFields(this.pool.bytes, this.pool.view, at, this.#header);
    assert.equal(this.#header.payloadLength, length - BLOCK_HEADER_BYTES);
    assert.equal(this.#header.connectionId, 77);
    assert.equal(this.#header.connectionOrdinal, this.#ordinal, 'ordinals without a hole');
    walkFrames(this.pool.view, at + BLOCK_HEADER_BYTES, at + length, this.#run);
    assert.equal(this.#run[0]! >>> 0, at + length);
    assert.equal(this.#run[1], this.#header.recordCount);
    this.#ordinal += this.#header.recordCount;
    this.releasedBytes += length - BLOCK_HEADER_BYTES;
    this.taken.push(this.pool.bytes.slice(at + BLOCK_HEADER_BYTES, at + length));
    this.pool.release(page);
    return true;
  }

  /** Another user of the pool takes pages, or gives them back. */
  hold(count: number): void {
    for (let i = 0; i < count; i++) {
      const page = this.hostageTaker.acquire();
      if (page === NO_PAGE) return;
      this.hostages.push(page);
      this.pool.bytes.fill(0xee, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }
  }

  unhold(): void {
    for (const page of this.hostages.splice(0)) this.hostageTaker.stopFilling(page);
  }

  /** Ends the stream and compares everything with the reference. */
  end(expected: Framed): void {
    this.finish();
    this.finish();
    while (!this.cut(true)) {
      if (!this.take() && !this.releaseOne()) this.unhold();
    }
    this.connection.builder.release();
    this.receiver.close();
    while (this.take()) {}
    while (this.releaseOne()) {}
    this.unhold();
    const records = Buffer.concat(expected.records);
    const journaled = Buffer.concat(this.taken);
    assert.equal(journaled.length, records.length);
    assert.ok(journaled.equals(records), 'the blocks are the records, in order');
    assert.equal(this.resyncBytes, expected.resyncBytes);
    assert.equal(this.resyncRuns, expected.resyncRuns);
    assert.equal(this.truncatedBytes, expected.truncatedBytes);
    assert.equal(this.pool.freeCount(), this.pool.pageCount, 'every page comes back');
  }
}

/** Feeds `bytes` in pieces that `piece` chooses; cuts, takes and releases at random. */
function feed(rig: Rig, bytes: Uint8Array, prng: Prng, piece: () => number): void {
  for (let at = 0; at < bytes.length; ) {
    const { builder } = rig.connection;
    if (builder.isFull && !rig.cut(false)) {
      if (!rig.take() && !rig.releaseOne()) rig.unhold();
      continue;
    }
    const taken = rig.receive(bytes, at, piece());
    at += taken;
    if (taken === 0 && !rig.take() && !rig.releaseOne()) rig.unhold();
    if (builder.isFull) rig.cut(false);
    else if (prng.chance(0.05)) rig.cut(prng.chance(0.7));
    if (prng.chance(0.3)) rig.take();
    if (prng.chance(0.2)) rig.releaseOne();
    if (prng.chance(0.02)) rig.hold(8);
    if (prng.chance(0.02)) rig.unhold();
  }
}

test('a hostile stream, cut at random, over a pool that runs empty: exactly its records', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  for (let round = 0; round < 30; round++) {
    const prng = new Prng(seed + round);
    const bytes = hostileBytes(prng, 50_000 + prng.below(900_000));
    const rig = new Rig(3 + prng.below(5), 1 << prng.below(4));
    const most = [20, 3_000, 20_000, 131_072][round % 4]!;
    try {
      feed(rig, bytes, prng, () => 1 + prng.below(most));
      rig.end(frameWhole(bytes));
    } catch (error) {
      throw new Error(`seed ${seed} round ${round}`, { cause: error });
    }
  }
});

test('one byte at a time, and cut in two at every byte', () => {
  const prng = new Prng(5);
  const bytes = hostileBytes(prng, 40_000).slice(0, 60_000);
  const expected = frameWhole(bytes);
  const slow = new Rig(3);
  feed(slow, bytes, prng, () => 1);
  slow.end(expected);
  const short = Buffer.concat([
    frameOf(200),
    Buffer.from('garbage 12345 \xf0\xf0\xf0 0042', 'latin1'),
    frameOf(60),
    frameOf(20),
    frameOf(300).subarray(0, 70),
  ]);
  const whole = frameWhole(short);
  assert.deepEqual([whole.records.length, whole.truncatedBytes], [3, 70]);
  for (let cut = 0; cut <= short.length; cut++) {
    const rig = new Rig(3);
    for (const part of [short.subarray(0, cut), short.subarray(cut)]) {
      if (part.length > 0) rig.receive(part, 0, part.length);
      rig.cut(cut % 2 === 0);
    }
    rig.end(whole);
  }
});

test('records of 10,004 bytes fill page after page', () => {
  const bytes = Buffer.concat(Array.from({ length: 120 }, (_, i) => frameOf(10_004, i)));
  for (const pages of [3, 5]) {
    const rig = new Rig(pages, 2);
    feed(rig, bytes, new Prng(pages), () => 131_072);
    rig.end(frameWhole(bytes));
  }
});

test('garbage that ends with a page: what follows is found', () => {
  const prng = new Prng(11);
  for (let shift = -40; shift < 40; shift += 7) {
    const garbage = new Uint8Array(PAGE_BYTES - BLOCK_HEADER_BYTES + shift).fill(0x58);
    const bytes = Buffer.concat([frameOf(50), garbage, frameOf(10_004), garbage, frameOf(33)]);
    const rig = new Rig(4);
    feed(rig, bytes, prng, () => 262_144);
    rig.end(frameWhole(bytes));
  }
});

test('a tail that waits for a page: moved later, or finished where it stands', () => {
  // A place that could become an anchor of 9,999 bytes, with a whole record inside it.
  const candidate = frameOf(10_004).subarray(0, 5_000).slice();
  candidate.set(frameOf(900), 1_000);
  const records = Buffer.concat(Array.from({ length: 25 }, () => frameOf(9_900)));
  const bytes = Buffer.concat([records, Buffer.from('garbage!'), candidate]);
  for (const moves of [true, false]) {
    const rig = new Rig(3);
    rig.hold(1);
    const { builder } = rig.connection;
    assert.equal(rig.receive(bytes, 0, bytes.length), bytes.length);
    rig.hold(2);
    assert.ok(builder.isFull);
    assert.ok(rig.cut(false));
    assert.equal(builder.prepare(), false, 'the tail has no page to go to');
    assert.equal(rig.receive(frameOf(50), 0, 50), 0);
    if (moves) {
      rig.unhold();
      assert.ok(builder.prepare());
    }
    rig.finish();
    assert.equal(builder.records, 1, 'the record inside the candidate');
    if (!moves) assert.equal(rig.cut(true), false, 'no block begins inside a published one');
    rig.end(frameWhole(bytes));
    assert.deepEqual(Buffer.from(rig.taken[0]!), records, 'the published bytes are untouched');
  }
});

test('a tail waits for a page, one becomes free, the stream goes on', () => {
  const bytes = simulatedBytes(3, 3_000_000);
  const rig = new Rig(2, 4);
  rig.hold(1);
  let stalls = 0;
  for (let at = 0; at < bytes.length; ) {
    if (rig.connection.builder.isFull) rig.cut(false);
    const taken = rig.receive(bytes, at, 100_000);
    at += taken;
    if (taken > 0) continue;
    stalls++;
    while (rig.take()) {}
    while (rig.releaseOne()) {}
    if (rig.receive(bytes, at, 0 + 1) === 0) rig.unhold();
    else at++;
    if (stalls % 3 === 0) rig.hold(1);
  }
  assert.ok(stalls > 5);
  rig.end(frameWhole(bytes));
});
