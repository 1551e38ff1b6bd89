/**
 * Interleavings of the broadcast ring, in one thread: the real code of one side runs, and before
 * each of its atomic operations whole operations of the other side may run. Pages are modelled, so
 * that a release too early, twice or never is seen.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { READ_EVICTED, READ_NOTHING, READ_OK } from './broadcast-kernel.ts';
import { BROADCAST_WRITE_WORD } from './broadcast-layout.ts';
import type { BroadcastReader } from './broadcast-reader.ts';
import { BroadcastRing } from './broadcast-ring.ts';
import type { BroadcastWriter } from './broadcast-writer.ts';

const SLOT_WORDS = 4;
const STARTS = [0, 0x1fff_fff0, 0x7fff_fff0, 0xffff_fff0];

/** Runs `hook` before every atomic operation of what `run` does. */
function withHook(hook: () => void, run: () => void): void {
  const names = ['load', 'store', 'compareExchange'] as const;
  const saved = names.map((name) => Atomics[name]);
  let isInside = false;
  names.forEach((name, index) => {
    const original = saved[index] as (...args: unknown[]) => unknown;
    (Atomics as unknown as Record<string, unknown>)[name] = (...args: unknown[]): unknown => {
      if (!isInside) {
        isInside = true;
        try {
          hook();
        } finally {
          isInside = false;
        }
      }
      return original.apply(Atomics, args);
    };
  });
  try {
    run();
  } finally {
    names.forEach((name, index) => {
      (Atomics as unknown as Record<string, unknown>)[name] = saved[index];
    });
  }
}

/** The thread whose operation runs ends here. */
class ThreadDied extends Error {}

/** A ring, its writer, and pages of which each slot holds one. */
class Model {
  readonly ring: BroadcastRing;
  readonly start: number;
  writer: BroadcastWriter;
  readonly #release: (words: Int32Array, index: number) => void;
  /** In a slot that is claimed and not yet published. */
  #claimed = { page: -1, endSeq: 0 };
  readonly stampOfPage: number[];
  readonly free: number[] = [];
  readonly released: number[] = [];
  stamp = 0;

  constructor(capacity: number, readers: number, start: number, pages: number) {
    const options = { capacity, slotWords: SLOT_WORDS, readerCount: readers, startSeq: start };
    this.ring = BroadcastRing.create(options);
    this.start = start;
    this.stampOfPage = Array.from({ length: pages }, () => -1);
    for (let page = 0; page < pages; page++) this.free.push(page);
    this.#release = (words, index) => {
      const page = words[index]!;
      const stamp = words[index + 1]!;
      assert.equal(this.stampOfPage[page], stamp, 'a slot is released once, with its own page');
      this.stampOfPage[page] = -1;
      this.free.push(page);
      this.released[stamp] = (this.released[stamp] ?? 0) + 1;
    };
    this.writer = BroadcastRing.writer(this.ring.handle, { release: this.#release });
  }

  get writeSeq(): number {
    return this.writer.words[BROADCAST_WRITE_WORD]!;
  }

  /** Where it is known that what is claimed was not published, its page is free again. */
  #unclaim(): void {
    const { page, endSeq } = this.#claimed;
    if (page < 0 || this.writeSeq === endSeq) return;
    this.stampOfPage[page] = -1;
    this.free.push(page);
    this.stamp--;
  }

  /** The thread of the writer ends in the midst of what it does; another takes over. */
  writerDies(): void {
    this.#unclaim();
    this.#claimed.page = -1;
    assert.ok(this.ring.abandonWriter());
    this.writer = BroadcastRing.writer(this.ring.handle, { release: this.#release });
  }

  /** False: no page is free. */
  publish(): boolean {
    if (this.free.length === 0) return false;
    const at = this.writer.claim();
    const page = this.free.shift()!;
    const stamp = this.stamp++;
    this.stampOfPage[page] = stamp;
    this.#claimed = { page, endSeq: (this.writeSeq + 1) | 0 };
    const { words } = this.writer;
    Atomics.store(words, at, page);
    Atomics.store(words, at + 1, stamp);
    Atomics.store(words, at + 2, ~stamp);
    Atomics.store(words, at + 3, page ^ stamp);
    this.writer.publish();
    this.#claimed.page = -1;
    return true;
  }

  /** After every reader has gone: each slot was released exactly once. */
  assertAllReleased(): void {
    this.writer.poll();
    assert.equal(this.writer.unreleased, 0);
    assert.equal(this.free.length, this.stampOfPage.length, 'no page is left behind');
    for (let stamp = 0; stamp < this.stamp; stamp++) assert.equal(this.released[stamp], 1);
  }
}

/** One reader that checks all it sees. */
class Watcher {
  readonly #model: Model;
  readonly #index: number;
  #reader: BroadcastReader;
  #last = -1;
  /** Behind the last slot that it has seen; -1 when it is not sure that it was finished. */
  #nextSeq = -1;
  #mayJump = true;
  isHolding = false;
  seen = 0;
  evicted = 0;

  constructor(model: Model, index: number) {
    this.#model = model;
    this.#index = index;
    this.#reader = BroadcastRing.reader(model.ring.handle, index);
  }

  get joined(): boolean {
    return this.#reader.joined;
  }

  join(): void {
    this.#reader.join();
    this.#mayJump = true;
  }

  /** One call of the reader's side: tryRead, or finish when it holds a slot. */
  step(): void {
    if (this.isHolding) {
      this.check();
      this.isHolding = false;
      this.#reader.finish();
      return;
    }
    const answer = this.#reader.tryRead();
    if (answer === READ_NOTHING) return;
    if (answer === READ_EVICTED) {
      this.evicted++;
      if (this.#nextSeq >= 0)
        assert.equal(this.#reader.lostSeq, this.#nextSeq, 'where it lost touch');
      this.join();
      return;
    }
    assert.equal(answer, READ_OK);
    this.isHolding = true;
    const { slot } = this.#reader;
    assert.equal(slot[2], ~slot[1]!, 'a copy is never torn');
    assert.equal(slot[3], slot[0]! ^ slot[1]!, 'a copy is never torn');
    if (!this.#mayJump) assert.equal(slot[1], this.#last + 1, 'every slot, in order');
    else assert.ok(slot[1]! > this.#last, 'no slot twice');
    const { nextSeq, lostSeq, missedCount } = this.#reader;
    assert.equal(nextSeq, (this.#model.start + slot[1]!) >>> 0);
    const isFirst = this.#mayJump && this.#nextSeq >= 0;
    if (isFirst) assert.equal(lostSeq, this.#nextSeq, 'where it lost touch');
    if (isFirst) assert.equal((nextSeq - lostSeq) >>> 0, missedCount);
    this.#mayJump = false;
    this.#last = slot[1]!;
    this.#nextSeq = (this.#model.start + slot[1]! + 1) >>> 0;
    this.seen++;
    this.check();
  }

  /** What the slot refers to is untouched while the reader holds it. */
  check(): void {
    if (!this.isHolding) return;
    const { slot } = this.#reader;
    assert.equal(this.#model.stampOfPage[slot[0]!], slot[1], 'the page is still this slot');
  }

  /** The supervisor gives the place up; a new thread takes the index. */
  die(): void {
    this.isHolding = false;
    this.#nextSeq = -1;
    assert.ok(this.#model.ring.abandonReader(this.#index));
    this.#reader = BroadcastRing.reader(this.#model.ring.handle, this.#index);
    this.join();
  }

  leave(): void {
    if (this.isHolding) this.step();
    this.#reader.leave();
  }
}

function writerAction(model: Model, prng: Prng): void {
  const kind = prng.below(8);
  if (kind < 5) model.publish();
  else if (kind < 7) model.writer.poll();
  else model.writer.evictSlowest();
}

function readerAction(watchers: readonly Watcher[], prng: Prng): void {
  const watcher = watchers[prng.below(watchers.length)]!;
  if (prng.chance(0.01)) watcher.die();
  else watcher.step();
}

/** The reader runs; before each of its atomic operations the writer may do something whole. */
function readerIsInterrupted(model: Model, watchers: readonly Watcher[], prng: Prng): void {
  const watcher = watchers[prng.below(watchers.length)]!;
  const dies = prng.chance(0.02);
  try {
    withHook(
      () => {
        for (let i = prng.below(7); i > 2; i--) writerAction(model, prng);
        if (dies && prng.chance(0.3)) throw new ThreadDied();
      },
      () => watcher.step(),
    );
  } catch (error) {
    if (!(error instanceof ThreadDied)) throw error;
    watcher.die();
  }
}

/** The writer runs; before each of its atomic operations readers may do something whole. */
function writerIsInterrupted(model: Model, watchers: readonly Watcher[], prng: Prng): void {
  const dies = prng.chance(0.02);
  try {
    withHook(
      () => {
        for (let i = prng.below(5); i > 2; i--) readerAction(watchers, prng);
        if (dies && prng.chance(0.2)) throw new ThreadDied();
      },
      () => writerAction(model, prng),
    );
  } catch (error) {
    if (!(error instanceof ThreadDied)) throw error;
    model.writerDies();
  }
}

test('random interleavings at every atomic operation: nothing too early, twice or never', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  let evicted = 0;
  let seen = 0;
  for (let round = 0; round < 60; round++) {
    const readers = 1 + prng.below(3);
    const capacity = 1 << (1 + prng.below(3));
    const start = STARTS[round % STARTS.length]!;
    const model = new Model(capacity, readers, start, capacity + readers + 1 + prng.below(4));
    const watchers = Array.from({ length: readers }, (_, index) => new Watcher(model, index));
    for (const watcher of watchers) watcher.join();
    try {
      for (let step = 0; step < 1_500; step++) {
        if (prng.chance(0.5)) readerIsInterrupted(model, watchers, prng);
        else writerIsInterrupted(model, watchers, prng);
        for (const watcher of watchers) watcher.check();
      }
      for (const watcher of watchers) watcher.leave();
      model.assertAllReleased();
    } catch (error) {
      throw new Error(`seed ${seed} round ${round}`, { cause: error });
    }
    for (const watcher of watchers) {
      evicted += watcher.evicted;
      seen += watcher.seen;
    }
  }
  assert.ok(evicted > 500 && seen > 5_000, 'the schedule reaches eviction and reading');
});

/** Each row: what the writer does just before the k-th atomic operation of tryRead or finish. */
const WRITER_MOVES: Readonly<Record<string, (model: Model) => void>> = {
  evict: (model) => void model.writer.evictSlowest(),
  'evict, then overwrite the slot': (model) => {
    model.writer.evictSlowest();
    for (let i = 0; i < 6; i++) model.publish();
  },
  'lap by publishing': (model) => {
    for (let i = 0; i < 6; i++) model.publish();
  },
  poll: (model) => model.writer.poll(),
};

for (const [name, move] of Object.entries(WRITER_MOVES)) {
  test(`one interruption at each operation of tryRead and of finish: ${name}`, () => {
    for (const start of STARTS) {
      for (let at = 0; at < 24; at++) {
        const model = new Model(4, 2, start, 12);
        const slow = new Watcher(model, 0);
        const other = new Watcher(model, 1);
        slow.join();
        model.writer.poll();
        for (let i = 0; i < 3; i++) model.publish();
        let operation = 0;
        const interrupt = (): void => {
          if (operation++ === at) move(model);
        };
        withHook(interrupt, () => slow.step());
        other.join();
        model.writer.poll();
        withHook(interrupt, () => slow.step());
        for (let i = 0; i < 40; i++) {
          if (i < 6) model.publish();
          model.writer.poll();
          slow.step();
          other.step();
        }
        slow.leave();
        other.leave();
        model.assertAllReleased();
      }
    }
  });
}

test('a supervisor takes the place of a dead reader in every state', () => {
  const states: Readonly<Record<string, (model: Model, watcher: Watcher) => void>> = {
    joining: () => {},
    idle: (model) => model.writer.poll(),
    reading: (model, watcher) => {
      model.writer.poll();
      model.publish();
      watcher.step();
      assert.ok(watcher.isHolding);
    },
    lapped: (model, watcher) => {
      model.writer.poll();
      model.publish();
      watcher.step();
      for (let i = 0; i < 9; i++) model.publish();
      watcher.check();
      assert.equal(model.released[0], undefined, 'the lapped slot is kept aside');
    },
    evicted: (model) => {
      model.writer.poll();
      for (let i = 0; i < 9; i++) model.publish();
    },
  };
  for (const [name, prepare] of Object.entries(states)) {
    const model = new Model(4, 1, 0xffff_fffe, 12);
    const watcher = new Watcher(model, 0);
    watcher.join();
    prepare(model, watcher);
    watcher.die();
    model.writer.poll();
    assert.ok(watcher.joined, name);
    const before = watcher.seen;
    model.publish();
    watcher.step();
    assert.equal(watcher.seen, before + 1, name);
    watcher.leave();
    model.assertAllReleased();
  }
});

test('a reader that has just moved on is not evicted', () => {
  const model = new Model(4, 1, 0, 12);
  const watcher = new Watcher(model, 0);
  watcher.join();
  model.writer.poll();
  for (let i = 0; i < 4; i++) model.publish();
  watcher.step();
  // The ring is full. The claim looks at the reader, which passes the oldest slot just then.
  let hasFinished = false;
  let operation = 0;
  withHook(
    () => {
      if (operation++ !== 1) return;
      watcher.step();
      hasFinished = true;
    },
    () => void model.publish(),
  );
  assert.ok(hasFinished);
  for (let i = 0; i < 8; i++) watcher.step();
  assert.equal(watcher.evicted, 0);
  assert.equal(watcher.seen, 5);
  watcher.leave();
  model.assertAllReleased();
});
