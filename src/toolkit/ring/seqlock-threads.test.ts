/**
 * SeqlockCell between threads: no reader ever sees half of a write, and writers that are ended in
 * the middle of one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { SeqlockCell, type SeqlockCellHandle, type SeqlockCellOptions } from './seqlock-cell.ts';
import type { ItemKind } from './spsc-handle.ts';
import { newSeed, type StartedThread, startThread } from './threads.test-data.ts';

interface Job {
  readonly role: 'write' | 'read';
  readonly handle: SeqlockCellHandle<ItemKind>;
  readonly seed: number;
  /** Writes, or 0: until the thread is ended. Readers: records that they want to see. */
  readonly count: number;
  /** One int32: records written. */
  readonly written: SharedArrayBuffer;
}

const nap = new Int32Array(new SharedArrayBuffer(4));

function valuesOf({ item, length }: SeqlockCellHandle<ItemKind>): Int32Array | Float64Array {
  return item === 'int32' ? new Int32Array(length) : new Float64Array(length);
}

/** Each value follows from the first; a float64 has other halves each time. */
function valueAt(item: ItemKind, first: number, index: number): number {
  const mixed = Math.imul(first + index, 0x9e37_79b1);
  return item === 'int32' ? mixed : mixed * Math.PI;
}

/** Writes whole records, and records in place. */
function writeAll({ handle, seed, count, written }: Job): void {
  const done = new Int32Array(written);
  const writer = SeqlockCell.writer(handle);
  const prng = new Prng(seed);
  const { item, length } = handle;
  const values = valuesOf(handle);
  for (let number = 1; count === 0 || number <= count; number++) {
    const isWhole = writer.isTorn || prng.chance(0.5);
    if (!isWhole) writer.begin();
    for (let index = 0; index < length; index++) {
      const value = index === 0 ? number : valueAt(item, number, index);
      values[index] = value;
      if (!isWhole) writer.put(index, value);
      // A writer that is to be ended sleeps here: whoever ends it mostly finds it in the middle.
      if (!isWhole && count === 0 && index === 0) Atomics.wait(nap, 0, 0, 0.1);
    }
    if (isWhole) writer.write(values);
    else writer.end();
    Atomics.add(done, 0, 1);
    if (prng.chance(0.001)) Atomics.wait(nap, 0, 0, prng.unit());
  }
  writer.close();
}

/** The first value of the record, which must be whole. */
function checked({ item, length }: SeqlockCellHandle<ItemKind>, into: ArrayLike<number>): number {
  const first = into[0]!;
  if (first === 0) return 0;
  for (let index = 1; index < length; index++) {
    const wanted = valueAt(item, first, index);
    if (into[index] !== wanted) assert.equal(into[index], wanted, `value ${index} of ${first}`);
  }
  return first;
}

/** Reads until it has seen `count` records and the writer has closed. */
function readAll({ handle, count }: Job): void {
  const cell = new SeqlockCell(handle);
  const reader = SeqlockCell.reader(handle);
  const into = valuesOf(handle);
  let last = 0;
  for (let seen = 0; seen < count || cell.writerState() === 'held'; ) {
    if (!reader.hasChanged() || !reader.read(into)) {
      if (cell.writerState() === 'closed') return;
      Atomics.wait(nap, 0, 0, 0.01);
      continue;
    }
    const first = checked(handle, into);
    if (first < last) assert.ok(first >= last, 'records never go back');
    last = first;
    seen++;
  }
}

const start = (job: Job): StartedThread => startThread(import.meta.url, job);

const CELLS: readonly SeqlockCellOptions<ItemKind>[] = [
  { length: 2, item: 'float64', startVersion: 2 ** 32 - 1_000 },
  { length: 8, item: 'int32', startVersion: 2 ** 31 - 1_000 },
  { length: 40, item: 'float64' },
];

async function readersSeeWhole(options: SeqlockCellOptions<ItemKind>): Promise<void> {
  const { handle } = SeqlockCell.create(options);
  const seed = newSeed();
  const writes = 100_000;
  const written = new SharedArrayBuffer(4);
  const threads = [start({ role: 'write', handle, seed, count: writes, written })];
  for (let i = 0; i < 2; i++) {
    threads.push(start({ role: 'read', handle, seed, count: 1_000, written }));
  }
  const reader = SeqlockCell.reader(handle);
  const into = valuesOf(handle);
  let isOver = false;
  const looking = (async () => {
    for (; !isOver; await new Promise((resolve) => setImmediate(resolve))) {
      for (let i = 0; i < 500; i++) if (reader.tryRead(into)) checked(handle, into);
    }
  })();
  try {
    await Promise.all(threads.map(({ ended }) => ended));
  } finally {
    isOver = true;
    for (const { worker } of threads) await worker.terminate();
  }
  await looking;
  assert.ok(reader.read(into), `seed ${seed}`);
  assert.equal(checked(handle, into), writes, `seed ${seed}`);
}

/** Until the cell was found torn `wanted` times; a thread is ended wherever it is. */
async function endWriters(options: SeqlockCellOptions<ItemKind>, wanted: number): Promise<void> {
  const cell = SeqlockCell.create(options);
  const { handle } = cell;
  const reader = SeqlockCell.reader(handle);
  const into = valuesOf(handle);
  let torn = 0;
  for (let round = 0; torn < wanted; round++) {
    assert.ok(round < 1_000, 'a writer is nearly always in the middle of a write');
    const written = new SharedArrayBuffer(4);
    const done = new Int32Array(written);
    const job = { role: 'write', handle, seed: newSeed(), count: 0, written } as const;
    const { worker, ended } = start(job);
    const enough = 20;
    // Not so many records read: on one CPU we run while it sleeps in the middle of the next.
    while (Atomics.load(done, 0) < enough) {
      if (reader.tryRead(into)) checked(handle, into);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await worker.terminate();
    await ended;
    assert.equal(cell.writerState(), 'held', 'it died in office');
    assert.ok(cell.abandonWriter());
    assert.equal(reader.read(into), !cell.isTorn());
    if (cell.isTorn()) torn++;
    else checked(handle, into);
  }
}

if (!isMainThread && workerData !== null) {
  const job = workerData as Job;
  if (job.role === 'write') writeAll(job);
  else readAll(job);
} else {
  for (const options of CELLS) {
    test(`${options.length} values of ${options.item}: readers see whole records`, async () => {
      await readersSeeWhole(options);
    });
  }

  test('a writer that is ended in the middle: seen, and repaired by the next', async () => {
    await endWriters({ length: 40, item: 'float64' }, 1);
  });
}
