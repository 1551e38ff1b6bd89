/**
 * Waiting: round trips between two threads, and rings whose ends wait.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import {
  type IdleHandle,
  IdleStrategy,
  SeqlockCell,
  type SeqlockCellHandle,
  SpscRing,
  type SpscRingHandle,
} from '../../src/toolkit/ring/index.ts';
import { pairCase, type RingCase, type Run } from './case.ts';
import { sumBelow } from './section.ts';
import { CAPACITY } from './spsc-cases.ts';
import { makeWaiting } from './waiting.ts';

/** There and back. */
interface Loop {
  readonly there: SpscRingHandle;
  readonly back: SpscRingHandle;
}

const LOOP_CAPACITY = 64;

function makeLoop(): Loop {
  const make = (): SpscRingHandle => SpscRing.create({ capacity: LOOP_CAPACITY }).handle;
  return { there: make(), back: make() };
}

/** Sends a number, and the next one when it has come back. */
function ask({ there, back }: Loop): Run {
  const producer = SpscRing.producer(there);
  const consumer = SpscRing.consumer(back);
  return (items) => {
    let sum = 0;
    for (let value = 0; value < items; value++) {
      producer.tryPush(value);
      let answer = consumer.tryPop(-1);
      while (answer === -1) answer = consumer.tryPop(-1);
      sum += answer;
    }
    return sum;
  };
}

function answer({ there, back }: Loop): Run {
  const consumer = SpscRing.consumer(there);
  const producer = SpscRing.producer(back);
  return (items) => {
    for (let count = 0; count < items; count++) {
      let value = consumer.tryPop(-1);
      while (value === -1) value = consumer.tryPop(-1);
      producer.tryPush(value);
    }
    return 0;
  };
}

/** The same between threads that sleep until they are woken. */
interface SleepingLoop extends Loop {
  readonly asker: IdleHandle;
  readonly answerer: IdleHandle;
}

function makeSleepingLoop(): SleepingLoop {
  const make = (): IdleHandle => IdleStrategy.create({ spinCount: 0, yieldCount: 0 }).handle;
  return { ...makeLoop(), asker: make(), answerer: make() };
}

function askAsleep({ there, back, asker, answerer }: SleepingLoop): Run {
  const producer = SpscRing.producer(there);
  const consumer = SpscRing.consumer(back);
  const sleeper = IdleStrategy.sleeper(asker);
  const waker = IdleStrategy.waker(answerer);
  return (items) => {
    let sum = 0;
    for (let value = 0; value < items; value++) {
      producer.tryPush(value);
      waker.wake();
      let found = consumer.tryPop(-1);
      for (; found === -1; found = consumer.tryPop(-1)) sleeper.idle(0);
      sleeper.idle(1);
      sum += found;
    }
    return sum;
  };
}

function answerAsleep({ there, back, asker, answerer }: SleepingLoop): Run {
  const consumer = SpscRing.consumer(there);
  const producer = SpscRing.producer(back);
  const sleeper = IdleStrategy.sleeper(answerer);
  const waker = IdleStrategy.waker(asker);
  return (items) => {
    for (let count = 0; count < items; count++) {
      let value = consumer.tryPop(-1);
      for (; value === -1; value = consumer.tryPop(-1)) sleeper.idle(0);
      sleeper.idle(1);
      producer.tryPush(value);
      waker.wake();
    }
    return 0;
  };
}

function askByPort(port: MessagePort): Run {
  let sum = 0;
  let last = 0;
  let done: (sum: number) => void = () => undefined;
  port.on('message', (value: number) => {
    sum += value;
    if (value === last) done(sum);
    else port.postMessage(value + 1);
  });
  return (items) => {
    sum = 0;
    last = items - 1;
    port.postMessage(0);
    return new Promise((resolve) => {
      done = resolve;
    });
  };
}

function answerByPort(port: MessagePort): Run {
  let left = 0;
  let done: (sum: number) => void = () => undefined;
  port.on('message', (value: number) => {
    port.postMessage(value);
    if (--left === 0) done(0);
  });
  return (items) => {
    left = items;
    return new Promise((resolve) => {
      done = resolve;
    });
  };
}

const PORT_LOOP: RingCase = {
  threads: 2,
  share() {
    const { port1, port2 } = new MessageChannel();
    return [port1, port2].map((port) => ({ data: port, transfer: [port] }));
  },
  start(index, data) {
    const port = data as MessagePort;
    return index === 0 ? askByPort(port) : answerByPort(port);
  },
  expected: sumBelow,
};

function pushWaiting(handle: SpscRingHandle): Run {
  const producer = SpscRing.producer(handle);
  const waiting = makeWaiting(true);
  return (items) => {
    for (let value = 0; value < items; value++) {
      if (producer.tryPush(value)) continue;
      do waiting.wait();
      while (!producer.tryPush(value));
      waiting.done();
    }
    return 0;
  };
}

function popWaiting(handle: SpscRingHandle): Run {
  const consumer = SpscRing.consumer(handle);
  const waiting = makeWaiting(true);
  return (items) => {
    let sum = 0;
    for (let count = 0; count < items; count++) {
      let value = consumer.tryPop(-1);
      if (value === -1) {
        for (; value === -1; value = consumer.tryPop(-1)) waiting.wait();
        waiting.done();
      }
      sum += value;
    }
    return sum;
  };
}

/** `pairs` rings, of one writer and one reader each, whose ends wait as a crowd does. */
function waitingPairs(pairs: number): RingCase {
  return {
    threads: 2 * pairs,
    share() {
      const make = (): SpscRingHandle => SpscRing.create({ capacity: CAPACITY }).handle;
      const rings = Array.from({ length: pairs }, make);
      return [...rings, ...rings].map((data) => ({ data }));
    },
    start(index, data) {
      const handle = data as SpscRingHandle;
      const run = index < pairs ? pushWaiting(handle) : popWaiting(handle);
      return (items) => run(items / pairs);
    },
    expected: (items) => pairs * sumBelow(items / pairs),
  };
}

const RECORD_LENGTH = 8;
/** Above every count of items. */
const SECTION_STEP = 2 ** 32;

type CellHandle = SeqlockCellHandle<'float64'>;

/** A record of 8 numbers, written again and again; the first one tells section and count. */
function writeCell(handle: CellHandle): Run {
  const writer = SeqlockCell.writer(handle);
  const record = new Float64Array(RECORD_LENGTH);
  let section = 0;
  return (items) => {
    section += SECTION_STEP;
    for (let count = 0; count < items; count++) {
      record[0] = section + count;
      writer.write(record);
    }
    return 0;
  };
}

/** Reads until it has seen the last record of the section. */
function readCell(handle: CellHandle): Run {
  const reader = SeqlockCell.reader(handle);
  const record = new Float64Array(RECORD_LENGTH);
  let section = 0;
  return (items) => {
    section += SECTION_STEP;
    while (record[0] !== section + items - 1) reader.tryRead(record);
    return record[0] - section;
  };
}

export const WAIT_CASES: Readonly<Record<string, RingCase>> = {
  'round-trip-spin': pairCase(makeLoop, ask, answer),
  'round-trip-park': pairCase(makeSleepingLoop, askAsleep, answerAsleep),
  'round-trip-port': PORT_LOOP,
  'spsc-crowd-1x1': waitingPairs(1),
  'spsc-crowd-2x2': waitingPairs(2),
  'seqlock-write': pairCase(
    () => SeqlockCell.create({ item: 'float64', length: RECORD_LENGTH }).handle,
    writeCell,
    readCell,
    (items) => items - 1,
  ),
};
