/**
 * Scenarios of SpscRing and SpscByteRing: a producer and a consumer, and who takes over from them.
 *
 * The threads do what the classes do (SpscProducer, SpscConsumer and those of bytes), by the same
 * kernels; slots of claims are touched by the scenario itself, as a caller would.
 */
import assert from 'node:assert/strict';
import {
  initSpsc,
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH_WORD,
  SPSC_CONTROL_BYTES,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_READ_WORD,
  SPSC_SLOTS_WORD,
  SPSC_WRITE_WORD,
} from '../../src/toolkit/ring/spsc-layout.ts';
import { insist, join, type Program, read, write } from './access.ts';
import type { Scenario } from './machine.ts';
import type { Kernels } from './rewrite.ts';

export const SPSC_MODULES = ['spsc-kernel', 'spsc-byte-kernel'];
export const SPSC_SHARED = ['words', 'slots', 'ints'];

/** What tryPop is given for an empty ring. */
const EMPTY = -1;
const SLOT_BYTES_MAX = 8;

export interface SpscCase {
  readonly capacity: number;
  readonly items: number;
  readonly publishEvery?: number;
  readonly creditEvery?: number;
  readonly startSeq?: number;
  readonly kind?: 'Int' | 'Float';
}

interface Ring {
  readonly memory: ArrayBuffer;
  readonly words: Int32Array;
  readonly slots: Int32Array | Float64Array;
  readonly reset: () => void;
}

function makeRing(spec: SpscCase): Ring {
  const { capacity, publishEvery = 1, creditEvery = 1, startSeq = 0, kind = 'Int' } = spec;
  const memory = new ArrayBuffer(SPSC_CONTROL_BYTES + capacity * SLOT_BYTES_MAX);
  const words = new Int32Array(memory, 0, SPSC_SLOTS_WORD);
  const Slots = kind === 'Int' ? Int32Array : Float64Array;
  const slots = new Slots(memory, SPSC_CONTROL_BYTES, capacity);
  const reset = () => {
    slots.fill(0);
    words.fill(0);
    initSpsc(words, { capacity, publishEvery, creditEvery }, startSeq);
  };
  return { memory, words, slots, reset };
}

function* pushItems(
  kernels: Kernels,
  ring: Ring,
  spec: SpscCase,
  from: number,
  to: number,
): Program {
  const push = kernels[`spscPush${spec.kind ?? 'Int'}`]!;
  for (let item = from; item <= to; item++) {
    yield* insist(() => push(ring.words, ring.slots, item), Boolean);
  }
  // Who publishes each item by itself has nothing left.
  if ((spec.publishEvery ?? 1) > 1) yield* kernels.spscPublish!(ring.words);
}

function* popItem(kernels: Kernels, ring: Ring, spec: SpscCase): Program<number> {
  const pop = kernels[`spscPop${spec.kind ?? 'Int'}`]!;
  return yield* insist(
    () => pop(ring.words, ring.slots, EMPTY),
    (item) => item !== EMPTY,
  );
}

/** Items one by one: each comes once, in order; in the end all is given back. */
export function singles(kernels: Kernels, spec: SpscCase): Scenario {
  const ring = makeRing(spec);
  function* consume(): Program {
    for (let item = 1; item <= spec.items; item++) {
      assert.equal(yield* popItem(kernels, ring, spec), item);
    }
    if ((spec.creditEvery ?? 1) > 1) yield* kernels.spscCredit!(ring.words);
  }
  return () => {
    ring.reset();
    return {
      memory: ring.memory,
      threads: { producer: pushItems(kernels, ring, spec, 1, spec.items), consumer: consume() },
      check: () => checkEnd(ring, spec),
    };
  };
}

function checkEnd({ words }: Ring, { items, startSeq = 0 }: SpscCase): void {
  for (const word of [SPSC_WRITE_WORD, SPSC_READ_WORD]) {
    assert.equal(words[word], (startSeq + items) | 0, 'sequences at the end');
  }
}

/** Claims of up to `batch` slots, written and committed; peeked and released. */
export function batches(kernels: Kernels, spec: SpscCase, batch: number): Scenario {
  const ring = makeRing(spec);
  const { words, slots } = ring;
  const mask = spec.capacity - 1;
  function* produce(): Program {
    let next = 1;
    while (next <= spec.items) {
      const wanted = Math.min(batch, spec.capacity, spec.items - next + 1);
      const room = yield* insist(
        () => kernels.spscRoom!(words, wanted),
        (count) => count > 0,
      );
      const count = Math.min(wanted, room);
      const seq = yield* read(words, SPSC_NEXT_WRITE_WORD);
      for (let i = 0; i < count; i++)
        yield* write(slots, (seq + i) & mask, next++, 'writes a slot');
      yield* kernels.spscCommit!(words, count);
    }
    if ((spec.publishEvery ?? 1) > 1) yield* kernels.spscPublish!(words);
  }
  function* consume(): Program {
    let next = 1;
    while (next <= spec.items) {
      const there = yield* insist(
        () => kernels.spscAvailable!(words, batch),
        (count) => count > 0,
      );
      const count = Math.min(batch, there);
      const seq = yield* read(words, SPSC_NEXT_READ_WORD);
      for (let i = 0; i < count; i++) {
        assert.equal(yield* read(slots, (seq + i) & mask, 'reads a slot'), next++);
      }
      yield* kernels.spscRelease!(words, count);
    }
    if ((spec.creditEvery ?? 1) > 1) yield* kernels.spscCredit!(words);
  }
  return () => {
    ring.reset();
    const threads = { producer: produce(), consumer: consume() };
    return { memory: ring.memory, threads, check: () => checkEnd(ring, spec) };
  };
}

/** The producer dies (thread 0); another one takes over. What was answered is not lost. */
export function producerDies(kernels: Kernels, spec: SpscCase): Scenario {
  const ring = makeRing(spec);
  const last = 1000;
  return () => {
    ring.reset();
    let answered = 0;
    const popped: number[] = [];
    function* produce(): Program {
      for (let item = 1; item <= spec.items; item++) {
        yield* pushItems(kernels, ring, spec, item, item);
        answered = item;
      }
    }
    function* succeed(): Program {
      yield* join(0);
      yield* kernels.spscPublish!(ring.words);
      yield* pushItems(kernels, ring, spec, last, last);
    }
    function* consume(): Program {
      while (popped.at(-1) !== last) popped.push(yield* popItem(kernels, ring, spec));
    }
    const check = () => {
      const items = popped.slice(0, -1);
      assert.deepEqual(
        items,
        items.map((_, i) => i + 1),
        'in order, once',
      );
      assert.ok(
        items.length >= answered && items.length <= spec.items,
        'what was answered is there',
      );
    };
    const threads = { producer: produce(), successor: succeed(), consumer: consume() };
    return { memory: ring.memory, threads, check };
  };
}

/** The consumer dies (thread 0); another one takes over. Nothing comes twice. */
export function consumerDies(kernels: Kernels, spec: SpscCase): Scenario {
  const ring = makeRing(spec);
  return () => {
    ring.reset();
    const first: number[] = [];
    const second: number[] = [];
    function* consume(items: number[]): Program {
      while (items.at(-1) !== spec.items) items.push(yield* popItem(kernels, ring, spec));
    }
    function* succeed(): Program {
      yield* join(0);
      yield* kernels.spscCredit!(ring.words);
      if (first.length < spec.items - 1) yield* consume(second);
    }
    const check = () => {
      const all = [...first, ...second];
      assert.deepEqual(
        all,
        [...all].sort((a, b) => a - b),
        'in order',
      );
      assert.equal(new Set(all).size, all.length, 'once');
      assert.ok(all.length >= spec.items - 1, 'one item dies with the consumer at most');
    };
    const producer = pushItems(kernels, ring, spec, 1, spec.items);
    const threads = { consumer: consume(first), successor: succeed(), producer };
    return { memory: ring.memory, threads, check };
  };
}

/** Messages of these lengths, whole and in order; `capacity` in bytes. */
export function messages(kernels: Kernels, spec: SpscCase, lengths: readonly number[]): Scenario {
  const { capacity, publishEvery = 1, creditEvery = 1, startSeq = 0 } = spec;
  const memory = new ArrayBuffer(SPSC_CONTROL_BYTES + capacity);
  const words = new Int32Array(memory, 0, SPSC_SLOTS_WORD);
  const ints = new Int32Array(memory, SPSC_CONTROL_BYTES, capacity >> 2);
  const claim = kernels.spscClaimMessage!;
  function* produce(): Program {
    for (const [number, length] of lengths.entries()) {
      const at = yield* insist(
        () => claim(words, ints, length),
        (offset) => offset >= 0,
      );
      for (let i = 0; i < length; i += 4) {
        yield* write(ints, (at + MESSAGE_HEADER_BYTES + i) >> 2, number + 1, 'writes payload');
      }
      yield* kernels.spscCommitMessage!(words, ints, at, length, number);
    }
    yield* kernels.spscPublish!(words);
  }
  function* consume(): Program {
    for (const [number, length] of lengths.entries()) {
      const at = yield* insist(
        () => kernels.spscPeekMessage!(words, ints),
        (offset) => offset >= 0,
      );
      const found = yield* read(ints, (at >> 2) + MESSAGE_LENGTH_WORD, 'reads the length');
      assert.equal(found, length, 'the length of a message');
      for (let i = 0; i < length; i += 4) {
        const value = yield* read(ints, (at + MESSAGE_HEADER_BYTES + i) >> 2, 'reads payload');
        assert.equal(value, number + 1, 'the payload of a message');
      }
      yield* kernels.spscRelease!(words, yield* kernels.messageBytes!(length));
    }
    yield* kernels.spscCredit!(words);
  }
  return () => {
    ints.fill(0);
    words.fill(0);
    initSpsc(words, { capacity, publishEvery, creditEvery }, startSeq);
    const check = () => assert.equal(words[SPSC_READ_WORD], words[SPSC_WRITE_WORD]);
    return { memory, threads: { producer: produce(), consumer: consume() }, check };
  };
}
