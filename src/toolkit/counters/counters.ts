/**
 * Counters in shared memory: a worker adds, the main thread reads.
 *
 * WHY          Workers that block in epoll_wait(2) cannot answer messages, and a message per sample
 *              would allocate; a shared slab costs one plain store and is read at any time.
 * LAYOUT       one slab per writer: `names.length` float64 words (exact integers up to 2^53), the
 *              slab in a SharedArrayBuffer of its own, so that writers never share a cache line.
 * OWNERSHIP    exactly one writer per slab; any number of readers.
 * MEMORY ORDER plain aligned 8-byte stores: one instruction on the 64-bit targets of V8, so a
 * reader
 *              sees an old or a new value, never a mixture; no order between two counters is
 *              promised. What must be consistent as a set is read after the writer has stopped
 *              (drain).
 * REFUSED      Atomics on BigInt64Array (boxes, 20 ns), one Int32 per counter (wraps in an hour).
 */
import { assert } from '../base/assert.ts';

/** What travels to a worker. */
export interface CounterHandle<Name extends string> {
  readonly names: readonly Name[];
  readonly buffer: SharedArrayBuffer;
}

export class Counters<Name extends string> {
  readonly handle: CounterHandle<Name>;
  /** The words, in the order of `names`; the hot path adds to them by a constant index. */
  readonly values: Float64Array;

  constructor(handle: CounterHandle<Name>) {
    this.handle = handle;
    this.values = new Float64Array(handle.buffer);
    assert(this.values.length >= handle.names.length, 'a counter slab holds all its names');
  }

  static create<Name extends string>(names: readonly Name[]): Counters<Name> {
    return new Counters({ names, buffer: new SharedArrayBuffer(8 * names.length) });
  }

  /** The index of a counter, looked up once at start. */
  index(name: Name): number {
    const index = this.handle.names.indexOf(name);
    assert(index >= 0, 'a counter that is not in the list of its slab');
    return index;
  }

  add(name: Name, amount: number): void {
    this.values[this.index(name)]! += amount;
  }

  set(name: Name, value: number): void {
    this.values[this.index(name)] = value;
  }

  get(name: Name): number {
    return this.values[this.index(name)]!;
  }

  /** A copy of all values by name. */
  snapshot(): Record<Name, number> {
    const result = {} as Record<Name, number>;
    this.handle.names.forEach((name, index) => {
      result[name] = this.values[index]!;
    });
    return result;
  }
}
