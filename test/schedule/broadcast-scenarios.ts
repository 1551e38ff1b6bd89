/**
 * Scenarios of BroadcastRing: a writer that hands pages to readers, and takes them back.
 *
 * A slot is [page, item]. The writer writes the item into the page, plainly, before it pushes the
 * slot, and again (as RELEASED) when the page is released: to touch it still is a race.
 * The threads do what BroadcastWriter and BroadcastReader do, by the same kernels.
 */
import assert from 'node:assert/strict';
import {
  BROADCAST_RELEASED_WORD,
  BROADCAST_WRITE_WORD,
  type BroadcastSizes,
  broadcastWords,
  initBroadcast,
  READER_LOST,
  READER_MISSED,
  READER_NEXT,
  readerLine,
} from '../../src/toolkit/ring/broadcast-layout.ts';
import { NO_SLOT } from '../../src/toolkit/ring/layout.ts';
import { insist, join, load, type Program, read, runAlone, store, write } from './access.ts';
import type { Scenario } from './machine.ts';
import type { KernelOptions, Kernels } from './rewrite.ts';

export const BROADCAST: KernelOptions = {
  modules: ['broadcast-kernel'],
  shared: ['words', 'from', 'into'],
  pure: ['packReader', 'readerLine', 'readerSeq', 'seqDistance'],
};

const SLOT_WORDS = 2;
const READ_OK = 1;
const READ_NOTHING = 0;
const ENDED = 2;
const RELEASED = -1;
const PAGES_MAX = 8;

export interface BroadcastCase {
  readonly capacity: number;
  readonly items: number;
  readonly readers: number;
  readonly startSeq?: number;
  /** Pages of the writer; fewer than slots: it evicts the slowest reader to get one back. */
  readonly pages?: number;
  /** Readers that lose their place ask for another; the writer stays until all are done. */
  readonly rejoins?: boolean;
  /** Readers have no place at the start. */
  readonly joinsLate?: boolean;
  /** After its first item a reader leaves, and joins no more. */
  readonly leaves?: boolean;
}

class Rig {
  readonly memory: ArrayBuffer;
  readonly words: Int32Array;
  readonly #pages: Int32Array;
  /** Two words for the writer, then two for each reader. */
  readonly #copies: Int32Array;
  readonly #done: Int32Array;
  readonly #kernels: Kernels;
  readonly #spec: BroadcastCase;
  readonly #sizes: BroadcastSizes;
  #free: number[] = [];
  releases = 0;
  published = 0;
  seen: number[][] = [];

  constructor(kernels: Kernels, spec: BroadcastCase) {
    this.#kernels = kernels;
    this.#spec = spec;
    this.#sizes = { capacity: spec.capacity, slotWords: SLOT_WORDS, readerCount: spec.readers };
    const ringBytes = broadcastWords(this.#sizes) * 4;
    this.memory = new ArrayBuffer(ringBytes + 256);
    this.words = new Int32Array(this.memory, 0, ringBytes >> 2);
    this.#pages = new Int32Array(this.memory, ringBytes, PAGES_MAX);
    this.#copies = new Int32Array(this.memory, ringBytes + 64, 16);
    this.#done = new Int32Array(this.memory, ringBytes + 128, 8);
  }

  reset(): void {
    const {
      startSeq = 0,
      pages = this.#spec.capacity + 1,
      joinsLate = false,
      readers,
    } = this.#spec;
    new Int32Array(this.memory).fill(0);
    this.#pages.fill(RELEASED);
    initBroadcast(this.words, this.#sizes, startSeq);
    this.#free = Array.from({ length: pages }, (_, page) => page);
    this.releases = 0;
    this.published = 0;
    this.seen = [];
    if (joinsLate) return;
    for (let i = 0; i < readers; i++)
      runAlone(this.#kernels.broadcastJoin!(this.words, readerLine(i)));
    runAlone(this.#poll());
  }

  *write(from: number, to: number): Program {
    const kernels = this.#kernels;
    const { words } = this;
    for (let item = from; item <= to; item++) {
      if (this.#free.length === 0) yield* this.#poll();
      while (this.#free.length === 0) {
        const isEvicted = yield* kernels.broadcastEvictSlowest!(words);
        if (isEvicted) yield* this.#poll();
        else
          yield* insist(
            () => this.#poll(),
            () => this.#free.length > 0,
          );
      }
      const page = this.#free.pop()!;
      yield* write(this.#pages, page, item, 'writes the page');
      if ((yield* kernels.broadcastRoom!(words)) < 1) {
        yield* kernels.broadcastEvictOldest!(words);
        yield* this.#poll();
        assert.ok((yield* kernels.broadcastRoom!(words)) >= 1, 'eviction frees the oldest slot');
      }
      const slot = yield* kernels.broadcastClaim!(words);
      yield* write(this.#copies, 0, page);
      yield* write(this.#copies, 1, item);
      yield* kernels.broadcastWriteSlot!(words, slot, this.#copies, 0);
      yield* kernels.broadcastPublish!(words);
      this.published += 1;
    }
    yield* this.#poll();
    if (this.#spec.rejoins === true) yield* insist(() => this.#pollUntilDone(), Boolean);
  }

  *#pollUntilDone(): Program<boolean> {
    yield* this.#poll();
    for (let reader = 0; reader < this.#spec.readers; reader++) {
      if ((yield* load(this.#done, reader, 'is the reader done')) === 0) return false;
    }
    return true;
  }

  *#poll(): Program {
    const kernels = this.#kernels;
    const { words } = this;
    const takeAside = () => kernels.broadcastTakeAside!(words);
    for (let at = yield* takeAside(); at !== NO_SLOT; at = yield* takeAside()) {
      yield* this.#release(at);
    }
    const passed = yield* kernels.broadcastPassed!(words);
    const takePassed = () => kernels.broadcastTakePassed!(words, passed);
    for (let at = yield* takePassed(); at !== NO_SLOT; at = yield* takePassed()) {
      yield* this.#release(at);
    }
  }

  *#release(at: number): Program {
    const page = yield* load(this.words, at, 'looks which page to release');
    const item = yield* read(this.#pages, page, 'looks at the page');
    assert.equal(item, yield* load(this.words, at + 1), 'a page is released once, as it was');
    yield* write(this.#pages, page, RELEASED, 'releases the page');
    this.releases += 1;
    this.#free.push(page);
  }

  *read(reader: number, last: number): Program {
    const kernels = this.#kernels;
    const line = readerLine(reader);
    const into = this.#copies;
    const at = 2 + 2 * reader;
    const seen: number[] = [];
    this.seen[reader] = seen;
    const { rejoins = false, joinsLate = false, leaves = false } = this.#spec;
    if (joinsLate) yield* kernels.broadcastJoin!(this.words, line);
    let wasEvicted = joinsLate;
    while (seen.at(-1) !== last) {
      const answer = yield* insist(
        () => this.#tryRead(line, at, last),
        (found) => found !== READ_NOTHING,
      );
      if (answer === ENDED) break;
      if (answer === READ_OK) {
        const page = yield* read(into, at);
        const item = yield* read(into, at + 1);
        yield* this.#checkItem(line, item, wasEvicted ? -1 : (seen.at(-1) ?? 0) + 1);
        wasEvicted = false;
        assert.equal(
          yield* read(this.#pages, page, 'reads the page'),
          item,
          'the page of the item',
        );
        seen.push(item);
        yield* kernels.broadcastFinish!(this.words, line, 1);
        if (leaves) break;
      } else {
        if (!rejoins) return;
        wasEvicted = true;
        yield* kernels.broadcastJoin!(this.words, line);
      }
    }
    yield* kernels.broadcastLeave!(this.words, line);
    yield* store(this.#done, reader, 1, 'is done');
  }

  /** The item is that of nextSeq, the one behind the last where no place was lost; it was told. */
  *#checkItem(line: number, item: number, expected: number): Program {
    const next = yield* read(this.words, line + READER_NEXT);
    assert.equal(item, ((next - (this.#spec.startSeq ?? 0)) | 0) + 1, 'the item of the sequence');
    if (expected !== -1) {
      assert.equal(item, expected, 'items in order, none left out');
      return;
    }
    const lost = yield* read(this.words, line + READER_LOST);
    const missed = yield* read(this.words, line + READER_MISSED);
    assert.equal((lost + missed) | 0, next, 'what was missed was told');
  }

  /** ENDED: nothing is there, and nothing will come. */
  *#tryRead(line: number, at: number, last: number): Program<number> {
    const end = ((this.#spec.startSeq ?? 0) + last) | 0;
    const isOut =
      this.#spec.rejoins === true && (yield* load(this.words, BROADCAST_WRITE_WORD)) === end;
    const answer = yield* this.#kernels.broadcastTryRead!(this.words, line, this.#copies, at);
    return answer === READ_NOTHING && isOut ? ENDED : answer;
  }

  /** What the supervisor does when the thread of a reader has ended. */
  *abandonReader(thread: number, reader: number): Program {
    yield* join(thread);
    yield* this.#kernels.broadcastLeave!(this.words, readerLine(reader));
    yield* store(this.#done, reader, 1, 'is done');
  }

  *recover(thread: number): Program {
    yield* join(thread);
    yield* this.#kernels.broadcastRecover!(this.words);
  }

  /** When all readers have left, everything is released. */
  checkReleased(lostMax = 0): void {
    for (let i = 0; i < this.#spec.readers; i++) {
      runAlone(this.#kernels.broadcastLeave!(this.words, readerLine(i)));
    }
    runAlone(this.#poll());
    const { words } = this;
    assert.equal(words[BROADCAST_RELEASED_WORD], words[BROADCAST_WRITE_WORD], 'all is released');
    const lost = this.published - this.releases;
    assert.ok(lost >= 0 && lost <= lostMax, `${lost} pages not released`);
  }

  /** A new writer has pages of its own. */
  newPages(): void {
    this.#free = [PAGES_MAX - 1, PAGES_MAX - 2, PAGES_MAX - 3];
  }
}

/** One writer, readers; thread 0 is the writer. */
export function broadcast(kernels: Kernels, spec: BroadcastCase): Scenario {
  const rig = new Rig(kernels, spec);
  return () => {
    rig.reset();
    const threads: Record<string, Program> = { writer: rig.write(1, spec.items) };
    for (let i = 0; i < spec.readers; i++) threads[`reader ${i}`] = rig.read(i, spec.items);
    return { memory: rig.memory, threads, check: () => rig.checkReleased() };
  };
}

/** Reader 0 (thread 1) dies; its place is given up for it. */
export function readerDies(kernels: Kernels, spec: BroadcastCase): Scenario {
  const rig = new Rig(kernels, spec);
  return () => {
    rig.reset();
    const threads = {
      writer: rig.write(1, spec.items),
      reader: rig.read(0, spec.items),
      supervisor: rig.abandonReader(1, 0),
    };
    return { memory: rig.memory, threads, check: () => rig.checkReleased() };
  };
}

/** The writer (thread 0) dies; the next one goes on with the ring. */
export function writerDies(kernels: Kernels, spec: BroadcastCase): Scenario {
  const rig = new Rig(kernels, spec);
  return () => {
    rig.reset();
    function* succeed(): Program {
      yield* rig.recover(0);
      rig.newPages();
      yield* rig.write(rig.published + 1, spec.items + 1);
    }
    const threads = {
      writer: rig.write(1, spec.items),
      reader: rig.read(0, spec.items + 1),
      successor: succeed(),
    };
    return { memory: rig.memory, threads, check: () => rig.checkReleased(1) };
  };
}
