/**
 * Counters: named counters in shared memory; workers add, the main thread reads.
 *
 * WHY          Workers that block in epoll_wait(2) cannot answer messages, and a message per sample
 *              would allocate. An add is one plain add to a line of the writer's own; what belongs
 *              together is shown together, once for each turn.
 * LAYOUT       counters-layout.ts: for each writer live words, and a published copy of them.
 * OWNERSHIP    one writer a slab (counter-writer.ts), claimed by compare-and-swap; any number of
 *              readers. This object belongs to nobody: it reads, and buries a writer that died.
 * INVARIANTS   1. a snapshot holds counters of each writer as they were at one publish() of his
 *              2. nothing that was counted is lost with a thread: abandonWriter() publishes what
 *              its writer had not.
 * MEMORY ORDER ring/seqlock-kernel.ts. Live words are plain: their writer reads them, or who has
 *              seen its thread end.
 * PROGRESS     wait-free; a reader that finds no whole copy in time keeps the last one.
 * REFUSED      reading the live words (a set of them is of no moment, and the memory model lets a
 *              float64 tear); Atomics on BigInt64Array (boxes, 20 ns an add); one Int32 per counter
 *              (wraps in an hour); percentiles and gauges (a counter that is set is a gauge).
 * SOURCE       Agrona's CountersManager (records and labels apart); the sequence counter of Linux.
 */
import { assert } from '../base/assert.ts';
import { type Backend, createMemory, type RoleState } from '../ring/index.ts';
import { abandonRole, roleState } from '../ring/roles.ts';
import { CounterReader } from './counter-reader.ts';
import { CounterWriter } from './counter-writer.ts';
import { counterPublish } from './counters-kernel.ts';
import { type CounterHandle, slabPlace, slabSetBytes } from './counters-layout.ts';

export interface CounterOptions {
  /** Slabs; 1 when nothing is said. */
  readonly writerCount?: number;
  readonly backend?: Backend;
  /** Tests: version of the published copies, so that it wraps soon; even. */
  readonly startVersion?: number;
}

export class Counters<Name extends string = string> {
  readonly handle: CounterHandle<Name>;
  readonly #words: Int32Array;
  readonly #reader: CounterReader;

  constructor(handle: CounterHandle<Name>) {
    this.handle = handle;
    this.#words = new Int32Array(handle.memory.buffer);
    this.#reader = new CounterReader([handle]);
  }

  /** All counters 0. */
  static create<Name extends string>(
    names: readonly Name[],
    options: CounterOptions = {},
  ): Counters<Name> {
    const { writerCount = 1, backend = 'auto', startVersion = 0 } = options;
    assert(new Set(names).size === names.length, 'a counter has a name of its own');
    assert(Number.isInteger(writerCount) && writerCount > 0, 'counters have a writer or several');
    assert((startVersion & 1) === 0, 'the first version is even');
    const memory = createMemory(slabSetBytes(names.length, writerCount));
    const words = new Int32Array(memory.buffer);
    for (let writer = 0; writer < writerCount; writer++) {
      words[slabPlace(names.length, writer).baseWord] = startVersion;
    }
    return new Counters({ names, writerCount, memory, backend });
  }

  /**
   * Takes the role of writer `writer` for this thread; it goes on from what was counted before. A
   * second one is a bug, and asserted.
   */
  static writer<Name extends string>(handle: CounterHandle<Name>, writer = 0): CounterWriter<Name> {
    return new CounterWriter(handle, writer);
  }

  /**
   * Sums over all writers, by name: what they had published at one moment (or each at his last
   * publish, when they publish without a pause). Into an object that is used again, if one is
   * given.
   */
  snapshot(into?: Record<Name, number>): Record<Name, number> {
    this.#reader.take();
    return this.#reader.totals(this.handle, into);
  }

  /**
   * Counters of one writer, in the order of `names`: a view that the next snapshot overwrites.
   */
  snapshotOf(writer: number): Float64Array {
    this.#reader.take();
    return this.#reader.values(0, writer);
  }

  writerState(writer = 0): RoleState {
    return roleState(this.#words, slabPlace(this.handle.names.length, writer).roleWord);
  }

  /**
   * For who learns that the thread of the writer has ended (`exit` of its Worker). What it had
   * counted and not published is published, be it in the middle of a turn. False: nobody held the
   * role, and nothing is done.
   */
  abandonWriter(writer = 0): boolean {
    const { liveWord, roleWord, baseWord, wordCount } = slabPlace(this.handle.names.length, writer);
    if (roleState(this.#words, roleWord) !== 'held') return false;
    // Before the role is free: its next holder finds nothing left to do, and nobody beside him.
    counterPublish(this.#words, liveWord, baseWord, wordCount);
    return abandonRole(this.#words, roleWord);
  }
}
