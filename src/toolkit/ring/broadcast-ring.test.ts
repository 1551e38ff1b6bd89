/**
 * BroadcastRing in one thread: roles, places, what an evicted reader learns, copies, and who takes
 * over from the dead.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broadcastBegin, broadcastConfirm } from './broadcast-kernel.ts';
import {
  BROADCAST_CLAIM_WORD,
  BROADCAST_RELEASED_WORD,
  BROADCAST_WRITE_WORD,
  packReader,
  READER_LAPPED,
  READER_ROLE,
  readerLine,
} from './broadcast-layout.ts';
import { BroadcastRing, READ_EVICTED, READ_NOTHING, READ_OK } from './index.ts';

/** Near the wraps of 29, 31 and 32 bits. */
const STARTS = [0, 0x1fff_fffd, 0x7fff_fffd, 0xffff_fffd];

function make(startSeq: number, readerCount = 2, capacity = 4) {
  const ring = BroadcastRing.create({ capacity, slotWords: 2, readerCount, startSeq });
  const released: number[] = [];
  const release = (words: Int32Array, index: number): void => {
    released.push(words[index]!);
  };
  return { ring, released, release, writer: BroadcastRing.writer(ring.handle, { release }) };
}

test('an evicted reader learns where it lost touch, and what it missed when it is back', () => {
  for (const start of STARTS) {
    const { ring, writer, released } = make(start);
    const slow = BroadcastRing.reader(ring.handle, 0);
    const seqOf = (count: number): number => (start + count) >>> 0;
    assert.equal(slow.tryRead(), READ_EVICTED, 'no place before join');
    slow.join();
    assert.equal(ring.readerPlace(0), 'joining');
    assert.equal(slow.tryRead(), READ_NOTHING, 'not yet admitted');
    writer.poll();
    assert.ok(slow.joined);
    for (let i = 0; i < 3; i++) writer.push(Int32Array.of(i, ~i));
    assert.equal(ring.lag(0), 3);
    assert.equal(slow.tryRead(), READ_OK);
    assert.deepEqual([...slow.slot], [0, ~0]);
    slow.finish();
    assert.equal(slow.nextSeq, seqOf(1));
    assert.equal(slow.lag, 2);
    for (let i = 3; i < 10; i++) writer.push(Int32Array.of(i, ~i));
    assert.equal(ring.readerPlace(0), 'evicted');
    assert.equal(ring.lag(0), 0);
    assert.equal(slow.tryRead(), READ_EVICTED);
    assert.equal(slow.lostSeq, seqOf(1), 'the first slot that it has not finished');
    slow.join();
    slow.join();
    writer.poll();
    assert.equal(slow.tryRead(), READ_NOTHING);
    assert.equal(slow.lostSeq, seqOf(1));
    assert.equal(slow.lag, 0);
    writer.push(Int32Array.of(10, ~10));
    assert.equal(slow.tryRead(), READ_OK);
    assert.equal(slow.lostSeq, seqOf(1));
    assert.equal(slow.nextSeq, seqOf(10));
    assert.equal(slow.missedCount, 9);
    assert.equal(slow.slot[0], 10, 'it begins at the write position, and there');
    slow.finish();
    slow.close();
    writer.poll();
    assert.deepEqual(released, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  }
});

test('lapped while it reads: the slot is its own until finish, and counts as read', () => {
  for (const start of STARTS) {
    const { ring, writer, released } = make(start);
    const slow = BroadcastRing.reader(ring.handle);
    slow.join();
    writer.poll();
    for (let i = 0; i < 9; i++) {
      writer.push(Int32Array.of(i, 0));
      if (i === 0) assert.equal(slow.tryRead(), READ_OK);
    }
    assert.ok(!released.includes(0), 'kept aside');
    assert.equal(slow.slot[0], 0);
    slow.finish();
    assert.equal(slow.lostSeq, (start + 1) >>> 0);
    writer.poll();
    assert.deepEqual(
      released.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
  }
});

test('two readers lapped on one slot: it is released once, behind the last of them', () => {
  const { ring, writer, released } = make(0xffff_ffff);
  const readers = [BroadcastRing.reader(ring.handle), BroadcastRing.reader(ring.handle)] as const;
  for (const reader of readers) reader.join();
  writer.poll();
  writer.push(Int32Array.of(0, 0));
  for (const reader of readers) assert.equal(reader.tryRead(), READ_OK);
  for (let i = 1; i < 9; i++) writer.push(Int32Array.of(i, 0));
  readers[0].finish();
  writer.poll();
  assert.ok(!released.includes(0));
  readers[1].leave();
  writer.poll();
  writer.poll();
  assert.deepEqual(
    released.filter((value) => value === 0),
    [0],
  );
});

test('a place is one reader wide, the ring one writer', () => {
  const { ring, writer, release } = make(0);
  assert.throws(() => BroadcastRing.writer(ring.handle, { release }), /one holder/);
  const second = BroadcastRing.reader(ring.handle, 1);
  assert.throws(() => BroadcastRing.reader(ring.handle, 1), /one holder/);
  const first = BroadcastRing.reader(ring.handle);
  assert.equal(first.index, 0);
  assert.throws(() => BroadcastRing.reader(ring.handle), /all are taken/);
  assert.throws(() => BroadcastRing.reader(ring.handle, 2), /below the ring's count/);
  second.close();
  assert.equal(ring.readerState(1), 'closed');
  assert.equal(BroadcastRing.reader(ring.handle).index, 1);
  assert.equal(ring.writerState(), 'held');
  assert.ok(!first.isPeerGone());
  writer.close();
  assert.equal(first.peerState(), 'closed');
  assert.ok(first.isPeerGone());
});

test('wrong sizes and wrong order are asserted', () => {
  const sizes = { capacity: 4, readerCount: 1 };
  assert.throws(() => BroadcastRing.create({ ...sizes, capacity: 3 }), /power of two/);
  assert.throws(() => BroadcastRing.create({ ...sizes, slotBytes: 6 }), /whole int32 words/);
  assert.throws(() => BroadcastRing.create({ ...sizes, capacity: 2 ** 28 }), /2\^27/);
  const { ring, writer } = make(0);
  assert.throws(() => writer.publish(), /claimed before/);
  const reader = BroadcastRing.reader(ring.handle);
  assert.throws(() => reader.finish(), /follows tryRead/);
  assert.throws(() => reader.putBack(), /follows tryRead/);
});

test('values only: no release, no finish, batches across the end of the array', () => {
  for (const capacity of [1, 2, 8]) {
    for (const startSeq of STARTS) {
      const ring = BroadcastRing.create({ capacity, readerCount: 1, startSeq });
      const writer = BroadcastRing.writer(ring.handle);
      const reader = BroadcastRing.reader(ring.handle);
      reader.join();
      writer.poll();
      const into = new Int32Array(3);
      let next = 0;
      let done = 0;
      const assertNext = (value: number): number => {
        assert.equal(value, next++);
        return next;
      };
      for (let i = 0; i < 60; i++) {
        writer.push(Int32Array.of(i));
        if (i % 2 === 0 || i % 5 === 0) continue;
        if (i % 3 === 0) {
          while (reader.tryRead() === READ_OK) done = assertNext(reader.slot[0]!);
          continue;
        }
        for (let count = reader.readBatch(into); count > 0; count = reader.readBatch(into)) {
          for (let k = 0; k < count; k++) done = assertNext(into[k]!);
        }
        if (reader.joined) continue;
        assert.ok(capacity < 4);
        assert.equal(reader.lostSeq, (startSeq + done) >>> 0);
        reader.join();
        writer.poll();
        assert.ok(reader.joined);
        next = i + 1;
      }
      assert.ok(next > 20);
    }
  }
});

test('who takes a dead reader over learns where that one stood', () => {
  const { ring, writer, released } = make(0x1fff_fffe);
  const dead = BroadcastRing.reader(ring.handle, 0);
  dead.join();
  writer.poll();
  for (let i = 0; i < 3; i++) writer.push(Int32Array.of(i, 0));
  dead.tryRead();
  dead.finish();
  assert.equal(dead.tryRead(), READ_OK);
  assert.ok(ring.abandonReader(0));
  assert.ok(!ring.abandonReader(0));
  assert.ok(!ring.abandonReader(1), 'nobody was there');
  assert.equal(ring.readerState(0), 'abandoned');
  assert.equal(ring.readerPlace(0), 'none');
  writer.poll();
  assert.deepEqual(released, [0, 1, 2]);
  const next = BroadcastRing.reader(ring.handle, 0);
  assert.equal(next.lostSeq, 0x1fff_ffff);
  next.join();
  writer.poll();
  writer.push(Int32Array.of(3, 0));
  assert.equal(next.tryRead(), READ_OK);
  assert.equal(next.missedCount, 2, 'the one that was being read counts as missed');
});

test('a writer takes over where a dead one stood', () => {
  for (const start of STARTS) {
    const { ring, writer, released, release } = make(start);
    const held = BroadcastRing.reader(ring.handle, 0);
    const lapped = BroadcastRing.reader(ring.handle, 1);
    held.join();
    lapped.join();
    writer.poll();
    for (let i = 0; i < 5; i++) {
      writer.push(Int32Array.of(i, 0));
      if (i === 0) assert.equal(lapped.tryRead(), READ_OK);
      if (i < 4) assert.equal(held.tryRead(), READ_OK);
    }
    // Dead with a claimed slot half written, one slot aside, some unreleased.
    Atomics.store(writer.words, writer.claim(), 99);
    assert.ok(ring.abandonWriter());
    assert.equal(held.peerState(), 'abandoned');
    const next = BroadcastRing.writer(ring.handle, { release });
    for (let i = 5; i < 7; i++) next.push(Int32Array.of(i, 0));
    assert.equal(held.tryRead(), READ_OK);
    assert.equal(held.slot[0], 4);
    assert.ok(!released.includes(0));
    lapped.finish();
    while (held.tryRead() === READ_OK);
    next.poll();
    assert.deepEqual(
      released.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.equal(next.nextSeq, (start + 7) >>> 0);
  }
});

test('a writer that dies between the eviction of a reader and keeping what it reads', () => {
  for (const start of STARTS) {
    const { ring, writer, released, release } = make(start);
    const reader = BroadcastRing.reader(ring.handle, 0);
    reader.join();
    writer.poll();
    for (let i = 0; i < 4; i++) writer.push(Int32Array.of(i, 0));
    assert.equal(reader.tryRead(), READ_OK);
    Atomics.store(writer.words, readerLine(0), packReader(start, READER_LAPPED));
    ring.abandonWriter();
    const next = BroadcastRing.writer(ring.handle, { release });
    for (let i = 4; i < 9; i++) next.push(Int32Array.of(i, 0));
    assert.ok(!released.includes(0), 'it is still being read');
    reader.finish();
    next.poll();
    const sorted = released.toSorted((a, b) => a - b);
    assert.deepEqual(sorted, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  }
});

test('a reader that leaves just when it is admitted has no place', (t) => {
  const { ring, writer, released } = make(0);
  const reader = BroadcastRing.reader(ring.handle, 0);
  const original = Atomics.compareExchange;
  for (const how of ['leaves', 'dies'] as const) {
    reader.join();
    const mock = t.mock.method(Atomics, 'compareExchange', (...args: unknown[]) => {
      mock.mock.restore();
      if (how === 'leaves') reader.leave();
      else ring.abandonReader(0);
      return Reflect.apply(original, Atomics, args);
    });
    const intercepted = Atomics.store;
    const store = t.mock.method(Atomics, 'store', (...args: unknown[]) => {
      store.mock.restore();
      if (how === 'leaves') reader.leave();
      else ring.abandonReader(0);
      return Reflect.apply(intercepted, Atomics, args);
    });
    writer.poll();
    t.mock.restoreAll();
    assert.equal(ring.readerPlace(0), 'none');
    writer.push(Int32Array.of(1, 0));
    writer.poll();
    assert.equal(writer.unreleased, 0, 'nobody holds anything');
  }
  assert.equal(released.length, 2);
});

/** Slots that the writer publishes while a reader stands still. */
const LONG_COUNTS = [2 ** 31 - 4, 2 ** 31, 2 ** 31 + 4, 2 ** 32 - 64];

test('a reader that stands still in a copy for 2^31 slots gets no torn one', () => {
  for (const count of LONG_COUNTS) {
    const { ring, writer } = make(0, 1);
    const words = new Int32Array(ring.handle.memory.buffer);
    const reader = BroadcastRing.reader(ring.handle, 0);
    reader.join();
    writer.poll();
    writer.push(Int32Array.of(1, 1));
    assert.equal(broadcastBegin(words, readerLine(0)), READ_OK);
    words[BROADCAST_CLAIM_WORD] = count;
    assert.equal(broadcastConfirm(words, readerLine(0), 0), false, `${count} slots later`);
  }
});

test('a slot that is aside while 2^31 others pass is released when its reader leaves', () => {
  for (const count of LONG_COUNTS) {
    const { ring, writer, released } = make(0, 1);
    const words = new Int32Array(ring.handle.memory.buffer);
    const reader = BroadcastRing.reader(ring.handle, 0);
    reader.join();
    writer.poll();
    writer.push(Int32Array.of(77, 0));
    assert.equal(reader.tryRead(), READ_OK);
    for (let i = 0; i < 8; i++) writer.push(Int32Array.of(i, 0));
    assert.ok(!released.includes(77));
    for (const word of [BROADCAST_CLAIM_WORD, BROADCAST_RELEASED_WORD, BROADCAST_WRITE_WORD]) {
      words[word]! += count;
    }
    reader.finish();
    writer.poll();
    assert.ok(released.includes(77), `${count} slots later`);
  }
});

test('a reader that is closed twice leaves the place of the next one alone', () => {
  const { ring, writer } = make(0, 1);
  const words = new Int32Array(ring.handle.memory.buffer);
  const old = BroadcastRing.reader(ring.handle, 0);
  old.close();
  const next = BroadcastRing.reader(ring.handle, 0);
  next.join();
  writer.poll();
  words[readerLine(0) + READER_ROLE]! += 1;
  assert.throws(() => old.close(), /only the holder/u);
  assert.ok(next.joined);
});
