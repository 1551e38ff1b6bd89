import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import {
  SpscByteRing,
  type SpscByteRingHandle,
  type SpscByteRingOptions,
} from './spsc-byte-ring.ts';
import { NO_SLOT } from './spsc-handle.ts';
import { type StartedThread, startThread } from './threads.test-data.ts';

const BACKENDS = ['atomics', 'wasm'] as const;
const STARTS = [0, 0x7fff_ffe0, 0xffff_ffe0];

function open(options: SpscByteRingOptions) {
  const ring = SpscByteRing.create(options);
  const producer = SpscByteRing.producer(ring.handle);
  const consumer = SpscByteRing.consumer(ring.handle);
  return { ring, producer, consumer };
}

/** Message n: its length, and each of its bytes, follow from n. */
function lengthOf(n: number, most: number): number {
  return (Math.imul(n, 0x9e37_79b1) >>> 8) % (most + 1);
}

function byteOf(n: number, index: number): number {
  return (n * 7 + index) & 0xff;
}

function fill(bytes: Uint8Array, offset: number, n: number, length: number): void {
  for (let i = 0; i < length; i++) bytes[offset + i] = byteOf(n, i);
}

function check(bytes: Uint8Array, offset: number, length: number, n: number, most: number): void {
  if (length !== lengthOf(n, most)) assert.equal(length, lengthOf(n, most), `length of ${n}`);
  for (let i = 0; i < length; i++) {
    if (bytes[offset + i] !== byteOf(n, i)) assert.fail(`byte ${i} of ${n}`);
  }
}

interface Job {
  readonly handle: SpscByteRingHandle;
  readonly from: number;
  readonly to: number;
  readonly most: number;
}

/** Pushes message after message, by tryPush and by claim. */
function writeAll({ handle, from, to, most }: Job): void {
  const producer = SpscByteRing.producer(handle);
  const message = new Uint8Array(most);
  for (let n = from; n < to; ) {
    const length = lengthOf(n, most);
    if (n % 3 === 0) {
      const offset = producer.claim(length);
      if (offset === NO_SLOT) continue;
      fill(producer.bytes, offset, n, length);
      producer.commit(length, n);
    } else {
      fill(message, 0, n, length);
      if (!producer.tryPush(message, 0, length, n)) continue;
    }
    if (n++ % 1000 === 0) producer.flush();
  }
  producer.close();
}

const start = (job: Job): StartedThread => startThread(import.meta.url, job);

if (!isMainThread && workerData !== null) {
  writeAll(workerData as Job);
} else {
  for (const backend of BACKENDS) {
    test(`${backend}: messages keep bytes, length and type, at every start near the wraps`, () => {
      for (const startSeq of STARTS) {
        const { ring, producer, consumer } = open({ backend, capacityBytes: 64, startSeq });
        const into = new Uint8Array(40);
        assert.equal(consumer.tryPop(into), -1);
        assert.equal(producer.messageBytesMax, 24);
        for (let n = 0; n < 100; n++) {
          const length = n % 25;
          const message = Uint8Array.from({ length: length + 4 }, (_, index) => n + index);
          assert.ok(producer.tryPush(message, 2, 2 + length, n));
          assert.equal(consumer.tryPop(into, 3), length);
          assert.equal(consumer.type, n);
          assert.deepEqual(into.subarray(3, 3 + length), message.subarray(2, 2 + length));
          assert.equal(consumer.peek(), NO_SLOT);
          assert.equal(consumer.length, -1);
        }
        consumer.flush();
        assert.equal(ring.usedBytes(), 0);
      }
    });
    test(`${backend}: a full ring refuses; padding only where it must be`, () => {
      const { ring, producer, consumer } = open({
        backend,
        capacityBytes: 64,
        creditEveryBytes: 1,
      });
      const message = new Uint8Array(16);
      for (let i = 0; i < 2; i++) assert.ok(producer.tryPush(message));
      assert.equal(ring.usedBytes(), 48);
      assert.ok(!producer.tryPush(message), '16 bytes are left, it takes 24');
      assert.ok(producer.tryPush(message, 0, 8), 'exactly what is left');
      assert.ok(!producer.tryPush(message, 0, 0), 'not even a header');
      assert.equal(consumer.tryPop(new Uint8Array(16)), 16);
      assert.equal(producer.claim(16), 8, 'at the start of the array, without padding');
      producer.commit();
      for (let i = 0; i < 3; i++) assert.ok(consumer.tryPop(message) >= 8);
      assert.equal(consumer.peek(), NO_SLOT);
      assert.ok(producer.tryPush(message, 0, 8));
      assert.equal(producer.claim(24), NO_SLOT, 'padding and message together do not fit');
      assert.equal(producer.usedBytes(), 16);
      assert.equal(consumer.tryPop(message), 8);
      assert.equal(producer.claim(24), 8);
      assert.equal(producer.usedBytes(), 24, 'the padding is written');
      assert.equal(consumer.peek(), NO_SLOT, 'and is no message');
      assert.ok(consumer.isEmpty());
      producer.commit(1, 9);
      assert.equal(consumer.peek(), 8);
      assert.deepEqual([consumer.length, consumer.type], [1, 9]);
      consumer.release();
      assert.equal(ring.usedBytes(), 0, 'a message shorter than its claim takes what it needs');
    });

    test(`${backend}: claim, abort and peek show the ring itself, and misuse is asserted`, () => {
      const { producer, consumer } = open({ backend, capacityBytes: 256 });
      const misuse = { code: 'MR_ASSERT' };
      const view = producer.claimView(10)!;
      assert.equal(view.buffer, producer.handle.memory.buffer, 'no copy');
      view.fill(3);
      producer.abort();
      assert.throws(() => producer.commit(), misuse);
      assert.throws(() => producer.commit(0), misuse);
      assert.equal(consumer.peekView(), null);
      assert.throws(() => consumer.release(), misuse);
      producer.claimView(10)!.fill(4);
      assert.throws(() => producer.commit(11), misuse);
      producer.commit(7);
      assert.deepEqual([...consumer.peekView()!], Array(7).fill(4));
      assert.deepEqual([...consumer.peekView()!], Array(7).fill(4), 'a peek may be repeated');
      assert.throws(() => consumer.tryPop(new Uint8Array(6)), misuse);
      consumer.release();
      assert.throws(() => producer.claim(121), misuse);
      assert.throws(() => producer.claim(-1), misuse);
      for (const capacityBytes of [8, 24, 2 ** 31]) {
        assert.throws(() => SpscByteRing.create({ backend, capacityBytes }), misuse);
      }
      assert.throws(() => SpscByteRing.create({ backend, capacityBytes: 64, startSeq: 4 }), misuse);
    });
    test(`${backend}: a batch ends at its limit, the last message, or an error`, () => {
      const { producer, consumer } = open({ backend, capacityBytes: 256, publishEveryBytes: 256 });
      for (let n = 0; n < 5; n++) producer.tryPush(Uint8Array.of(n), 0, 1, n);
      const seen: number[] = [];
      const handler = (bytes: Uint8Array, offset: number, length: number, type: number): void => {
        assert.deepEqual([bytes[offset], length], [type, 1]);
        if (type === 3 && seen.at(-1) === 2) {
          seen.push(-1);
          throw new RangeError('no');
        }
        seen.push(type);
      };
      assert.equal(consumer.popBatch(9, handler), 0, 'nothing is published');
      assert.ok(producer.flush());
      assert.equal(consumer.popBatch(2, handler), 2);
      assert.throws(() => consumer.popBatch(9, handler), RangeError);
      assert.equal(consumer.popBatch(9, handler), 2);
      assert.deepEqual(seen, [0, 1, 2, -1, 3, 4]);
    });

    test(`${backend}: a random walk: every message once, in order`, (t) => {
      const seed = (Math.random() * 2 ** 32) >>> 0;
      t.diagnostic(`seed ${seed}`);
      const prng = new Prng(seed);
      for (const [capacityBytes, every] of [
        [16, 1],
        [64, 1],
        [64, 64],
        [4096, 100],
      ] as const) {
        for (const startSeq of STARTS) {
          const more = { publishEveryBytes: every, creditEveryBytes: every, startSeq };
          const { ring, producer, consumer } = open({ backend, capacityBytes, ...more });
          const most = producer.messageBytesMax;
          let pushed = 0;
          let popped = 0;
          const handler = (bytes: Uint8Array, offset: number, length: number): void => {
            check(bytes, offset, length, popped++, most);
          };
          for (let step = 0; step < 2_000; step++) {
            const kind = prng.below(20);
            if (kind < 10) {
              const length = lengthOf(pushed, most);
              const claimed = prng.chance(0.2) ? most : length;
              const offset = producer.claim(claimed);
              if (offset === NO_SLOT) continue;
              if (prng.chance(0.2)) {
                producer.abort();
                continue;
              }
              fill(producer.bytes, offset, pushed++, length);
              producer.commit(length);
            } else if (kind === 10) producer.flush();
            else if (kind === 11) consumer.flush();
            else consumer.popBatch(prng.below(4), handler);
            assert.ok(producer.usedBytes() <= capacityBytes && popped <= pushed, `seed ${seed}`);
          }
          producer.close();
          assert.ok(consumer.isPeerGone());
          consumer.popBatch(pushed, handler);
          consumer.flush();
          assert.equal(popped, pushed, `seed ${seed}`);
          assert.equal(ring.usedBytes(), 0, `seed ${seed}`);
        }
      }
    });

    for (const capacityBytes of [16, 256, 65_536]) {
      test(`${backend}: threads, ${capacityBytes} bytes: each message once, in order`, async () => {
        const startSeq = 0xffff_f000;
        const options = { backend, capacityBytes, startSeq, publishEveryBytes: capacityBytes / 16 };
        const { handle } = SpscByteRing.create(options);
        const consumer = SpscByteRing.consumer(handle);
        const most = Math.min(500, capacityBytes / 2 - 8);
        const to = capacityBytes < 1000 ? 5_000 : 100_000;
        const { ended } = start({ handle, from: 0, to, most });
        let next = 0;
        while (next < to) {
          consumer.popBatch(100, (bytes, offset, length, type) => {
            assert.equal(type, next);
            check(bytes, offset, length, next++, most);
          });
        }
        await ended;
        assert.ok(consumer.isPeerGone());
        assert.equal(consumer.peek(), NO_SLOT);
      });
    }
    test(`${backend}: a writer ended at any moment: what it committed is there, once`, async () => {
      const most = 100;
      const { handle } = SpscByteRing.create({
        backend,
        capacityBytes: 4096,
        publishEveryBytes: 999,
      });
      const ring = new SpscByteRing(handle);
      const consumer = SpscByteRing.consumer(handle);
      let next = 0;
      const drain = (): number =>
        consumer.popBatch(1000, (bytes, offset, length, type) => {
          assert.equal(type, next);
          check(bytes, offset, length, next++, most);
        });
      for (let round = 0; round < 3; round++) {
        const { worker, ended } = start({ handle, from: next, to: 2 ** 31, most });
        const enough = next + 5_000;
        while (next < enough) {
          drain();
          if (next % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        const terminated = worker.terminate();
        // It goes on writing until the end comes.
        for (let i = 0; i < 100; i++) drain();
        await terminated;
        await ended;
        assert.ok(ring.abandonProducer());
        const successor = SpscByteRing.producer(handle);
        while (drain() > 0);
        successor.close();
        assert.equal(ring.usedBytes(), 0);
      }
    });
  }
}
