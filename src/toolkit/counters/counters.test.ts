import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { seqlockBegin, seqlockEnd } from '../ring/index.ts';
import { CounterReader, TAKE_MOMENT, TAKE_STALE, TAKE_WHOLE } from './counter-reader.ts';
import { Counters } from './counters.ts';
import { slabPlace, slabSetBytes } from './counters-layout.ts';

const NAMES = ['records', 'bytes'] as const;
const BACKENDS = ['atomics', 'wasm'] as const;
/** Versions wrap, and change their sign, in the middle of a test. */
const STARTS = [0, 2 ** 31 - 4, 2 ** 32 - 4];

test('counters start at 0, add, are set, and are seen by others when they are published', () => {
  for (const backend of BACKENDS) {
    for (const startVersion of STARTS) {
      const counters = Counters.create(NAMES, { backend, startVersion });
      assert.deepEqual(counters.snapshot(), { records: 0, bytes: 0 });
      const writer = Counters.writer(counters.handle);
      writer.add('records', 2);
      writer.add('records', 3);
      writer.set('bytes', 2 ** 53 - 1);
      assert.equal(writer.get('records'), 5);
      assert.equal(writer.values[writer.index('bytes')], 2 ** 53 - 1);
      assert.deepEqual(counters.snapshot(), { records: 0, bytes: 0 }, 'not published yet');
      assert.ok(writer.publish());
      assert.ok(!writer.publish(), 'nothing has changed');
      const copy = counters.snapshot();
      for (let i = 1; i <= 6; i++) {
        writer.add('records', 1);
        assert.ok(writer.publish());
        assert.equal(counters.snapshot().records, 5 + i);
      }
      assert.deepEqual(copy, { records: 5, bytes: 2 ** 53 - 1 });
    }
  }
});

test('whatever is counted comes out bit for bit, and nothing else changes', () => {
  const seed = Date.now();
  const prng = new Prng(seed);
  const names = Array.from({ length: 19 }, (_, index) => `c${index}`);
  for (const backend of BACKENDS) {
    const counters = Counters.create(names, { backend, writerCount: 3 });
    const writers = [0, 1, 2].map((index) => Counters.writer(counters.handle, index));
    const values = [0.1, -0, 2 ** 32, 2 ** 32 - 1, 2 ** 53 - 1, -(2 ** 31), Number.NaN];
    for (let round = 0; round < 300; round++) {
      const writer = writers[prng.below(3)]!;
      for (let i = prng.below(4); i > 0; i--) {
        const value = prng.chance(0.3) ? values[prng.below(values.length)]! : prng.below(1e9);
        writer.values[prng.below(names.length)] = value;
      }
      writer.publish();
      for (const each of writers) {
        assert.deepEqual(counters.snapshotOf(each.writer), each.values, `seed ${seed}`);
      }
    }
  }
});

test('a snapshot adds the writers up, into the object that it is given', () => {
  const counters = Counters.create(NAMES, { writerCount: 2 });
  const [a, b] = [Counters.writer(counters.handle, 0), Counters.writer(counters.handle, 1)];
  a.add('records', 1);
  b.add('records', 10);
  b.add('bytes', 5);
  a.publish();
  b.publish();
  const into = { records: -1, bytes: -1 };
  assert.equal(counters.snapshot(into), into);
  assert.deepEqual(into, { records: 11, bytes: 5 });
  assert.deepEqual([...counters.snapshotOf(1)], [10, 5]);
});

test('a reader of several sets keeps the last good copy while one of them is being written', () => {
  const one = Counters.create(NAMES);
  const two = Counters.create(['x'], { writerCount: 2 });
  const reader = new CounterReader([one.handle, two.handle]);
  const writers = [Counters.writer(one.handle), Counters.writer(two.handle, 1)] as const;
  writers[0].set('bytes', 7);
  writers[1].set('x', 8);
  for (const writer of writers) writer.publish();
  assert.equal(reader.take(), TAKE_MOMENT);
  const words = new Int32Array(two.handle.memory.buffer);
  const { baseWord } = slabPlace(1, 1);
  seqlockBegin(words, baseWord);
  writers[0].set('bytes', 9);
  writers[0].publish();
  assert.equal(reader.take(), TAKE_STALE);
  assert.deepEqual(reader.totals(one.handle), { records: 0, bytes: 7 });
  assert.deepEqual(reader.totals(two.handle), { x: 8 });
  seqlockEnd(words, baseWord);
  assert.equal(reader.take(), TAKE_MOMENT);
  assert.deepEqual(reader.totals(one.handle), { records: 0, bytes: 9 });
});

test('slabs that are never still together are whole, and copied in their order', (t) => {
  const counters = Counters.create(['n'], { writerCount: 2 });
  const writers = [0, 1].map((writer) => Counters.writer(counters.handle, writer));
  const reader = new CounterReader([counters.handle]);
  const load = Atomics.load as (words: Int32Array, index: number) => number;
  const { baseWord } = slabPlace(1, 1);
  // Between the copy of the first slab and that of the second both writers publish.
  t.mock.method(Atomics, 'load', (words: Int32Array, index: number): number => {
    if (index === baseWord) {
      for (const writer of writers) {
        writer.add('n', 1);
        writer.publish();
      }
    }
    return load(words, index);
  });
  assert.equal(reader.take(), TAKE_STALE, 'the second one never stands still');
  t.mock.restoreAll();
  t.mock.method(Atomics, 'load', (words: Int32Array, index: number): number => {
    if (index === baseWord) {
      writers[0]!.add('n', 1);
      writers[0]!.publish();
    }
    return load(words, index);
  });
  assert.equal(reader.take(), TAKE_WHOLE);
  assert.ok(reader.values(0, 0)[0]! < writers[0]!.get('n'));
  t.mock.restoreAll();
  assert.equal(reader.take(), TAKE_MOMENT);
  assert.equal(reader.values(0, 0)[0], writers[0]!.get('n'));
});

test('who buries a writer publishes what it had counted, also in the middle of a publish', () => {
  for (const backend of BACKENDS) {
    for (const startVersion of STARTS) {
      const counters = Counters.create(NAMES, { backend, startVersion });
      const dead = Counters.writer(counters.handle);
      assert.throws(() => Counters.writer(counters.handle), { code: 'MR_ASSERT' });
      assert.equal(counters.writerState(), 'held');
      dead.add('bytes', 3);
      dead.publish();
      dead.add('records', 1);
      seqlockBegin(new Int32Array(counters.handle.memory.buffer), slabPlace(2, 0).baseWord);
      assert.deepEqual(counters.snapshot(), { records: 0, bytes: 0 }, 'nobody had looked yet');
      assert.ok(counters.abandonWriter());
      assert.ok(!counters.abandonWriter());
      assert.equal(counters.writerState(), 'abandoned');
      assert.deepEqual(counters.snapshot(), { records: 1, bytes: 3 });
      const next = Counters.writer(counters.handle);
      assert.equal(next.get('records'), 1, 'goes on from there');
      next.add('records', 1);
      next.close();
      assert.equal(counters.writerState(), 'closed');
      assert.deepEqual(counters.snapshot(), { records: 2, bytes: 3 });
    }
  }
});

test('a half-done publish with nothing left to store is made whole too', () => {
  for (const backend of BACKENDS) {
    const counters = Counters.create(NAMES, { backend });
    seqlockBegin(new Int32Array(counters.handle.memory.buffer), slabPlace(2, 0).baseWord);
    const writer = Counters.writer(counters.handle);
    assert.ok(writer.publish());
    assert.ok(!writer.publish());
  }
});

test('lines of different writers, and live and published lines, are 128 bytes apart', () => {
  for (const count of [0, 1, 15, 16, 17, 30, 31, 32, 62, 63]) {
    let end = 0;
    for (let writer = 0; writer < 3; writer++) {
      const { liveWord, roleWord, baseWord, wordCount } = slabPlace(count, writer);
      assert.equal(liveWord * 4, end);
      assert.ok(roleWord >= liveWord + wordCount);
      for (const word of [liveWord, roleWord, baseWord]) assert.equal((word * 4) % 128, 0);
      assert.equal(baseWord - roleWord, 32);
      end = slabSetBytes(count, writer + 1);
      assert.ok(end >= (baseWord + 2 + wordCount) * 4);
    }
  }
});

test('misuse is asserted', () => {
  const counters = Counters.create(NAMES);
  const writer = Counters.writer(counters.handle);
  const asserted = { code: 'MR_ASSERT' };
  assert.throws(() => writer.add('recods' as 'records', 1), asserted, 'no such name');
  assert.throws(() => Counters.writer(counters.handle, 1), asserted, 'no such writer');
  assert.throws(() => Counters.create(['a', 'a']), asserted, 'a name twice');
  assert.throws(() => Counters.create(NAMES, { writerCount: 0 }), asserted);
  assert.throws(() => Counters.create(NAMES, { startVersion: 1 }), asserted);
  assert.throws(() => new CounterReader([]).totals(counters.handle), asserted);
  const none = Counters.create([]);
  assert.ok(!Counters.writer(none.handle).publish());
  assert.deepEqual(none.snapshot(), {});
});
