/**
 * Races: finds two accesses of one word, one of them plain and one of them a write, that nothing
 * orders.
 *
 * WHY        The checker runs sequentially consistent interleavings. By the memory model of
 *            ECMAScript (section "Memory Model", "Data Race Freedom": an execution of a program
 *            that is free of data races is sequentially consistent) these are all executions
 *            there are, if and only if there is no race: so every schedule looks for one.
 * HOW        Vector clocks. Happens-before is the order in a thread, and a release by an Atomics
 *            write to the Atomics read that reads its value. A clock holds, for each thread, the
 *            number of its last access (in the trace) that happens before now; a word keeps, for
 *            each thread, its last access of each of four kinds.
 * INVARIANTS Numbers start at 1; 0 is "never". Initial values happen before everything.
 * REFUSED    Release sequences as C++ has them (a store replaces what the word releases, for only
 *            the value that is read synchronises); order by sleeping and waking (a thread that was
 *            woken has to load what it waits for anyway).
 */
import { READ, STORE, WRITE } from './access.ts';

const PLAIN_READ = 0;
const PLAIN_WRITE = 1;
const ATOMIC_READ = 2;
const ATOMIC_WRITE = 3;
const KINDS = 4;

export class Races {
  readonly #threads: number;
  readonly #clocks: Int32Array;
  /** word * threads: the clock of the Atomics write whose value the word holds. */
  readonly #released: Int32Array;
  /** (word * KINDS + kind) * threads: last access. */
  readonly #last: Int32Array;

  constructor(threads: number, words: number) {
    this.#threads = threads;
    this.#clocks = new Int32Array(threads * threads);
    this.#released = new Int32Array(words * threads);
    this.#last = new Int32Array(words * KINDS * threads);
  }

  reset(): void {
    this.#clocks.fill(0);
    this.#released.fill(0);
    this.#last.fill(0);
  }

  /**
   * Access number `now` of the trace, by `thread`. Returns the number of an access that it races
   * with, or 0.
   */
  access(thread: number, word: number, op: number, hasWritten: boolean, now: number): number {
    if (op === READ) {
      const found =
        this.#unordered(thread, word, PLAIN_WRITE) || this.#unordered(thread, word, ATOMIC_WRITE);
      this.#note(thread, word, PLAIN_READ, now);
      return found;
    }
    if (op === WRITE) {
      const found = this.#unorderedAny(thread, word);
      this.#note(thread, word, PLAIN_WRITE, now);
      // Who loads this value synchronises with nobody.
      this.#released.fill(0, word * this.#threads, (word + 1) * this.#threads);
      return found;
    }
    let found = this.#unordered(thread, word, PLAIN_WRITE);
    if (op !== STORE) this.#acquire(thread, word);
    this.#clocks[thread * this.#threads + thread] = now;
    if (hasWritten) {
      found ||= this.#unordered(thread, word, PLAIN_READ);
      this.#note(thread, word, ATOMIC_WRITE, now);
      this.#release(thread, word);
    } else this.#note(thread, word, ATOMIC_READ, now);
    return found;
  }

  /** All that `other` has done happens before what `thread` does next. */
  join(thread: number, other: number): void {
    const n = this.#threads;
    for (let i = 0; i < n; i++) {
      const seen = this.#clocks[other * n + i]!;
      if (seen > this.#clocks[thread * n + i]!) this.#clocks[thread * n + i] = seen;
    }
  }

  #note(thread: number, word: number, kind: number, now: number): void {
    this.#clocks[thread * this.#threads + thread] = now;
    this.#last[(word * KINDS + kind) * this.#threads + thread] = now;
  }

  #unordered(thread: number, word: number, kind: number): number {
    const n = this.#threads;
    const at = (word * KINDS + kind) * n;
    for (let other = 0; other < n; other++) {
      const last = this.#last[at + other]!;
      if (other !== thread && last > this.#clocks[thread * n + other]!) return last;
    }
    return 0;
  }

  #unorderedAny(thread: number, word: number): number {
    for (let kind = 0; kind < KINDS; kind++) {
      const found = this.#unordered(thread, word, kind);
      if (found > 0) return found;
    }
    return 0;
  }

  #acquire(thread: number, word: number): void {
    const n = this.#threads;
    for (let i = 0; i < n; i++) {
      const released = this.#released[word * n + i]!;
      if (released > this.#clocks[thread * n + i]!) this.#clocks[thread * n + i] = released;
    }
  }

  #release(thread: number, word: number): void {
    const n = this.#threads;
    for (let i = 0; i < n; i++) this.#released[word * n + i] = this.#clocks[thread * n + i]!;
  }
}
