import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/support/journal-files.ts';
import { CheckedReader, JournalRig } from '../../../test/support/journal-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason, EDQUOT, EINVAL, ENOSPC } from '../../toolkit/sys/index.ts';
import { JournalReader } from './reader.ts';

const needsAddon = { skip: addonSkipReason() };
const ERRNOS = [ENOSPC, EDQUOT, EINVAL];

/** Random turns of producer, journal and readers, then everything to its end. */
function play(rig: JournalRig, readers: readonly CheckedReader[], prng: Prng, steps: number): void {
  const isLazy = readers.map(() => prng.chance(0.5));
  for (let step = 0; step < steps; step++) {
    const kind = prng.below(10);
    if (kind < 2) rig.produce(prng);
    else if (kind < 4) rig.turn(prng.chance(0.05) ? -ERRNOS[prng.below(3)]! : 0);
    else {
      const index = prng.below(readers.length);
      if (isLazy[index] && !prng.chance(0.15)) continue;
      if (prng.chance(0.005)) readers[index]!.restart();
      else for (let i = prng.below(8); i >= 0; i--) readers[index]!.step();
    }
    if (prng.chance(0.01)) isLazy[prng.below(readers.length)] = prng.chance(0.5);
    for (const reader of readers) reader.check();
  }
  rig.turn();
  for (const reader of readers) {
    for (let idle = 0; idle < 4; ) {
      if (reader.step()) idle = 0;
      else {
        rig.turn();
        idle++;
      }
    }
    assert.equal(reader.seen, rig.journaled.length, 'every block is seen, without another coming');
  }
}

test('every reader sees every block once, in order, whatever the turns', needsAddon, (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  let fromRing = 0;
  let fromSegments = 0;
  for (let round = 0; round < 12; round++) {
    const prng = new Prng(seed + round);
    const folder = temporaryFolder(t);
    const count = 1 + prng.below(3);
    const rig = new JournalRig({
      folder,
      segmentBytes: [20_000, 200_000, 10_000_000][round % 3]!,
      pages: 6 + prng.below(10),
      slots: 2 << prng.below(5),
      readers: count,
    });
    const readers = Array.from({ length: count }, (_, index) => new CheckedReader(rig, index));
    try {
      play(rig, readers, prng, 3_000);
      for (const reader of readers) reader.close();
      rig.turn();
      rig.close();
      rig.broadcast.poll();
      assert.equal(rig.pool.freeCount(), rig.pool.pageCount, 'every page comes back');
      assertSegments(folder, rig);
    } catch (error) {
      throw new Error(`seed ${seed} round ${round}`, { cause: error });
    }
    for (const reader of readers) {
      fromRing += reader.fromRing;
      fromSegments += reader.fromSegments;
    }
  }
  assert.ok(fromRing > 1_000 && fromSegments > 1_000, `${fromRing} ${fromSegments}`);
});

/** The files alone tell the same. */
function assertSegments(folder: string, rig: JournalRig): void {
  const reader = new JournalReader(folder);
  let ordinal = rig.firstOrdinal;
  for (const made of rig.journaled) {
    const block = reader.tryNext();
    assert.ok(block !== null);
    assert.equal(block.header.firstOrdinal, ordinal);
    assert.ok(made.payload.equals(block.bytes.subarray(block.offset, block.offset + block.length)));
    ordinal += made.records;
  }
  assert.equal(reader.tryNext(), null);
  assert.equal(reader.skippedBytes, 0);
  assert.equal(rig.shared.publishedOrdinal, ordinal);
  reader.close();
}

test(
  'a dropped block is counted by its reason, gets no ordinal and frees its page',
  needsAddon,
  (t) => {
    const prng = new Prng(4);
    const rig = new JournalRig({ folder: temporaryFolder(t), segmentBytes: 1_000_000 });
    const reader = new CheckedReader(rig, 0);
    for (const failWith of [0, -ENOSPC, 0, -EINVAL, -EDQUOT, 0]) {
      for (let i = 0; i < 3; i++) assert.ok(rig.produce(prng));
      rig.turn(failWith);
      while (reader.step()) {}
    }
    assert.deepEqual([rig.journaled.length, rig.dropped, reader.seen], [9, 9, 9]);
    assert.equal(rig.counters.get('errors'), 9);
    assert.ok(rig.counters.get('droppedFullRecords') > rig.counters.get('droppedErrorRecords'));
    assert.ok(rig.counters.get('droppedErrorBytes') > 0);
    assert.equal(rig.warnings.length, 1, 'one line for many drops');
    rig.close();
    reader.close();
    rig.broadcast.poll();
    assert.equal(rig.pool.freeCount(), rig.pool.pageCount);
  },
);

test(
  'a reader that holds one block for ever costs one page, and nobody else waits',
  needsAddon,
  (t) => {
    const prng = new Prng(8);
    const rig = new JournalRig({ folder: temporaryFolder(t), segmentBytes: 1_000_000, readers: 2 });
    const stuck = new CheckedReader(rig, 0);
    const quick = new CheckedReader(rig, 1);
    stuck.step();
    quick.step();
    rig.turn();
    for (let i = 0; i < 2; i++) assert.ok(rig.produce(prng));
    rig.turn();
    for (let i = 0; i < 3; i++) assert.ok(stuck.step());
    assert.equal(stuck.fromRing, 1, 'it holds the second block, in its page');
    for (let i = 0; i < 500; i++) {
      assert.ok(rig.produce(prng), 'pages come back in spite of it');
      rig.turn();
      while (quick.step()) {}
      stuck.check();
    }
    assert.equal(quick.seen, 502);
    assert.ok(rig.counters.get('evictions') <= 1 + rig.pool.pageCount);
    while (stuck.step()) {}
    assert.equal(stuck.seen, 502);
    rig.close();
    for (const reader of [stuck, quick]) reader.close();
    rig.broadcast.poll();
    assert.equal(rig.pool.freeCount(), rig.pool.pageCount);
  },
);

test(
  'evicted while it held the newest block, a reader misses nothing and waits for nothing',
  needsAddon,
  (t) => {
    const prng = new Prng(9);
    const rig = new JournalRig({
      folder: temporaryFolder(t),
      segmentBytes: 10_000_000,
      freePageCountMin: 0,
    });
    const reader = new CheckedReader(rig, 0);
    reader.step();
    rig.turn();
    rig.produce(prng);
    rig.turn();
    assert.ok(reader.step(), 'it holds the newest block');
    assert.ok(rig.broadcast.evictSlowest());
    assert.ok(reader.step(), 'it lets go');
    assert.equal(reader.step(), false, 'nothing is new: it asks for a place');
    rig.produce(prng);
    rig.turn();
    for (let i = 0; i < 4; i++) reader.step();
    assert.equal(reader.seen, 2, 'what came before the place was granted is found');
    rig.close();
    reader.close();
  },
);

test('segments are as many as the bytes need', needsAddon, (t) => {
  const folder = temporaryFolder(t);
  const prng = new Prng(2);
  const rig = new JournalRig({ folder, segmentBytes: 70_000 });
  for (let i = 0; i < 60; i++) {
    rig.produce(prng);
    rig.turn();
  }
  rig.close();
  assert.equal(readdirSync(folder).length, rig.counters.get('segments'));
  assert.ok(rig.counters.get('segments') > 4);
});
