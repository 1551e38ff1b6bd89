/**
 * SpscRing and SpscByteRing: single items, batches, records, pages by index.
 *
 * The loops do what those of bench/peers/ring.cpp do, item for item. A full or an empty ring is
 * asked again at once: each thread has a CPU of its own.
 */
import {
  NO_SLOT,
  SpscByteRing,
  type SpscByteRingHandle,
  SpscRing,
  type SpscRingHandle,
  type SpscRingOptions,
} from '../../src/toolkit/ring/index.ts';
import { pairCase, type RingCase, type Run } from './case.ts';
import { fill, sumOf } from './loops.ts';
import { sumBelow } from './section.ts';

export const CAPACITY = 4096;
const RECORD_CAPACITY = 1024;
const RECORD_ITEMS = 8;
const PAGE_COUNT = 64;
const PAGE_ITEMS = 512;
const MESSAGE_BYTES = 64;
const BYTE_CAPACITY = 65_536;

type FloatHandle = SpscRingHandle<'float64'>;

function makeRing(options: Partial<SpscRingOptions<'float64'>> = {}): FloatHandle {
  return SpscRing.create({ capacity: CAPACITY, item: 'float64', ...options }).handle;
}

function pushEach(handle: FloatHandle): Run {
  const producer = SpscRing.producer(handle);
  return (items) => {
    for (let value = 0; value < items; value++) {
      while (!producer.tryPush(value));
    }
    producer.flush();
    return 0;
  };
}

function popEach(handle: FloatHandle): Run {
  const consumer = SpscRing.consumer(handle);
  return (items) => {
    let sum = 0;
    for (let count = 0; count < items; count++) {
      let value = consumer.tryPop(-1);
      while (value === -1) value = consumer.tryPop(-1);
      sum += value;
    }
    return sum;
  };
}

function pushBatches(handle: FloatHandle, batch: number): Run {
  const producer = SpscRing.producer(handle);
  const values = new Float64Array(batch);
  return (items) => {
    for (let done = 0; done < items; ) {
      const count = Math.min(batch, items - done);
      fill(values, 0, count, done);
      for (let sent = 0; sent < count; ) sent += producer.pushBatch(values, sent, count);
      done += count;
    }
    return 0;
  };
}

function popBatches(handle: FloatHandle, batch: number): Run {
  const consumer = SpscRing.consumer(handle);
  const values = new Float64Array(batch);
  return (items) => {
    let sum = 0;
    for (let done = 0; done < items; ) {
      const got = consumer.popBatch(values, 0, Math.min(batch, items - done));
      sum = sumOf(values, 0, got, sum);
      done += got;
    }
    return sum;
  };
}

/** As pushBatches, in the slots themselves. */
function claimBatches(handle: FloatHandle, batch: number): Run {
  const producer = SpscRing.producer(handle);
  const { slots } = producer;
  return (items) => {
    for (let done = 0; done < items; ) {
      const at = producer.claim(Math.min(batch, items - done));
      if (at === NO_SLOT) continue;
      const count = producer.claimed;
      fill(slots, at, count, done);
      producer.commit(count);
      done += count;
    }
    return 0;
  };
}

function peekBatches(handle: FloatHandle, batch: number): Run {
  const consumer = SpscRing.consumer(handle);
  const { slots } = consumer;
  return (items) => {
    let sum = 0;
    for (let done = 0; done < items; ) {
      const at = consumer.peek(batch);
      if (at === NO_SLOT) continue;
      const count = consumer.peeked;
      sum = sumOf(slots, at, count, sum);
      consumer.release(count);
      done += count;
    }
    return sum;
  };
}

function writeRecords(handle: FloatHandle): Run {
  const producer = SpscRing.producer(handle);
  const { slots } = producer;
  return (items) => {
    let next = 0;
    for (let count = 0; count < items; count++) {
      let at = producer.claim();
      while (at === NO_SLOT) at = producer.claim();
      next = fill(slots, at, RECORD_ITEMS, next);
      producer.commit();
    }
    producer.flush();
    return 0;
  };
}

function readRecords(handle: FloatHandle): Run {
  const consumer = SpscRing.consumer(handle);
  const { slots } = consumer;
  return (items) => {
    let sum = 0;
    for (let count = 0; count < items; count++) {
      let at = consumer.peek();
      while (at === NO_SLOT) at = consumer.peek();
      sum = sumOf(slots, at, RECORD_ITEMS, sum);
      consumer.release();
    }
    return sum;
  };
}

interface PageRings {
  readonly filled: SpscRingHandle;
  readonly empty: SpscRingHandle;
  readonly pages: SharedArrayBuffer;
}

/** Rings for twice the pages: what is read and not given back never fills them. */
function makePages(): PageRings {
  const filled = SpscRing.create({ capacity: 2 * PAGE_COUNT }).handle;
  const empty = SpscRing.create({ capacity: 2 * PAGE_COUNT }).handle;
  const producer = SpscRing.producer(empty);
  for (let page = 0; page < PAGE_COUNT; page++) producer.tryPush(page);
  producer.close();
  return { filled, empty, pages: new SharedArrayBuffer(PAGE_COUNT * PAGE_ITEMS * 8) };
}

/** Writes every item of a page and hands its index over. */
function fillPages({ filled, empty, pages }: PageRings): Run {
  const producer = SpscRing.producer(filled);
  const consumer = SpscRing.consumer(empty);
  const items = new Float64Array(pages);
  return (pageCount) => {
    let next = 0;
    for (let count = 0; count < pageCount; count++) {
      let page = consumer.tryPop(-1);
      while (page === -1) page = consumer.tryPop(-1);
      next = fill(items, page * PAGE_ITEMS, PAGE_ITEMS, next);
      while (!producer.tryPush(page));
    }
    return 0;
  };
}

/** Adds up every item of a page and gives its index back. */
function sumPages({ filled, empty, pages }: PageRings): Run {
  const consumer = SpscRing.consumer(filled);
  const producer = SpscRing.producer(empty);
  const items = new Float64Array(pages);
  return (pageCount) => {
    let sum = 0;
    for (let count = 0; count < pageCount; count++) {
      let page = consumer.tryPop(-1);
      while (page === -1) page = consumer.tryPop(-1);
      sum = sumOf(items, page * PAGE_ITEMS, PAGE_ITEMS, sum);
      while (!producer.tryPush(page));
    }
    return sum;
  };
}

function pushMessages(handle: SpscByteRingHandle): Run {
  const producer = SpscByteRing.producer(handle);
  const message = new Uint8Array(MESSAGE_BYTES);
  return (items) => {
    for (let value = 0; value < items; value++) {
      message[0] = value;
      while (!producer.tryPush(message));
    }
    return 0;
  };
}

function popMessages(handle: SpscByteRingHandle): Run {
  const consumer = SpscByteRing.consumer(handle);
  let sum = 0;
  const see = (bytes: Uint8Array, offset: number): void => {
    sum += bytes[offset]!;
  };
  return (items) => {
    sum = 0;
    for (let done = 0; done < items; ) done += consumer.popBatch(items - done, see);
    return sum;
  };
}

function batchCase(batch: number): RingCase {
  return pairCase(
    makeRing,
    (handle) => pushBatches(handle, batch),
    (handle) => popBatches(handle, batch),
  );
}

const RECORD_OPTIONS = { capacity: RECORD_CAPACITY, slotBytes: RECORD_ITEMS * 8 };
/** The sum of 0 to 255, which a byte runs through. */
const BYTE_SUM = 32_640;

export const SPSC_CASES: Readonly<Record<string, RingCase>> = {
  'spsc-single': pairCase(makeRing, pushEach, popEach),
  'spsc-single-atomics': pairCase(() => makeRing({ backend: 'atomics' }), pushEach, popEach),
  'spsc-lazy-64': pairCase(() => makeRing({ publishEvery: 64 }), pushEach, popEach),
  'spsc-batch-1': batchCase(1),
  'spsc-batch-64': batchCase(64),
  'spsc-batch-512': batchCase(512),
  'spsc-claim-64': pairCase(
    makeRing,
    (handle) => claimBatches(handle, 64),
    (handle) => peekBatches(handle, 64),
  ),
  'spsc-record': pairCase(
    () => makeRing(RECORD_OPTIONS),
    writeRecords,
    readRecords,
    (items) => sumBelow(items * RECORD_ITEMS),
  ),
  'spsc-pages': pairCase(makePages, fillPages, sumPages, (items) => sumBelow(items * PAGE_ITEMS)),
  'spsc-bytes-64': pairCase(
    () => SpscByteRing.create({ capacityBytes: BYTE_CAPACITY }).handle,
    pushMessages,
    popMessages,
    (items) => (items / 256) * BYTE_SUM,
  ),
};
