/**
 * Broadcast ring between threads: readers in workers, the writer here. Each slot refers to a page
 * of shared words, filled with the slot's stamp; one that is given back is filled with another.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import type { BroadcastRingHandle } from './broadcast-handle.ts';
import { READ_EVICTED, READ_OK } from './broadcast-kernel.ts';
import { BroadcastRing } from './broadcast-ring.ts';
import type { BroadcastWriter } from './broadcast-writer.ts';

const SLOT_WORDS = 4;
const PAGE_WORDS = 256;
const LAST = -7;
/** Looks in vain before a thread lets others run: there are more threads than CPUs. */
const IDLE_TRIES = 200;
/** Slots, many laps of the ring, behind which an impatient writer lets every reader look. */
const SLOTS_A_LOOK = 1000;

interface ReaderData {
  readonly handle: BroadcastRingHandle;
  readonly reader: number;
  readonly pages: SharedArrayBuffer;
  /** A word per reader: how often it has looked. */
  readonly looks: SharedArrayBuffer;
  readonly seed: number;
  /** Share of slots that the reader holds for a while. */
  readonly lazy: number;
}

interface ReaderResult {
  readonly seen: number;
  readonly evicted: number;
  readonly gaps: number;
  readonly first: number;
  readonly last: number;
}

function assertPage(words: Int32Array, page: number, stamp: number): void {
  const at = page * PAGE_WORDS;
  for (let i = 0; i < PAGE_WORDS; i++) {
    if (words[at + i] !== stamp) {
      throw new Error(`page ${page} of stamp ${stamp} holds ${words[at + i]} at ${i}`);
    }
  }
}

function readAll({ handle, reader, pages, looks, seed, lazy }: ReaderData): ReaderResult {
  const looked = new Int32Array(looks);
  const ring = BroadcastRing.reader(handle, reader);
  const words = new Int32Array(pages);
  const nap = new Int32Array(new SharedArrayBuffer(4));
  const prng = new Prng(seed);
  const result = { seen: 0, evicted: 0, gaps: 0, first: -1, last: -1 };
  let idle = 0;
  ring.join();
  while (!ring.joined) Atomics.wait(nap, 0, 0, 1);
  parentPort!.postMessage('joined');
  for (;;) {
    Atomics.add(looked, reader, 1);
    const answer = ring.tryRead();
    if (answer === READ_EVICTED) {
      result.evicted++;
      // A place may be granted and lost again between two looks.
      for (; !ring.joined; Atomics.wait(nap, 0, 0, 0.05)) ring.join();
    }
    if (answer !== READ_OK) {
      if (idle++ > IDLE_TRIES) Atomics.wait(nap, 0, 0, 0.05);
      continue;
    }
    idle = 0;
    const [page, stamp, inverse] = ring.slot as unknown as [number, number, number];
    if (inverse !== ~stamp) throw new Error(`a torn copy: ${stamp} ${inverse}`);
    if (stamp === LAST) {
      ring.finish();
      ring.close();
      return result;
    }
    assertPage(words, page, stamp);
    if (prng.chance(lazy)) Atomics.wait(nap, 0, 0, prng.unit());
    assertPage(words, page, stamp);
    if (stamp <= result.last) throw new Error(`${stamp} after ${result.last}`);
    if (result.last >= 0 && stamp !== result.last + 1) result.gaps++;
    if (result.first < 0) result.first = stamp;
    result.last = stamp;
    result.seen++;
    ring.finish();
  }
}

/** Publishes `count` slots; `isPatient` waits for readers instead of evicting them. */
class Publisher {
  readonly writer: BroadcastWriter;
  readonly #words: Int32Array;
  readonly #free: number[];
  readonly released: Uint8Array;
  readonly #patient: boolean;
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  readonly #pageCount: number;

  constructor(
    handle: BroadcastRingHandle,
    pages: SharedArrayBuffer,
    count: number,
    patient: boolean,
  ) {
    this.#words = new Int32Array(pages);
    this.#pageCount = this.#words.length / PAGE_WORDS;
    this.#free = Array.from({ length: this.#pageCount }, (_, page) => page);
    this.released = new Uint8Array(count);
    this.#patient = patient;
    const release = (words: Int32Array, index: number): void => {
      const page = words[index]!;
      const stamp = words[index + 1]!;
      if (stamp >= 0) this.released[stamp]!++;
      this.#words.fill(-1, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
      this.#free.push(page);
    };
    this.writer = BroadcastRing.writer(handle, { release });
  }

  get freeCount(): number {
    return this.#free.length;
  }

  publish(stamp: number): void {
    if (this.#patient) {
      for (let tries = 0; this.writer.unreleased >= this.#pageCount - 1; tries++) {
        if (tries > IDLE_TRIES) Atomics.wait(this.#nap, 0, 0, 0.05);
        this.writer.poll();
      }
    }
    this.writer.poll();
    while (this.#free.length === 0) {
      if (!this.#patient) this.writer.evictSlowest();
      this.writer.poll();
    }
    const page = this.#free.shift()!;
    this.#words.fill(stamp, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
    const at = this.writer.claim();
    const { words } = this.writer;
    Atomics.store(words, at, page);
    Atomics.store(words, at + 1, stamp);
    Atomics.store(words, at + 2, ~stamp);
    this.writer.publish();
  }
}

/** Until every reader has looked twice more: one look may have begun before. */
async function allLook(
  looks: SharedArrayBuffer,
  writer: BroadcastWriter,
  check: () => void,
): Promise<void> {
  const looked = new Int32Array(looks);
  const before = Array.from(looked, (_, reader) => Atomics.load(looked, reader));
  while (before.some((count, reader) => ((Atomics.load(looked, reader) - count) | 0) < 2)) {
    writer.poll();
    await new Promise((resolve) => setImmediate(resolve));
    check();
  }
}

async function run(seed: number, lazy: readonly number[], count: number, patient: boolean) {
  // Patient: fewer pages than slots, so that the pages bound the lag and nobody is lapped.
  const pageCount = patient ? 24 : 40;
  const { handle } = BroadcastRing.create({
    capacity: 32,
    slotWords: SLOT_WORDS,
    readerCount: lazy.length,
    startSeq: 0xffff_fff0,
  });
  const pages = new SharedArrayBuffer(pageCount * PAGE_WORDS * 4);
  const looks = new SharedArrayBuffer(4 * lazy.length);
  const publisher = new Publisher(handle, pages, count, patient);
  const results: ReaderResult[] = [];
  let joined = 0;
  let failure: Error | null = null;
  lazy.forEach((share, reader) => {
    const data: ReaderData = { handle, reader, pages, looks, seed: seed + reader, lazy: share };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    worker.on('message', (message: ReaderResult | 'joined') => {
      if (message === 'joined') joined++;
      else results[reader] = message;
    });
    worker.on('error', (error) => {
      failure = error as Error;
    });
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const check = (): void => {
    if (failure !== null) throw failure;
  };
  while (joined < lazy.length) {
    publisher.writer.poll();
    await turn();
    check();
  }
  const prng = new Prng(seed);
  for (let stamp = 0; stamp < count; stamp++) {
    publisher.publish(stamp);
    // However few CPUs there are: a reader that never runs cannot be evicted a second time.
    if (!patient && stamp % SLOTS_A_LOOK === 0) await allLook(looks, publisher.writer, check);
    if (prng.chance(0.01)) {
      await turn();
      check();
    }
  }
  while (Object.keys(results).length < lazy.length) {
    publisher.publish(LAST);
    for (let i = 0; i < 20; i++) await turn();
    check();
  }
  publisher.writer.poll();
  assert.equal(publisher.writer.unreleased, 0);
  assert.equal(publisher.freeCount, pageCount, 'every page comes back');
  assert.ok(
    publisher.released.every((times) => times === 1),
    'every slot is released once',
  );
  return results;
}

if (!isMainThread && workerData !== null) {
  parentPort!.postMessage(readAll(workerData as ReaderData));
} else {
  test('readers that keep up see every slot once and in order', async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const count = 30_000;
    for (const result of await run(seed, [0, 0.0005], count, true)) {
      assert.deepEqual(result, { seen: count, evicted: 0, gaps: 0, first: 0, last: count - 1 });
    }
  });

  test('readers that are lapped learn it, and what they hold is never touched', async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const results = await run(seed, [0, 0.05, 0.5], 40_000, false);
    for (const result of results) {
      assert.ok(result.gaps <= result.evicted, 'nothing is missed without an eviction');
      assert.ok(result.seen > 10);
    }
    assert.ok(results.some((result) => result.evicted > 10));
  });
}
