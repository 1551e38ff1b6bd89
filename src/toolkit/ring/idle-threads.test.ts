/**
 * IdleStrategy between threads: no wake-up is ever missed, sleepers that are ended asleep, wakers
 * of an event loop, and more threads than CPUs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import type { IdleSleeper } from './idle-sleeper.ts';
import { type IdleHandle, type IdleOptions, IdleStrategy } from './idle-strategy.ts';
import type { IdleWaker } from './idle-waker.ts';
import type { SpscConsumer } from './spsc-consumer.ts';
import type { SpscRingHandle } from './spsc-handle.ts';
import type { SpscProducer } from './spsc-producer.ts';
import { SpscRing } from './spsc-ring.ts';
import { newSeed, type StartedThread, startThread } from './threads.test-data.ts';

/** How a thread waits for the next item. */
type Way = 'park' | 'idle' | 'async';

interface Job {
  readonly role: 'play' | 'stream-out' | 'stream-in' | 'sleep' | 'sleep-async';
  readonly way: Way;
  /** This thread sleeps on `idle`, and wakes `peer`. */
  readonly idle: IdleHandle;
  readonly peer: IdleHandle;
  readonly rings: { readonly out: SpscRingHandle; readonly in: SpscRingHandle } | null;
  readonly count: number;
  readonly begins: boolean;
  readonly seed: number;
}

/** A wake-up that was missed shows as a sleep of this length; no machine stops for so long. */
const LOST_MS = 20_000;
/** A process that starts, waits for 20 ms and ends; on a machine with other things to do. */
const RUN_MS_MAX = 120_000;
const never = (): boolean => false;

interface Player {
  readonly sleeper: IdleSleeper;
  readonly waker: IdleWaker;
  readonly producer: SpscProducer;
  readonly consumer: SpscConsumer;
  readonly prng: Prng;
  readonly way: Way;
}

function playerOf({ idle, peer, rings, seed, way }: Job): Player {
  return {
    sleeper: IdleStrategy.sleeper(idle),
    waker: IdleStrategy.waker(peer),
    producer: SpscRing.producer(rings!.out),
    consumer: SpscRing.consumer(rings!.in),
    prng: new Prng(seed),
    way,
  };
}

/**
 * The next item. Sometimes it looks again and again first, so that the peer's answer comes at any
 * moment of going to sleep.
 */
async function take({ sleeper, consumer, prng, way }: Player): Promise<number> {
  const hasWork = (): boolean => !consumer.isEmpty();
  let looks = prng.chance(0.5) ? 0 : prng.below(200);
  for (;;) {
    const value = consumer.tryPop(-1);
    if (way === 'idle') sleeper.idle(value >= 0 ? 1 : 0);
    if (value >= 0) return value;
    if (looks-- > 0 || way === 'idle') continue;
    const isWoken =
      way === 'park' ? sleeper.park(LOST_MS, hasWork) : await sleeper.waitAsync(LOST_MS, hasWork);
    assert.ok(isWoken, 'a wake-up was missed');
  }
}

/**
 * Two threads and one item that goes to and fro: nothing else happens that could make up for a
 * wake-up that was missed.
 */
async function play(job: Job): Promise<void> {
  const player = playerOf(job);
  const { producer, waker, prng } = player;
  for (let round = 0; round < job.count; round++) {
    if (!job.begins || round > 0) {
      const beganMs = performance.now();
      const wanted = job.begins ? round - 1 : round;
      assert.equal(await take(player), wanted, `seed ${job.seed}`);
      assert.ok(performance.now() - beganMs < LOST_MS, 'a wake-up was missed');
    }
    for (let delay = prng.below(300); delay > 0; delay--) prng.nextU32();
    assert.ok(producer.tryPush(round));
    waker.wake();
  }
  player.sleeper.close();
}

/** Pushes as fast as there is room; the peer makes room, and wakes. */
function streamOut(job: Job): void {
  const { sleeper, waker, producer } = playerOf(job);
  for (let value = 0; value < job.count; ) {
    const isPushed = producer.tryPush(value);
    if (isPushed) value++;
    sleeper.idle(isPushed ? 1 : 0);
    waker.wake();
  }
  sleeper.close();
}

function streamIn(job: Job): void {
  const { sleeper, waker, consumer } = playerOf(job);
  const batch = new Int32Array(64);
  for (let next = 0; next < job.count; ) {
    const count = consumer.popBatch(batch);
    for (let i = 0; i < count; i++) assert.equal(batch[i], next++);
    sleeper.idle(count);
    waker.wake();
  }
  sleeper.close();
}

const start = (job: Job): StartedThread => startThread(import.meta.url, job);

/** Two jobs over two rings whose sequences wrap soon. */
function makeJobs(options: IdleOptions, capacity: number, count: number): [Job, Job] {
  const startSeq = 2 ** 32 - Math.floor(count / 2);
  const [out, back] = [0, 1].map(() => SpscRing.create({ capacity, startSeq }).handle);
  const [idle, peer] = [0, 1].map(() => IdleStrategy.create(options).handle);
  const first: Job = {
    role: 'play',
    way: 'park',
    idle: idle!,
    peer: peer!,
    rings: { out: out!, in: back! },
    count,
    begins: true,
    seed: newSeed(),
  };
  const rings = { out: back!, in: out! };
  const second: Job = { ...first, idle: peer!, peer: idle!, rings, begins: false, seed: newSeed() };
  return [first, second];
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function sleepsAndDies(role: 'sleep' | 'sleep-async'): Promise<void> {
  const strategy = IdleStrategy.create();
  const waker = IdleStrategy.waker(strategy.handle);
  const [job] = makeJobs({}, 2, 1);
  const { worker, ended } = start({ ...job, role, idle: strategy.handle, rings: null });
  await until(() => strategy.isAsleep());
  await worker.terminate();
  await ended;
  assert.equal(strategy.sleeperState(), 'held', 'it died in office');
  assert.ok(strategy.isAsleep(), 'and asleep');
  assert.ok(waker.wake(), 'its wakers lose nothing but one call');
  assert.ok(!waker.wake());
  assert.ok(strategy.abandonSleeper());
  const second = start({ ...job, role, idle: strategy.handle, rings: null });
  await until(() => strategy.isAsleep());
  // Between the flag and the wait, or in it: it ends.
  assert.ok(waker.wake());
  await second.ended;
  assert.equal(strategy.sleeperState(), 'closed');
}

async function sleepOnce({ idle, role }: Job): Promise<void> {
  const sleeper = IdleStrategy.sleeper(idle);
  if (role === 'sleep') sleeper.park(LOST_MS, never);
  else await sleeper.waitAsync(LOST_MS, never);
  sleeper.close();
}

/** What a process of its own does with `text`, where `sleeper` is one. */
function runAlone(text: string): { status: number | null; stdout: string; stderr: string } {
  const url = new URL('./idle-strategy.js', import.meta.url).href;
  const source = `import { IdleStrategy } from ${JSON.stringify(url)};
    const sleeper = IdleStrategy.sleeper(IdleStrategy.create().handle);
    ${text}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
  });
}

function runTests(): void {
  const options = { spinCount: 20, yieldCount: 0, parkMs: 2 * LOST_MS };

  for (const [way, count] of [
    ['park', 8_000],
    ['idle', 8_000],
    ['async', 2_000],
  ] as const) {
    test(`an item to and fro, ${way}: no wake-up is missed`, async () => {
      const jobs = makeJobs(options, 1, count);
      await Promise.all(jobs.map(async (job) => await start({ ...job, way }).ended));
    });
  }

  for (const kind of ['spin', 'yield', 'park', 'backoff'] as const) {
    test(`more threads than CPUs, ${kind}: everything arrives`, async () => {
      const pairs = Math.ceil(availableParallelism() / 2) + 1;
      const jobs: Job[] = [];
      for (let pair = 0; pair < pairs; pair++) {
        const [out, back] = makeJobs({ kind }, 64, kind === 'spin' ? 5_000 : 50_000);
        jobs.push({ ...out, role: 'stream-out' }, { ...back, role: 'stream-in' });
      }
      await Promise.all(jobs.map(async (job) => await start(job).ended));
    });
  }

  test('a sleeper that is ended asleep: seen, and its successor is woken', async () => {
    await sleepsAndDies('sleep');
    await sleepsAndDies('sleep-async');
  });

  test('a process lives until waitAsync is over, and no longer', () => {
    const awaited = runAlone(
      `process.stdout.write(String(await sleeper.waitAsync(20, () => false)));`,
    );
    assert.deepEqual([awaited.status, awaited.stdout], [0, 'false'], awaited.stderr);
    const closed = runAlone(`
      const waiting = sleeper.waitAsync(2 ** 30, () => false);
      sleeper.close();
      process.stdout.write(String(await waiting));`);
    assert.deepEqual([closed.status, closed.stdout], [0, 'false'], closed.stderr);
  });
}

if (!isMainThread && workerData !== null) {
  const job = workerData as Job;
  if (job.role === 'play') await play(job);
  else if (job.role === 'stream-out') streamOut(job);
  else if (job.role === 'stream-in') streamIn(job);
  else await sleepOnce(job);
} else runTests();
