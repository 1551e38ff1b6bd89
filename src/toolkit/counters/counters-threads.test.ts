/**
 * Counters between threads: two writers that publish without a pause, or lose their CPU in the
 * middle, and a reader to whom every snapshot must be of one publish; and a writer that is ended.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { type StartedThread, startThread } from '../ring/threads.test-data.ts';
import { CounterReader, TAKE_MOMENT, TAKE_STALE } from './counter-reader.ts';
import { type CounterHandle, Counters } from './index.ts';

/**
 * a + b = c, square = c * c, in every published set; `turns` counts them. `seen`: turns of the
 * other writer that had been published when this one's turn began.
 */
const NAMES = ['a', 'seen', 'b', 'turns', 'square', 'c'] as const;
type Name = (typeof NAMES)[number];

interface Job {
  readonly handle: CounterHandle<Name>;
  readonly writer: number;
  /** One int32 for each writer: turns published, stored after the publish. */
  readonly published: SharedArrayBuffer;
  readonly stop: SharedArrayBuffer;
}

const TURNS_INDEX = NAMES.indexOf('turns');
const SEEN_INDEX = NAMES.indexOf('seen');

function write({ handle, writer, published, stop }: Job): void {
  const counters = Counters.writer(handle, writer);
  const done = new Int32Array(published);
  const stopped = new Int32Array(stop);
  const { values } = counters;
  const [a, b, c] = [counters.index('a'), counters.index('b'), counters.index('c')];
  const square = counters.index('square');
  for (let turn = done[writer]! + 1; Atomics.load(stopped, 0) === 0; turn++) {
    values[SEEN_INDEX] = Atomics.load(done, done.length - 1 - writer);
    values[TURNS_INDEX]! += 1;
    values[a]! += turn & 7;
    values[b]! += (turn * 40_503) & 0xff;
    values[c] = values[a]! + values[b]!;
    values[square] = values[c]! * values[c]!;
    counters.publish();
    Atomics.store(done, writer, turn);
    // Now and then a pause, so that readers also find all of them still.
    if ((turn & 0xfff) === 0) Atomics.wait(stopped, 0, 0, 1);
  }
  counters.close();
}

const start = (job: Job): StartedThread => startThread(import.meta.url, job);

function check(values: Float64Array, least: number): number {
  const [a, , b, turns, square, c] = values as unknown as number[];
  assert.equal(a! + b!, c, 'counters of two publishes');
  assert.equal(c! * c!, square, 'counters of two publishes');
  assert.ok(turns! >= least, 'time goes forward');
  return turns!;
}

async function readTwoWriters(backend: 'atomics' | 'wasm', ms: number): Promise<void> {
  const counters = Counters.create(NAMES, { writerCount: 2, backend, startVersion: 2 ** 32 - 1e4 });
  const reader = new CounterReader([counters.handle]);
  const published = new SharedArrayBuffer(8);
  const stop = new SharedArrayBuffer(4);
  const jobs = [0, 1].map((writer) => ({ handle: counters.handle, writer, published, stop }));
  const runs = jobs.map(start);
  const done = new Int32Array(published);
  const least = [0, 0];
  const found = [0, 0, 0];
  const endMs = performance.now() + ms;
  // Both writers may stand in the midst of a publish for as long as the scheduler likes.
  const isMissing = (): boolean => found[TAKE_MOMENT] === 0 && performance.now() < endMs + 60_000;
  while (performance.now() < endMs || isMissing()) {
    for (let i = 0; i < 200; i++) {
      const before = [Atomics.load(done, 0), Atomics.load(done, 1)] as const;
      const took = reader.take();
      found[took]!++;
      for (const writer of [0, 1]) {
        least[writer] = check(reader.values(0, writer), least[writer]!);
        if (took !== TAKE_STALE) assert.ok(least[writer]! >= before[writer]!, 'a late snapshot');
      }
      const [first, second] = [reader.values(0, 0), reader.values(0, 1)];
      assert.ok(first[SEEN_INDEX]! <= second[TURNS_INDEX]!, 'copied in the order of the slabs');
      const isOrdered = second[SEEN_INDEX]! <= first[TURNS_INDEX]!;
      assert.ok(isOrdered || took !== TAKE_MOMENT, 'a moment that never was');
    }
    await sleep(1);
  }
  Atomics.store(new Int32Array(stop), 0, 1);
  Atomics.notify(new Int32Array(stop), 0);
  await Promise.all(runs.map(async ({ ended }) => await ended));
  assert.equal(reader.take(), TAKE_MOMENT);
  assert.equal(counters.snapshot().turns, done[0]! + done[1]!, 'to the last one');
  assert.ok(found[TAKE_MOMENT]! > 0, `${found.join(' / ')} stale, whole, of one moment`);
}

/**
 * Ends the writer again and again; nothing that it published is lost, and its successor goes on.
 */
async function endWriters(backend: 'atomics' | 'wasm', rounds: number): Promise<void> {
  const counters = Counters.create(NAMES, { backend });
  const published = new SharedArrayBuffer(4);
  const done = new Int32Array(published);
  const seed = Date.now();
  const prng = new Prng(seed);
  for (let round = 0; round < rounds; round++) {
    const before = Atomics.load(done, 0);
    const stop = new SharedArrayBuffer(4);
    const { worker, ended } = start({ handle: counters.handle, writer: 0, published, stop });
    while (Atomics.load(done, 0) < before + 1_000 + prng.below(5_000)) await sleep(1);
    await worker.terminate();
    await ended;
    assert.ok(counters.abandonWriter(), 'it died in office');
    const { turns } = counters.snapshot();
    assert.ok(turns >= Atomics.load(done, 0), `${turns}, seed ${seed}`);
    assert.ok(turns <= Atomics.load(done, 0) + 1 + round, `${turns}, seed ${seed}`);
    // The last turn may have been a half one: its group is put in order, as a supervisor does.
    const heir = Counters.writer(counters.handle);
    assert.equal(heir.get('turns'), turns);
    heir.set('c', heir.get('a') + heir.get('b'));
    heir.set('square', heir.get('c') ** 2);
    heir.close();
    check(counters.snapshotOf(0), turns);
  }
}

if (!isMainThread && workerData !== null) {
  write(workerData as Job);
} else {
  for (const backend of ['atomics', 'wasm'] as const) {
    test(`two writers without a pause: every snapshot is of one publish (${backend})`, async () => {
      await readTwoWriters(backend, 700);
    });

    test(`a writer that is ended at any moment leaves what it counted (${backend})`, async () => {
      await endWriters(backend, 3);
    });
  }
}
