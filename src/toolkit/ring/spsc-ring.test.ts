import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { type ItemKind, NO_SLOT, type SlotArrays } from './spsc-handle.ts';
import { SpscRing, type SpscRingOptions } from './spsc-ring.ts';

const STARTS = [0, 0x7fff_fff0, 0xffff_fff0];
const BACKENDS = ['atomics', 'wasm'] as const;
const KINDS = ['int32', 'float64'] as const;

function open<Kind extends ItemKind = 'int32'>(options: SpscRingOptions<Kind>) {
  const ring = SpscRing.create(options);
  const producer = SpscRing.producer(ring.handle);
  const consumer = SpscRing.consumer(ring.handle);
  return { ring, producer, consumer };
}

/** Every mixture of backend, kind of items and start near a wrap. */
function eachRing(
  capacity: number,
  run: (ends: ReturnType<typeof open<ItemKind>>, name: string) => void,
  more: Partial<SpscRingOptions<ItemKind>> = {},
): void {
  for (const backend of BACKENDS) {
    for (const item of KINDS) {
      for (const startSeq of STARTS) {
        const options = { capacity, backend, item, startSeq, ...more };
        run(open<ItemKind>(options), `${backend} ${item} from ${startSeq}`);
      }
    }
  }
}

test('full and empty are answers, at every capacity, at every start near the wraps', () => {
  for (const capacity of [1, 2, 64]) {
    eachRing(capacity, ({ ring, producer, consumer }, name) => {
      for (let lap = 0; lap < 3; lap++) {
        assert.ok(Number.isNaN(consumer.tryPop()), name);
        assert.equal(consumer.tryPop(-7), -7, name);
        for (let value = 0; value < capacity; value++) assert.ok(producer.tryPush(value), name);
        assert.ok(!producer.tryPush(99), name);
        assert.deepEqual([ring.used(), producer.used(), consumer.used()], Array(3).fill(capacity));
        for (let value = 0; value < capacity; value++) assert.equal(consumer.tryPop(), value);
        assert.ok(consumer.isEmpty());
      }
    });
  }
});

test('items keep their value: the ends of int32, and float64 with NaN', () => {
  for (const backend of BACKENDS) {
    const ints = open({ capacity: 8, backend });
    for (const value of [0, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      assert.ok(ints.producer.tryPush(value));
      assert.equal(ints.consumer.tryPop(), value);
    }
    const floats = open({ capacity: 8, backend, item: 'float64' });
    for (const value of [0.1, -0, Number.POSITIVE_INFINITY, 2 ** 53, Number.NaN]) {
      assert.ok(floats.producer.tryPush(value));
      assert.ok(!floats.consumer.isEmpty());
      assert.ok(Object.is(floats.consumer.tryPop(-1), value));
    }
  }
});

test('nothing is seen before it is published: every so many, when full, by flush', () => {
  eachRing(
    8,
    ({ ring, producer, consumer }, name) => {
      for (const value of [1, 2]) producer.tryPush(value);
      assert.equal(consumer.used(), 0, name);
      producer.tryPush(3);
      assert.equal(consumer.used(), 3, name);
      producer.tryPush(4);
      assert.ok(producer.flush(), name);
      assert.ok(!producer.flush(), name);
      assert.equal(consumer.used(), 4, name);
      for (let value = 5; value <= 8; value++) producer.tryPush(value);
      assert.equal(consumer.used(), 7, name);
      assert.ok(!producer.tryPush(9), name);
      assert.equal(ring.used(), 8, 'what finds the ring full publishes');
      for (let value = 1; value <= 8; value++) assert.equal(consumer.tryPop(), value, name);
    },
    { publishEvery: 3 },
  );
});

test('slots are given back every so many, when empty, by flush', () => {
  eachRing(
    8,
    ({ producer, consumer }, name) => {
      for (let value = 0; value < 8; value++) producer.tryPush(value);
      for (let i = 0; i < 2; i++) consumer.tryPop();
      assert.equal(producer.used(), 8, name);
      consumer.tryPop();
      assert.equal(producer.used(), 5, name);
      consumer.tryPop();
      assert.ok(consumer.flush(), name);
      assert.ok(!consumer.flush(), name);
      assert.equal(producer.used(), 4, name);
      for (let i = 0; i < 4; i++) consumer.tryPop();
      assert.equal(producer.used(), 1, name);
      assert.ok(Number.isNaN(consumer.tryPop()));
      assert.equal(producer.used(), 0, 'what finds the ring empty gives all back');
    },
    { creditEvery: 3 },
  );
});

test('a claim is a view of the ring itself; commit shows a part of it, abort nothing', () => {
  eachRing(8, ({ producer, consumer }, name) => {
    const view = producer.claimView(3)!;
    assert.equal(view.buffer, producer.handle.memory.buffer, 'no copy');
    assert.equal(consumer.peek(), NO_SLOT, name);
    view.set([7, 8, 9]);
    producer.abort();
    assert.throws(() => producer.commit(1), { code: 'MR_ASSERT' });
    assert.equal(producer.claim(2), producer.claim(3), 'the next claim replaces the last');
    producer.commit(2);
    assert.equal(consumer.peek(8), producer.slots.indexOf(7), name);
    assert.equal(consumer.peeked, 2, name);
    assert.throws(() => consumer.release(3), { code: 'MR_ASSERT' });
    const seen = consumer.peekView(8)!;
    assert.deepEqual([...seen], [7, 8], name);
    assert.equal(consumer.peekView(8), seen, 'views are kept, and a peek may be repeated');
    consumer.release(1);
    assert.equal(consumer.tryPop(), 8, name);
    assert.equal(consumer.peekView(1), null, name);
  });
});

test('a claim ends where the array ends; the next one begins at its start', () => {
  eachRing(8, ({ producer, consumer }) => {
    for (let i = 0; i < 6; i++) {
      producer.tryPush(i);
      consumer.tryPop();
    }
    // The starts of the sequences are multiples of the capacity.
    assert.equal(producer.claim(5), 6);
    assert.equal(producer.claimed, 2);
    producer.commit();
    assert.equal(producer.claim(5), 0);
    assert.equal(producer.claimed, 5);
    producer.commit();
    assert.equal(producer.claim(5), 5, 'as many as there are');
    assert.equal(producer.claimed, 1);
    producer.commit();
    assert.equal(producer.claimView(1), null);
    assert.equal(consumer.peek(8), 6);
    assert.equal(consumer.peeked, 2);
  });
});

test('slots of several items', () => {
  const more = { slotBytes: 24 };
  eachRing(
    4,
    ({ producer, consumer }, name) => {
      const items = 24 / producer.slots.BYTES_PER_ELEMENT;
      assert.equal(producer.slots.length, 4 * items);
      const at = producer.claim();
      producer.slots[at + items - 1] = 5;
      producer.commit();
      const to = consumer.peek();
      assert.equal(to, at, name);
      assert.equal(consumer.slots[to + items - 1], 5, name);
      consumer.release();
      const batch = producer.slots.slice(0, 3 * items).map((_, index) => index + 1);
      assert.equal(producer.pushBatch(batch), 3 * items, name);
      assert.equal(producer.pushBatch(batch), items, 'as many as there is room for');
      const popped = batch.slice().fill(0);
      assert.equal(consumer.popBatch(popped), 3 * items, name);
      assert.deepEqual(popped, batch, name);
      assert.throws(() => producer.tryPush(1), { code: 'MR_ASSERT' });
      assert.throws(() => consumer.tryPop(), { code: 'MR_ASSERT' });
      assert.throws(() => producer.pushBatch(batch, 0, items + 1), { code: 'MR_ASSERT' });
    },
    more,
  );
});

/** One random call on each side; `pushed` and `popped` are all items so far. */
class Walk {
  readonly #prng: Prng;
  readonly #ends: ReturnType<typeof open<ItemKind>>;
  readonly #batch: SlotArrays[ItemKind];
  pushed = 0;
  popped = 0;

  constructor(prng: Prng, ends: ReturnType<typeof open<ItemKind>>) {
    this.#prng = prng;
    this.#ends = ends;
    this.#batch = ends.producer.slots.slice(0, 0);
  }

  #array(length: number): SlotArrays[ItemKind] {
    const Kind = this.#batch.constructor as new (length: number) => SlotArrays[ItemKind];
    return new Kind(length);
  }

  write(): void {
    const { producer } = this.#ends;
    const kind = this.#prng.below(8);
    const count = 1 + this.#prng.below(300);
    if (kind < 3) {
      if (producer.tryPush(this.pushed)) this.pushed++;
      else assert.equal(producer.used(), producer.handle.capacity, 'only a full ring refuses');
    } else if (kind < 5) {
      const items = this.#array(count + 5).map((_, index) => this.pushed + index - 2);
      this.pushed += producer.pushBatch(items, 2, 2 + count);
    } else if (kind < 7) {
      const view = producer.claimView(count);
      if (view === null) return;
      for (let i = 0; i < view.length; i++) view[i] = this.pushed + i;
      if (this.#prng.chance(0.3)) {
        producer.abort();
        return;
      }
      const kept = this.#prng.below(view.length + 1);
      producer.commit(kept);
      this.pushed += kept;
    } else producer.flush();
  }

  read(): void {
    const { consumer } = this.#ends;
    const kind = this.#prng.below(8);
    const count = 1 + this.#prng.below(300);
    if (kind < 3) {
      const value = consumer.tryPop();
      if (Number.isNaN(value)) assert.ok(consumer.isEmpty(), 'only an empty ring refuses');
      else assert.equal(value, this.popped++);
    } else if (kind < 5) {
      const into = this.#array(count + 2);
      const got = consumer.popBatch(into, 1, 1 + count);
      for (let i = 0; i < got; i++) assert.equal(into[1 + i], this.popped++);
      assert.equal(into[0], 0);
      assert.equal(into[count + 1], 0);
    } else if (kind < 7) {
      const view = consumer.peekView(count);
      if (view === null) return;
      const kept = this.#prng.below(view.length + 1);
      for (let i = 0; i < kept; i++) assert.equal(view[i], this.popped++);
      consumer.release(kept);
    } else consumer.flush();
  }

  finish(): void {
    const { ring, producer, consumer } = this.#ends;
    producer.flush();
    assert.equal(consumer.used(), this.pushed - this.popped);
    while (!consumer.isEmpty()) this.read();
    consumer.flush();
    assert.equal(this.popped, this.pushed);
    assert.equal(ring.used(), 0);
  }
}

test('a random walk of all methods: every item once, in order', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (const capacity of [1, 2, 16, 256]) {
    for (const [publishEvery, creditEvery] of [
      [1, 1],
      [5, 3],
      [256, 256],
    ] as const) {
      eachRing(
        capacity,
        (ends, name) => {
          const walk = new Walk(prng, ends);
          for (let step = 0; step < 400; step++) {
            if (prng.chance(0.5)) walk.write();
            else walk.read();
            const { pushed, popped } = walk;
            assert.ok(pushed - popped <= capacity, `${name} seed ${seed}`);
          }
          walk.finish();
        },
        { publishEvery, creditEvery },
      );
    }
  }
});

test('each end has one holder; a role can be given up, and given up for the dead', () => {
  const { ring, producer, consumer } = open({ capacity: 4 });
  assert.throws(() => SpscRing.producer(ring.handle), { code: 'MR_ASSERT' });
  assert.throws(() => SpscRing.consumer(ring.handle), { code: 'MR_ASSERT' });
  assert.deepEqual([producer.peerState(), consumer.peerState()], ['held', 'held']);
  assert.ok(!producer.isPeerGone() && !consumer.isPeerGone());
  producer.tryPush(1);
  producer.close();
  assert.equal(consumer.peerState(), 'closed');
  assert.ok(consumer.isPeerGone());
  assert.equal(consumer.tryPop(), 1, 'what was published is still there');
  const next = SpscRing.producer(ring.handle);
  assert.ok(!consumer.isPeerGone());
  assert.ok(ring.abandonConsumer());
  assert.ok(!ring.abandonConsumer(), 'nobody holds it');
  assert.equal(next.peerState(), 'abandoned');
  assert.ok(next.isPeerGone());
  next.tryPush(2);
  assert.equal(SpscRing.consumer(ring.handle).tryPop(), 2);
  const unused = SpscRing.create({ capacity: 1 });
  assert.equal(unused.producerState(), 'free');
  assert.ok(!SpscRing.producer(unused.handle).isPeerGone(), 'who has not come yet is not gone');
});

test('who takes a role over goes on where the dead one stood', () => {
  eachRing(
    8,
    ({ ring, producer, consumer }, name) => {
      for (const value of [1, 2, 3]) producer.tryPush(value);
      producer.claim(2);
      ring.abandonProducer();
      assert.equal(consumer.used(), 0, name);
      const next = SpscRing.producer(ring.handle);
      assert.equal(consumer.used(), 3, 'pushed and not published: published now');
      assert.equal(consumer.tryPop(), 1, name);
      consumer.peek(2);
      ring.abandonConsumer();
      assert.equal(next.used(), 3, name);
      const reader = SpscRing.consumer(ring.handle);
      assert.equal(next.used(), 2, 'popped and not given back: given back now');
      assert.deepEqual([reader.tryPop(), reader.tryPop()], [2, 3], name);
      next.tryPush(4);
      next.close();
      assert.equal(reader.tryPop(), 4, 'close publishes');
    },
    { publishEvery: 8, creditEvery: 8 },
  );
});

test('what is no ring is refused', () => {
  for (const capacity of [6, 0, 0.5, 8.5, -8, 2 ** 31, 2 ** 32]) {
    assert.throws(() => SpscRing.create({ capacity }), { code: 'MR_ASSERT' }, `${capacity}`);
  }
  assert.throws(() => SpscRing.create({ capacity: 8, slotBytes: 6 }), { code: 'MR_ASSERT' });
  const floats = { capacity: 8, item: 'float64', slotBytes: 12 } as const;
  assert.throws(() => SpscRing.create(floats), { code: 'MR_ASSERT' });
});

test('a memory without WebAssembly has Atomics', () => {
  const { handle } = SpscRing.create({ capacity: 8, backend: 'wasm' });
  const buffer = new SharedArrayBuffer(handle.memory.buffer.byteLength);
  new Int32Array(buffer).set(new Int32Array(handle.memory.buffer));
  const producer = SpscRing.producer({ ...handle, memory: { buffer } });
  assert.ok(producer.tryPush(3));
  assert.equal(SpscRing.consumer({ ...handle, memory: { buffer } }).tryPop(), 3);
});
