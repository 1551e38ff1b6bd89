/**
 * BroadcastRing while its threads die: readers and writers are terminated at random moments, the
 * supervisor gives their roles up, others go on. What a slot refers to is released once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import type { BroadcastRingHandle } from './broadcast-handle.ts';
import { BroadcastRing, READ_EVICTED, READ_OK } from './index.ts';

const SLOT_WORDS = 4;
const START = 0xffff_fe00;
const STAMP_COUNT = 2 ** 20;
const READERS = 3;
const DEATHS = 12;
/** Slots that somebody reads before the next one dies. A reader reads a slot once at the most. */
const READS_A_LIFE = 20;

interface ThreadData {
  readonly handle: BroadcastRingHandle;
  /** A reader's index; -1: the writer. */
  readonly reader: number;
  /** A word per slot: how often it was released. */
  readonly releases: SharedArrayBuffer;
  /** A word: slots read by anybody. */
  readonly reads: SharedArrayBuffer;
  readonly seed: number;
}

const nap = new Int32Array(new SharedArrayBuffer(4));

function write({ handle, releases }: ThreadData): void {
  const counts = new Int32Array(releases);
  const release = (words: Int32Array, index: number): void => {
    Atomics.add(counts, words[index]!, 1);
  };
  const writer = BroadcastRing.writer(handle, { release });
  const slot = new Int32Array(SLOT_WORDS);
  parentPort!.postMessage('runs');
  for (;;) {
    const stamp = (writer.nextSeq - START) >>> 0;
    if (stamp < STAMP_COUNT) {
      slot.set([stamp, ~stamp, stamp ^ 0x5555, stamp]);
      writer.push(slot);
    }
    writer.poll();
    if (stamp % 64 === 0 || stamp >= STAMP_COUNT) Atomics.wait(nap, 0, 0, 0.2);
  }
}

function read({ handle, reader, releases, reads, seed }: ThreadData): void {
  const counts = new Int32Array(releases);
  const counted = new Int32Array(reads);
  const prng = new Prng(seed);
  const ring = BroadcastRing.reader(handle, reader);
  let last = ((ring.lostSeq - START) >>> 0) - 1;
  parentPort!.postMessage('runs');
  for (;;) {
    const answer = ring.tryRead();
    if (answer === READ_EVICTED) ring.join();
    if (answer !== READ_OK) {
      Atomics.wait(nap, 0, 0, 0.05);
      continue;
    }
    const [stamp, inverse, mixed] = ring.slot as unknown as [number, number, number];
    if (inverse !== ~stamp || mixed !== (stamp ^ 0x5555)) throw new Error(`torn: ${stamp}`);
    if (stamp <= last) throw new Error(`${stamp} after ${last}`);
    if (prng.chance(0.02)) Atomics.wait(nap, 0, 0, prng.unit());
    if (Atomics.load(counts, stamp) !== 0) throw new Error(`${stamp} is released and in use`);
    last = stamp;
    ring.finish();
    Atomics.add(counted, 0, 1);
  }
}

/** Starts a thread, and again whenever it was killed. */
class Life {
  readonly #data: ThreadData;
  readonly #abandon: () => boolean;
  #worker: Worker | null = null;
  failure: unknown = null;

  constructor(data: ThreadData, abandon: () => boolean) {
    this.#data = data;
    this.#abandon = abandon;
  }

  async start(seed: number): Promise<void> {
    const workerDataNow = { ...this.#data, seed };
    const worker = new Worker(new URL(import.meta.url), { workerData: workerDataNow });
    worker.on('error', (error) => {
      this.failure = error;
    });
    this.#worker = worker;
    await new Promise<void>((resolve) => {
      worker.once('message', () => resolve());
      worker.once('exit', () => resolve());
    });
  }

  async kill(): Promise<void> {
    await this.#worker!.terminate();
    if (this.failure !== null) throw this.failure;
    assert.ok(this.#abandon(), 'it held its role');
  }
}

async function run(t: { diagnostic: (text: string) => void }, killsWriter: boolean): Promise<void> {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  const ring = BroadcastRing.create({
    capacity: 16,
    slotWords: SLOT_WORDS,
    readerCount: READERS,
    startSeq: START,
  });
  const releases = new SharedArrayBuffer(4 * STAMP_COUNT);
  const reads = new SharedArrayBuffer(4);
  const data = { handle: ring.handle, releases, reads, seed };
  const readers = Array.from(
    { length: READERS },
    (_, reader) => new Life({ ...data, reader }, () => ring.abandonReader(reader)),
  );
  const writer = new Life({ ...data, reader: -1 }, () => ring.abandonWriter());
  const all = [writer, ...readers];
  await Promise.all(all.map(async (life, index) => await life.start(seed + index)));
  for (let death = 0; death < DEATHS; death++) {
    const seen = Atomics.load(new Int32Array(reads), 0);
    while (Atomics.load(new Int32Array(reads), 0) < seen + READS_A_LIFE) {
      await sleep(1);
      for (const life of all) if (life.failure !== null) throw life.failure;
    }
    await sleep(prng.below(8));
    const life = killsWriter ? writer : readers[prng.below(READERS)]!;
    await life.kill();
    await life.start(seed + 100 + death);
  }
  for (const life of all) await life.kill();
  const counts = new Int32Array(releases);
  const release = (words: Int32Array, index: number): void => void counts[words[index]!]!++;
  const last = BroadcastRing.writer(ring.handle, { release });
  last.poll();
  assert.equal(last.unreleased, 0);
  const published = (last.nextSeq - START) >>> 0;
  const never = counts.subarray(0, published).filter((count) => count === 0).length;
  assert.ok(published >= (DEATHS * READS_A_LIFE) / READERS, 'what was read was published');
  assert.ok(!counts.some((count) => count > 1), 'nothing is released twice');
  // Each dead writer may have been between the note and the release.
  assert.ok(never <= (killsWriter ? DEATHS + 1 : 1), `${never} were not released`);
  assert.ok(counts.subarray(published).every((count) => count === 0));
}

if (!isMainThread && workerData !== null) {
  const data = workerData as ThreadData;
  if (data.reader < 0) write(data);
  else read(data);
} else {
  test('readers are terminated at random moments', async (t) => await run(t, false));
  test('writers are terminated at random moments', async (t) => await run(t, true));
}
