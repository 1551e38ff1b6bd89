import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { Doorbell } from './doorbell.ts';
import { NO_SLOT, SpscRing, type SpscRingHandle } from './spsc-ring.ts';

const NEAR_WRAP = [0, 0x7fff_fff0, 0xffff_fff0];

function push(ring: SpscRing, value: number): boolean {
  const slot = ring.claim();
  if (slot === NO_SLOT) return false;
  ring.words[slot] = value;
  ring.words[slot + 1] = ~value;
  ring.commit();
  return true;
}

function pop(ring: SpscRing): number | null {
  const slot = ring.peek();
  if (slot === NO_SLOT) return null;
  const value = ring.words[slot]!;
  assert.equal(ring.words[slot + 1], ~value, 'both words of a slot belong together');
  ring.release();
  return value;
}

interface StressData {
  readonly handle: SpscRingHandle;
  readonly bell: SharedArrayBuffer;
  readonly count: number;
  readonly seed: number;
}

/** The writer of the stress test, in a thread of its own. */
function writeAll({ handle, bell, count, seed }: StressData): void {
  const ring = new SpscRing(handle);
  const doorbell = new Doorbell(bell);
  const prng = new Prng(seed);
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let value = 0; value < count; ) {
    if (push(ring, value)) {
      value++;
      doorbell.ring();
      if (prng.chance(0.0005)) Atomics.wait(nap, 0, 0, prng.unit());
    }
  }
  parentPort!.postMessage('done');
}

if (!isMainThread && workerData !== null) {
  writeAll(workerData as StressData);
} else {
  test('full and empty are answers, at every start near the wraps', () => {
    for (const start of NEAR_WRAP) {
      const ring = SpscRing.create(8, 2, start);
      assert.equal(ring.peek(), NO_SLOT);
      for (let value = 0; value < 8; value++) assert.ok(push(ring, value));
      assert.equal(ring.claim(), NO_SLOT);
      assert.equal(ring.used(), 8);
      for (let value = 0; value < 8; value++) assert.equal(pop(ring), value);
      assert.equal(ring.peek(), NO_SLOT);
      assert.equal(ring.used(), 0);
    }
  });

  test('a claim without commit shows nothing and can be taken again', () => {
    const ring = SpscRing.create(2, 2, 0xffff_ffff);
    const slot = ring.claim();
    assert.equal(ring.peek(), NO_SLOT);
    assert.equal(ring.claim(), slot);
    assert.ok(push(ring, 5));
    const peeked = ring.peek();
    assert.equal(ring.peek(), peeked, 'a peek gives nothing back');
    assert.equal(pop(ring), 5);
  });

  test('a random walk against a plain queue', () => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    const prng = new Prng(seed);
    for (const start of NEAR_WRAP) {
      const ring = SpscRing.create(16, 2, start);
      const model: number[] = [];
      for (let step = 0; step < 5_000; step++) {
        if (prng.chance(0.5)) {
          const pushed = push(ring, step);
          assert.equal(pushed, model.length < 16, `seed ${seed}`);
          if (pushed) model.push(step);
        } else assert.equal(pop(ring), model.shift() ?? null, `seed ${seed}`);
        assert.equal(ring.used(), model.length, `seed ${seed}`);
      }
    }
  });

  test('a capacity that is no power of two is refused', () => {
    assert.throws(() => SpscRing.create(6, 2), { code: 'MR_ASSERT' });
  });

  test('two threads: every value once, in order, across the wrap, a sleeping reader', async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const ring = SpscRing.create(64, 2, 0xffff_ff00);
    const bell = new Doorbell();
    const count = 500_000;
    const data: StressData = { handle: ring.handle, bell: bell.buffer, count, seed };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    const ended = new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
    let next = 0;
    const hasWork = (): boolean => ring.used() > 0;
    let lateWakes = 0;
    while (next < count) {
      const value = pop(ring);
      if (value === null) {
        // Atomics.wait on the main thread is allowed in Node.js.
        const beganMs = performance.now();
        bell.wait(5_000, hasWork);
        if (performance.now() - beganMs > 4_900) lateWakes++;
        assert.ok(lateWakes < 2, 'a lost wake-up');
        continue;
      }
      assert.equal(value, next);
      next++;
    }
    await ended;
    assert.equal(pop(ring), null);
  });

  test('the bell costs nothing while nobody sleeps, and work seen late is no sleep', () => {
    const bell = new Doorbell();
    const words = new Int32Array(bell.buffer);
    bell.ring();
    assert.equal(words[0], 0, 'no ring is noted without a sleeper');
    const beganMs = performance.now();
    bell.wait(60_000, () => true);
    assert.ok(performance.now() - beganMs < 30_000);
    // Rung between the look for work and the sleep: the sleep ends at once.
    bell.wait(60_000, () => {
      bell.ring();
      return false;
    });
    assert.ok(performance.now() - beganMs < 30_000);
    assert.equal(words[1], 0, 'awake again');
  });
}
