/**
 * Flights: which thread has lent which page how often, so that what a dead one lent can be ended.
 *
 * WHY         A worker can be terminated at any instruction. Its lends must end all the same, and
 *             nobody else's: one that is lost would keep its page for ever, one too many would free
 *             a page that is still being read.
 * LAYOUT      owner o, 128 bytes:    [ begun | ended | page | .... unused .... ]   int32 each
 *                                      0       4       8
 *             behind owner 127:      uint16 lends[owner][page]
 *             A row that nobody uses is never touched: no memory.
 * OWNERSHIP   A thread writes the entry and the row of its own number (0: threads without one, by
 *             Atomics as all do); the supervisor those of a dead thread.
 * INVARIANTS  1. each change is between begin() and end(); lend: the page's state first, then the
 *             row; give back: the row first. So the in-flight count of a page is the sum of its
 *             rows, or more by one for each thread between the two
 *             2. while begun = ended for all, the sum is exact. A difference then is what threads
 *             left that died between the two words (settle()).
 * REFUSED     Trust in where V8 terminates a thread (a test ends some between any two words); one
 *             lender per page (a reader may send what another thread still fills).
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';
import { PAGE_OWNER_MAX } from './layout.ts';

const OWNER_COUNT = PAGE_OWNER_MAX + 1;
const OWNER_WORDS = CACHE_LINE_PAIR_BYTES / 4;
const ROWS_OFFSET = OWNER_COUNT * CACHE_LINE_PAIR_BYTES;
const BEGUN_WORD = 0;
const ENDED_WORD = 1;
const PAGE_WORD = 2;

/** Bytes of the flights of a pool. */
export function flightsBytes(pageCount: number): number {
  return ROWS_OFFSET + OWNER_COUNT * pageCount * 2;
}

export class Flights {
  readonly #owners: Int32Array;
  readonly #rows: Uint16Array;
  readonly #pageCount: number;
  readonly #entry: number;
  readonly #row: number;

  constructor(buffer: SharedArrayBuffer, pageCount: number, owner: number) {
    this.#owners = new Int32Array(buffer, 0, OWNER_COUNT * OWNER_WORDS);
    this.#rows = new Uint16Array(buffer, ROWS_OFFSET);
    this.#pageCount = pageCount;
    this.#entry = owner * OWNER_WORDS;
    this.#row = owner * pageCount;
  }

  /** This thread is about to change the flights of a page. */
  begin(page: number): void {
    Atomics.store(this.#owners, this.#entry + PAGE_WORD, page);
    Atomics.add(this.#owners, this.#entry + BEGUN_WORD, 1);
  }

  end(): void {
    Atomics.add(this.#owners, this.#entry + ENDED_WORD, 1);
  }

  /** Lends of this thread. */
  count(page: number): number {
    return Atomics.load(this.#rows, this.#row + page);
  }

  increment(page: number): void {
    Atomics.add(this.#rows, this.#row + page, 1);
  }

  decrement(page: number): void {
    Atomics.sub(this.#rows, this.#row + page, 1);
  }

  /** The lends of a dead owner, which has none any more. */
  take(owner: number, page: number): number {
    return Atomics.exchange(this.#rows, owner * this.#pageCount + page, 0);
  }

  /** The page that a dead owner was about to lend or give back, or -1. A second time: -1. */
  takeUnfinished(owner: number): number {
    const entry = owner * OWNER_WORDS;
    const begun = Atomics.load(this.#owners, entry + BEGUN_WORD);
    const ended = Atomics.exchange(this.#owners, entry + ENDED_WORD, begun);
    return begun === ended ? -1 : Atomics.load(this.#owners, entry + PAGE_WORD);
  }

  /** Lends of all threads. */
  total(page: number): number {
    let sum = 0;
    for (let owner = 0; owner < OWNER_COUNT; owner++) {
      sum += Atomics.load(this.#rows, owner * this.#pageCount + page);
    }
    return sum;
  }

  /**
   * Changes that all threads have begun, or ended, modulo 2^32. Ended before a look and begun after
   * it equal: nobody changed anything meanwhile.
   */
  begunSum(): number {
    return this.#sum(BEGUN_WORD);
  }

  endedSum(): number {
    return this.#sum(ENDED_WORD);
  }

  #sum(word: number): number {
    let sum = 0;
    for (let owner = 0; owner < OWNER_COUNT; owner++) {
      sum = (sum + Atomics.load(this.#owners, owner * OWNER_WORDS + word)) | 0;
    }
    return sum;
  }
}
