import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEQLOCK_LENGTH_MAX, SeqlockCell } from './seqlock-cell.ts';
import {
  SEQLOCK_BUSY,
  seqlockBegin,
  seqlockEnd,
  seqlockPut,
  seqlockRead,
  seqlockWrite,
} from './seqlock-kernel.ts';
import { SEQLOCK_BASE_WORD } from './seqlock-layout.ts';

/** Versions wrap, and change their sign, in the middle of a test. */
const STARTS = [0, 2 ** 31 - 4, 2 ** 32 - 4];

test('a record of int32 comes out as it was written, across the wrap of versions', () => {
  for (const startVersion of STARTS) {
    const cell = SeqlockCell.create({ length: 3, startVersion });
    const writer = SeqlockCell.writer(cell.handle);
    const reader = SeqlockCell.reader(cell.handle);
    const into = new Int32Array(5);
    assert.equal(reader.version, -1);
    assert.ok(reader.tryRead(into), 'a record of zeros at first');
    assert.deepEqual([...into], [0, 0, 0, 0, 0]);
    for (let round = 1; round <= 8; round++) {
      assert.ok(!reader.hasChanged());
      writer.write(Int32Array.of(round, -round, 2 ** 31 - round, 99));
      assert.ok(reader.hasChanged());
      assert.ok(reader.read(into));
      assert.deepEqual([...into], [round, -round, 2 ** 31 - round, 0, 0]);
      assert.equal(reader.version, (startVersion + 2 * round) % 2 ** 32);
      assert.equal(cell.version, reader.version);
    }
    writer.close();
    assert.equal(cell.writerState(), 'closed');
    assert.ok(reader.read(into), 'still there');
  }
});

test('a record of float64 keeps all bits of its values', () => {
  const cell = SeqlockCell.create({ length: 7, item: 'float64' });
  const writer = SeqlockCell.writer(cell.handle);
  const reader = SeqlockCell.reader(structuredClone(cell.handle));
  const values = Float64Array.of(Math.PI, -0, Number.MAX_VALUE, 5e-324, Number.NaN, -Infinity, 1);
  const into = new Float64Array(7);
  writer.write(values);
  assert.ok(reader.tryRead(into));
  assert.deepEqual(into, values);
  assert.ok(Object.is(into[1], -0));
});

test('in place: some values change, and readers see all of it or nothing', () => {
  const cell = SeqlockCell.create({ length: 3, item: 'float64', startVersion: 2 ** 32 - 2 });
  const writer = SeqlockCell.writer(cell.handle);
  const reader = SeqlockCell.reader(cell.handle);
  const into = Float64Array.of(7, 7, 7);
  writer.write(Float64Array.of(1.5, 2.5, 3.5));
  writer.begin();
  writer.put(1, 20.25);
  assert.ok(!reader.tryRead(into), 'the writer is in the middle');
  assert.ok(!reader.read(into), 'and stays there');
  assert.deepEqual([...into], [7, 7, 7], 'nothing came out');
  assert.ok(reader.hasChanged());
  writer.put(2, -1);
  writer.end();
  assert.ok(reader.tryRead(into));
  assert.deepEqual([...into], [1.5, 20.25, -1]);
});

test('a writer that died in the middle is seen, and its successor repairs', () => {
  for (const startVersion of STARTS) {
    const cell = SeqlockCell.create({ length: 2, startVersion });
    const words = new Int32Array(cell.handle.buffer);
    const first = SeqlockCell.writer(cell.handle);
    const reader = SeqlockCell.reader(cell.handle);
    const into = new Int32Array(2);
    first.write(Int32Array.of(1, 1));
    first.begin();
    first.put(0, 2);
    assert.ok(cell.isTorn() && cell.writerState() === 'held');
    assert.ok(cell.abandonWriter());
    assert.ok(!cell.abandonWriter());
    assert.equal(cell.writerState(), 'abandoned');
    assert.ok(cell.isTorn());
    assert.ok(!reader.read(into));
    const second = SeqlockCell.writer(cell.handle);
    assert.ok(second.isTorn);
    assert.throws(() => second.begin(), { code: 'MR_ASSERT' });
    assert.ok(!reader.read(into), 'a new writer alone makes nothing whole');
    second.write(Int32Array.of(3, 3));
    assert.ok(!second.isTorn && !cell.isTorn());
    assert.ok(reader.read(into));
    assert.deepEqual([...into], [3, 3]);
    assert.equal(words[SEQLOCK_BASE_WORD]! & 1, 0);
    second.begin();
    second.put(1, 4);
    second.close();
    assert.ok(reader.read(into), 'who closes in the middle ends the write');
    assert.deepEqual([...into], [3, 4]);
  }
});

test('misuse is asserted', () => {
  const cell = SeqlockCell.create({ length: 2 });
  const writer = SeqlockCell.writer(cell.handle);
  const asserted = { code: 'MR_ASSERT' };
  assert.throws(() => SeqlockCell.writer(cell.handle), asserted, 'a second writer');
  assert.throws(() => writer.write(new Int32Array(1)), asserted);
  assert.throws(() => writer.put(0, 1), asserted, 'not begun');
  assert.throws(() => writer.end(), asserted);
  writer.begin();
  assert.throws(() => writer.begin(), asserted);
  assert.throws(() => writer.put(2, 1), asserted);
  assert.throws(() => writer.put(-1, 1), asserted);
  assert.throws(() => writer.write(new Int32Array(2)), asserted);
  assert.throws(() => SeqlockCell.reader(cell.handle).tryRead(new Int32Array(1)), asserted);
  for (const length of [0, -1, 1.5, SEQLOCK_LENGTH_MAX + 1]) {
    assert.throws(() => SeqlockCell.create({ length }), asserted);
  }
  assert.throws(() => SeqlockCell.create({ length: 1, startVersion: 1 }), asserted);
});

test('the kernels work at any place of any words, and touch nothing beside it', () => {
  const words = new Int32Array(new SharedArrayBuffer(16 * 4)).fill(77);
  const base = 5;
  const from = 2;
  words[base] = -2;
  seqlockWrite(words, base, Int32Array.of(9, 9, 1, 2, 3), from, 3);
  assert.deepEqual([...words], [77, 77, 77, 77, 77, 0, 77, 1, 2, 3, 77, 77, 77, 77, 77, 77]);
  seqlockBegin(words, base);
  const into = new Int32Array(5);
  assert.equal(seqlockRead(words, base, into, 1, 3), SEQLOCK_BUSY);
  seqlockPut(words, base, 2, 4);
  seqlockEnd(words, base);
  assert.equal(seqlockRead(words, base, into, 1, 3), 2);
  assert.deepEqual([...into], [0, 1, 2, 4, 0]);
});

test('a write between the two looks at the version is noticed', () => {
  const words = new Int32Array(new SharedArrayBuffer(8 * 4));
  seqlockWrite(words, 0, Int32Array.of(1, 1), 0, 2);
  // The reader's own memory lets a whole write in, after the first word of the record.
  let writes = 0;
  const into = new Proxy(new Int32Array(2), {
    set(target, index, value: number): boolean {
      if (writes++ === 0) seqlockWrite(words, 0, Int32Array.of(2, 2), 0, 2);
      return Reflect.set(target, index, value);
    },
  });
  assert.equal(seqlockRead(words, 0, into, 0, 2), SEQLOCK_BUSY);
  assert.deepEqual([into[0], into[1]], [1, 2], 'this is what it kept from the caller');
});
