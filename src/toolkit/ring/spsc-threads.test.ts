/**
 * SpscRing between two threads: every item once, in order, with its checksum; a sleeping reader;
 * and threads that are ended in the middle of a call.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { type IdleHandle, IdleStrategy } from './idle-strategy.ts';
import type { ItemKind, SpscRingHandle } from './spsc-handle.ts';
import { SpscRing, type SpscRingOptions } from './spsc-ring.ts';
import { type StartedThread, startThread } from './threads.test-data.ts';

interface Job {
  readonly role: 'write' | 'read';
  readonly handle: SpscRingHandle<ItemKind>;
  readonly idle: IdleHandle;
  /** Items [from, to). */
  readonly from: number;
  readonly to: number;
  readonly seed: number;
  /** One int32: items that the reader has seen. */
  readonly seen: SharedArrayBuffer;
}

const nap = new Int32Array(new SharedArrayBuffer(4));

function batchOf(item: ItemKind, length: number): Int32Array | Float64Array {
  return item === 'int32' ? new Int32Array(length) : new Float64Array(length);
}

/** Pushes the items by every method. */
function writeAll({ handle, idle, from, to, seed }: Job): void {
  const producer = SpscRing.producer(handle);
  const waker = IdleStrategy.waker(idle);
  const prng = new Prng(seed);
  const batch = batchOf(handle.item, 200);
  for (let value = from; value < to; ) {
    const kind = prng.below(16);
    const count = Math.min(1 + prng.below(200), to - value);
    if (kind < 12) {
      for (let i = 0; i < count && producer.tryPush(value); i++) value++;
    } else if (kind < 14) {
      for (let i = 0; i < count; i++) batch[i] = value + i;
      value += producer.pushBatch(batch, 0, count);
    } else if (kind < 15) {
      const view = producer.claimView(count);
      if (view === null) continue;
      for (let i = 0; i < view.length; i++) view[i] = value + i;
      producer.commit();
      value += view.length;
    } else producer.flush();
    waker.wake();
    if (prng.chance(0.001)) Atomics.wait(nap, 0, 0, prng.unit());
  }
  producer.close();
  waker.wake();
}

/** Pops by every method and tells `see` each item, until the writer has closed. */
function readAll(job: Job, see: (value: number) => void, mayEnd: boolean): void {
  const consumer = SpscRing.consumer(job.handle);
  const sleeper = IdleStrategy.sleeper(job.idle);
  const prng = new Prng(job.seed + 1);
  const batch = batchOf(job.handle.item, 200);
  const hasWork = (): boolean => !consumer.isEmpty() || consumer.isPeerGone();
  for (;;) {
    const isOver = mayEnd && consumer.isPeerGone();
    const kind = prng.below(4);
    const limit = 1 + prng.below(200);
    let got = 0;
    if (kind < 2) {
      for (let value = consumer.tryPop(-1); value >= 0; value = consumer.tryPop(-1)) {
        see(value);
        if (++got === limit) break;
      }
    } else if (kind < 3) {
      got = consumer.popBatch(batch, 0, limit);
      for (let i = 0; i < got; i++) see(batch[i]!);
    } else {
      const view = consumer.peekView(limit);
      got = view?.length ?? 0;
      for (let i = 0; i < got; i++) see(view![i]!);
      if (got > 0) consumer.release();
    }
    if (got > 0) continue;
    if (isOver && consumer.isEmpty()) return;
    if (prng.chance(0.5)) sleeper.park(5, hasWork);
  }
}

/** A reader that notes how far it came, for those who look after its death. */
function readForEver(job: Job): void {
  const seen = new Int32Array(job.seen);
  readAll(job, (value) => Atomics.store(seen, 0, value + 1), false);
}

function makeJob(options: SpscRingOptions<ItemKind>, role: Job['role'], to: number): Job {
  const { handle } = SpscRing.create(options);
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const idle = IdleStrategy.create().handle;
  return { role, handle, idle, from: 0, to, seed, seen: new SharedArrayBuffer(4) };
}

const start = (job: Job): StartedThread => startThread(import.meta.url, job);

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const RINGS: readonly SpscRingOptions<ItemKind>[] = [
  { capacity: 1, backend: 'atomics' },
  { capacity: 1, backend: 'wasm', item: 'float64' },
  { capacity: 2, backend: 'atomics', publishEvery: 2, item: 'float64' },
  { capacity: 2, backend: 'wasm' },
  { capacity: 1024, backend: 'atomics', publishEvery: 1 },
  { capacity: 1024, backend: 'wasm', publishEvery: 1, item: 'float64' },
  { capacity: 4096, backend: 'auto', publishEvery: 64 },
  { capacity: 4096, backend: 'wasm', publishEvery: 64 },
];

async function passAll(options: SpscRingOptions<ItemKind>, count: number): Promise<void> {
  const job = makeJob({ startSeq: 0xffff_ff00, ...options }, 'write', count);
  const { ended } = start(job);
  let next = 0;
  let sum = 0;
  readAll(
    job,
    (value) => {
      if (value !== next) assert.equal(value, next, `seed ${job.seed}`);
      next++;
      sum += value;
    },
    true,
  );
  await ended;
  assert.equal(next, count, `seed ${job.seed}`);
  assert.equal(sum, (count * (count - 1)) / 2, `seed ${job.seed}`);
}

/**
 * Ends a writer again and again; the main thread takes over, drains, and hands over to the next.
 */
async function endWriters(options: SpscRingOptions<ItemKind>, rounds: number): Promise<void> {
  const job = makeJob({ startSeq: 0x7fff_ff00, ...options }, 'write', 2 ** 31 - 1);
  const ring = new SpscRing(job.handle);
  const consumer = SpscRing.consumer(job.handle);
  const prng = new Prng(job.seed);
  let next = 0;
  const drain = (): void => {
    for (let value = consumer.tryPop(-1); value >= 0; value = consumer.tryPop(-1)) {
      if (value !== next) assert.equal(value, next, `seed ${job.seed}`);
      next++;
    }
  };
  for (let round = 0; round < rounds; round++) {
    const { worker, ended } = start({ ...job, from: next, seed: job.seed + round });
    const enough = next + 1000 + prng.below(5_000);
    let isOver = false;
    const reading = (async (): Promise<void> => {
      while (!isOver) {
        for (let i = 0; i < 50; i++) drain();
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await until(() => next > enough);
    assert.ok(!consumer.isPeerGone());
    await worker.terminate();
    await ended;
    isOver = true;
    await reading;
    assert.ok(ring.abandonProducer(), 'it died in office');
    assert.ok(consumer.isPeerGone());
    const successor = SpscRing.producer(job.handle);
    drain();
    assert.equal(ring.used(), 0, 'nothing is left behind');
    successor.close();
  }
}

/** Ends a reader again and again; its successor goes on with the next item. */
async function endReaders(options: SpscRingOptions<ItemKind>, rounds: number): Promise<void> {
  const job = makeJob({ startSeq: 0xffff_ff00, ...options }, 'read', 0);
  const ring = new SpscRing(job.handle);
  const producer = SpscRing.producer(job.handle);
  const seen = new Int32Array(job.seen);
  const strategy = new IdleStrategy(job.idle);
  const waker = IdleStrategy.waker(job.idle);
  let pushed = 0;
  for (let round = 0; round < rounds; round++) {
    const { worker, ended } = start({ ...job, seed: job.seed + round });
    const enough = Atomics.load(seen, 0) + 5_000;
    await until(() => {
      for (let i = 0; i < 5000 && producer.tryPush(pushed); i++) pushed++;
      producer.flush();
      waker.wake();
      return Atomics.load(seen, 0) > enough;
    });
    await worker.terminate();
    await ended;
    assert.ok(ring.abandonConsumer(), 'it died in office');
    assert.ok(strategy.abandonSleeper());
    assert.ok(producer.isPeerGone());
    const successor = SpscRing.consumer(job.handle);
    const noted = Atomics.load(seen, 0);
    if (producer.tryPush(pushed)) pushed++;
    producer.flush();
    const value = successor.tryPop(-1);
    // A batch that was popped and not noted yet died with its thread; no item comes twice, but the
    // slots of a peek that was not released.
    assert.ok(value >= noted - 200 && value <= noted + 200, `${value} after ${noted}`);
    let next = value + 1;
    for (let more = successor.tryPop(-1); more >= 0; more = successor.tryPop(-1)) {
      assert.equal(more, next++);
    }
    assert.equal(next, pushed, 'to the last one');
    successor.close();
  }
}

if (!isMainThread && workerData !== null) {
  const job = workerData as Job;
  if (job.role === 'write') writeAll(job);
  else readForEver(job);
} else {
  for (const options of RINGS) {
    const { capacity, backend, publishEvery = 1, item = 'int32' } = options;
    const count = capacity < 1024 ? 5_000 : 500_000;
    test(`${capacity} slots of ${item}, ${backend}, published every ${publishEvery}`, async () => {
      await passAll(options, count);
    });
  }

  test('a writer that is ended at any moment: what it pushed is there, once', async () => {
    for (const backend of ['atomics', 'wasm'] as const) {
      await endWriters({ capacity: 256, backend, publishEvery: 7 }, 2);
    }
  });

  test('a reader that is ended at any moment: its successor goes on', async () => {
    for (const backend of ['atomics', 'wasm'] as const) {
      await endReaders({ capacity: 256, backend, publishEvery: 7 }, 2);
    }
  });
}
