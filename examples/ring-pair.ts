/**
 * Example: two workers over an SPSC ring, each with a strategy for its idle turns. The ring answers
 * "full" and "empty" and never waits; the strategies wait, and wake each other.
 *
 * node dist/examples/ring-pair.js
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  type IdleHandle,
  IdleStrategy,
  SpscRing,
  type SpscRingHandle,
} from '../src/toolkit/ring/index.ts';

const ITEMS = 1_000_000;
const BATCH = 64;

interface Job {
  readonly role: 'writer' | 'reader';
  readonly ring: SpscRingHandle;
  /** Where this worker sleeps, and where its peer does. */
  readonly idle: IdleHandle;
  readonly peer: IdleHandle;
}

function write({ ring, idle, peer }: Job): void {
  const producer = SpscRing.producer(ring);
  const sleeper = IdleStrategy.sleeper(idle);
  const reader = IdleStrategy.waker(peer);
  const items = new Int32Array(BATCH);
  for (let sent = 0; sent < ITEMS; ) {
    const count = Math.min(BATCH, ITEMS - sent);
    for (let i = 0; i < count; i++) items[i] = sent + i;
    const pushed = producer.pushBatch(items, 0, count);
    sent += pushed;
    reader.wake(); // one atomic load, while the reader is awake
    sleeper.idle(pushed); // 0: the ring is full
  }
  producer.close();
  reader.wake();
}

function read({ ring, idle, peer }: Job): number {
  const consumer = SpscRing.consumer(ring);
  const sleeper = IdleStrategy.sleeper(idle);
  const writer = IdleStrategy.waker(peer);
  const items = new Int32Array(BATCH);
  for (let next = 0; ; ) {
    // In this order: what was pushed before the writer closed is still read.
    const isOver = consumer.isPeerGone();
    const count = consumer.popBatch(items);
    if (count === 0 && isOver) return next;
    for (let i = 0; i < count; i++) if (items[i] !== next++) throw new Error('out of order');
    writer.wake();
    sleeper.idle(count); // 0: the ring is empty
  }
}

async function main(): Promise<void> {
  const ring = SpscRing.create({ capacity: 1024, publishEvery: BATCH }).handle;
  const [a, b] = [IdleStrategy.create().handle, IdleStrategy.create({ kind: 'park' }).handle];
  const beganMs = performance.now();
  const jobs: Job[] = [
    { role: 'writer', ring, idle: a, peer: b },
    { role: 'reader', ring, idle: b, peer: a },
  ];
  const [, reader] = jobs.map((job) => new Worker(new URL(import.meta.url), { workerData: job }));
  const [count] = (await once(reader!, 'message')) as [number];
  const ms = Math.round(performance.now() - beganMs);
  console.log(`${count} items came in order, in ${ms} ms with the start of two workers`);
}

if (isMainThread) await main();
else {
  const job = workerData as Job;
  if (job.role === 'writer') write(job);
  else parentPort!.postMessage(read(job));
}
