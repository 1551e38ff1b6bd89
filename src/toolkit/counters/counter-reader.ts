/**
 * CounterReader: copies of all slabs of one or several sets, of one moment.
 *
 * WHY          A ledger may have terms in slabs of several threads. Each slab is whole in itself;
 *              that all of them are of one moment is one more look at their versions.
 * OWNERSHIP    One thread; any number of readers. Writes nothing that is shared.
 * INVARIANTS   1. what take() keeps of a slab is one publish() of its writer. 2. after MOMENT, all
 *              of it was published at one moment: between the last copy and the first version that
 *              was looked at again. 3. after WHOLE, what was copied later is of the same moment or
 *              of a later one: slabs are copied in the order in which they were named. So name the
 *              slab first that counts what another one had counted before: it never leads.
 * MEMORY ORDER ring/seqlock-kernel.ts.
 * PROGRESS     wait-free: at most TAKE_ATTEMPTS copies of everything, no allocation.
 * REFUSED      waiting for a writer that has lost its CPU in the middle of a publish (the copy of
 *              the last call is a statement too, an old one).
 */
import { assert } from '../base/assert.ts';
import { SEQLOCK_BUSY, seqlockRead } from '../ring/index.ts';
import { COUNTER_WORDS, type CounterHandle, slabPlace } from './counters-layout.ts';

/** Answers of take(): no whole copy was found, and the one of the last call stays. */
export const TAKE_STALE = 0;
/** Each slab is whole; they may be of different moments. */
export const TAKE_WHOLE = 1;
/** All slabs are whole and of one moment. */
export const TAKE_MOMENT = 2;

/** A publish takes a tenth of a microsecond, and one comes for each turn of a stage. */
const TAKE_ATTEMPTS = 64;

interface Slab {
  readonly words: Int32Array;
  readonly base: number;
  /** First int32 word of its copy, and how many. */
  readonly from: number;
  readonly count: number;
}

export class CounterReader {
  readonly #handles: readonly CounterHandle[];
  readonly #slabs: readonly Slab[];
  readonly #versions: Int32Array;
  readonly #fresh: Int32Array;
  readonly #kept: Int32Array;
  /** By set, by writer: counters of the last take() that was not stale. */
  readonly #values: readonly (readonly Float64Array[])[];

  constructor(handles: readonly CounterHandle[]) {
    this.#handles = handles;
    const slabs: Slab[] = [];
    let from = 0;
    for (const { memory, names, writerCount } of handles) {
      const words = new Int32Array(memory.buffer);
      for (let writer = 0; writer < writerCount; writer++) {
        const { baseWord, wordCount } = slabPlace(names.length, writer);
        slabs.push({ words, base: baseWord, from, count: wordCount });
        from += wordCount;
      }
    }
    this.#slabs = slabs;
    this.#versions = new Int32Array(slabs.length);
    this.#fresh = new Int32Array(from);
    this.#kept = new Int32Array(from);
    let next = 0;
    this.#values = handles.map(({ writerCount }) =>
      Array.from({ length: writerCount }, () => {
        const { from: word, count } = slabs[next++]!;
        return new Float64Array(this.#kept.buffer, word * 4, count / COUNTER_WORDS);
      }),
    );
  }

  /** Copies everything. TAKE_MOMENT, TAKE_WHOLE or TAKE_STALE: what was found in time. */
  take(): number {
    let found = TAKE_STALE;
    for (let attempt = 0; attempt < TAKE_ATTEMPTS && found !== TAKE_MOMENT; attempt++) {
      if (!this.#copyAll()) continue;
      this.#kept.set(this.#fresh);
      found = this.#isUnchanged() ? TAKE_MOMENT : TAKE_WHOLE;
    }
    return found;
  }

  /** Counters of one writer in the order of the names; overwritten by the next take(). */
  values(set: number, writer: number): Float64Array {
    return this.#values[set]![writer]!;
  }

  /**
   * Sums over the writers of a set, by name; into an object that is used again, if one is given.
   */
  totals<Name extends string>(
    handle: CounterHandle<Name>,
    into = {} as Record<Name, number>,
  ): Record<Name, number> {
    const set = this.#handles.indexOf(handle);
    assert(set >= 0, 'a reader knows the sets that it was made with');
    const slabs = this.#values[set]!;
    const { names } = handle;
    for (let index = 0; index < names.length; index++) {
      let sum = 0;
      for (let writer = 0; writer < slabs.length; writer++) sum += slabs[writer]![index]!;
      into[names[index]!] = sum;
    }
    return into;
  }

  #copyAll(): boolean {
    const slabs = this.#slabs;
    for (let i = 0; i < slabs.length; i++) {
      const { words, base, from, count } = slabs[i]!;
      const version = seqlockRead(words, base, this.#fresh, from, count);
      if (version === SEQLOCK_BUSY) return false;
      this.#versions[i] = version;
    }
    return true;
  }

  #isUnchanged(): boolean {
    const slabs = this.#slabs;
    for (let i = 0; i < slabs.length; i++) {
      const { words, base } = slabs[i]!;
      if (Atomics.load(words, base) !== this.#versions[i]) return false;
    }
    return true;
  }
}
