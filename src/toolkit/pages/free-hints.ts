/**
 * Free hints: one bit per page, set when the page may be free.
 *
 * WHY         Where the free list has nothing, the lowest free page is wanted: of a new pool no
 *             more is touched than is used. With a thousand pages in use, looking at each page's
 *             state for it costs as much as copying 64 KiB (bench/arena.ts).
 * LAYOUT      int32 words, page i is bit i & 31 of word i >> 5; bits beyond the last page are 0.
 * OWNERSHIP   Every thread sets and clears bits with Atomics. The state word of the page decides
 *             alone who has it.
 * INVARIANTS  1. a bit is set after its page has become free and found no place in the free list,
 *             and cleared by the thread that has taken the page, if it sees it
 *             2. so a bit may be set for a page that is taken (costs a look), and may be missing
 *             for a page that has this moment become free, that is in the free list, or whose last
 *             holder was stopped between the two steps: who finds nothing looks at every page.
 * REFUSED     Clearing a bit that was found wrong (it may be right by then: a free page would be
 *             hidden); exact counts (a second word to keep in step with the first).
 */

/** No page from here on has a hint. */
export const NO_HINT = -1;

const ALL = -1;

export class FreeHints {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Every page of a new pool is free. */
  fill(pageCount: number): void {
    this.#words.fill(ALL, 0, pageCount >> 5);
    if ((pageCount & 31) !== 0) this.#words[pageCount >> 5] = (1 << (pageCount & 31)) - 1;
  }

  set(page: number): void {
    Atomics.or(this.#words, page >> 5, 1 << (page & 31));
  }

  clear(page: number): void {
    const bit = 1 << (page & 31);
    // A plain read: most pages come from the free list, and have none.
    if ((this.#words[page >> 5]! & bit) !== 0) Atomics.and(this.#words, page >> 5, ~bit);
  }

  /** The lowest page from `from` on that may be free, or NO_HINT. */
  next(from: number): number {
    const words = this.#words;
    let index = from >> 5;
    if (index >= words.length) return NO_HINT;
    // Plain reads: the page's state is what counts.
    let word = words[index]! & (ALL << (from & 31));
    while (word === 0) {
      index++;
      if (index >= words.length) return NO_HINT;
      word = words[index]!;
    }
    return (index << 5) + 31 - Math.clz32(word & -word);
  }
}
