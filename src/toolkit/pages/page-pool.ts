/**
 * Page pool: fixed pages of one arena, lent out, and free again when nobody can read them.
 *
 * WHY         Received bytes stay where recv(2) put them until every reader has consumed them, and
 *             bytes that are sent by reference stay where they are until the network is through:
 *             so somebody must know when a page may be filled again.
 * LAYOUT      arena.ts, layout.ts. A page's bytes start at page * pageBytes of `bytes`.
 * OWNERSHIP   free -> filling (one owner) -> shared (n readers) -> in flight (m lends) -> free;
 *             steps may be left out, and a page may be in several of these states at once.
 *             A page is lent by who holds it (filling, or as a reader) and given back by the thread
 *             that lent it, when its policy has proved that nobody outside reads it any more. Where
 *             nobody can prove that any more (a socket closed with pages in flight, a dead thread)
 *             it is marked stale first: acquire() then replaces its memory, so that whoever still
 *             reads the old one keeps it.
 * INVARIANTS  1. a page is written only by the owner that holds it filling, and only beyond its
 *             published slices and lent bytes (the journal completes the block header of a slice)
 *             2. state 0, or STALE alone, means: nobody of this process refers to the page
 *             3. the generation of a reference equals that of its page as long as it is in use
 *             4. what a thread fills and has lent ends with abandon(), wherever it was stopped
 *             (flights.ts), and never is a page free too early
 *             5. page count = sum of who may hold a page.
 * PROGRESS    lock-free (compare-and-swap on the page's own state word).
 * WHERE       acquire() looks at the pages freed last (free-list.ts), then for the lowest one that
 *             has a hint (free-hints.ts), then at all: pages that were used a moment ago are warm
 *             in the cache, and an arena that is never full is never touched beyond what is used.
 * GUARD       With one (page-guard.ts) what nobody may write is write-protected; without, a null
 *             check a step.
 * REFUSED     A free list of all pages (it would give the coldest one); a list that decides (a
 *             thread that dies between list and page would lose the page); one pool per connection
 *             (idle memory); waiting for the kernel before a stale page is used (there is no signal
 *             to wait for).
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import { OS_PAGE_BYTES, PAGE_BYTES } from '../base/limits.ts';
import type { SharedMemory } from '../base/webassembly.ts';
import type { MpmcRingHandle } from '../ring/mpmc-member.ts';
import { type ArenaOptions, type ArenaReport, createArena, renewMemory } from './arena.ts';
import { Flights, flightsBytes } from './flights.ts';
import { FreeHints, NO_HINT } from './free-hints.ts';
import { FreeList, NO_ENTRY } from './free-list.ts';
import {
  COUNT_WORDS,
  countsOffset,
  EXHAUSTED_COUNT,
  GENERATION_WORD,
  HELD_MASK,
  hintsOffset,
  hintWords,
  IN_FLIGHT_MASK,
  IN_FLIGHT_MAX,
  IN_FLIGHT_ONE,
  IN_FLIGHT_SHIFT,
  isFreeState,
  NOT_FILLING_MASK,
  PAGE_ENTRY_WORDS,
  PAGE_FILLING,
  PAGE_OWNER_MASK,
  PAGE_OWNER_MAX,
  PAGE_OWNER_SHIFT,
  PAGE_STALE,
  RENEWAL_REFUSED_COUNT,
  RENEWED_COUNT,
  SHARED_MASK,
  SHARED_MAX,
  SHARED_ONE,
  STATE_WORD,
  tableBytes,
} from './layout.ts';
import { checkGuardable, type PageGuard, wholeOsPages } from './page-guard.ts';
import { countPages, type PageHolders, type PageStats, sumOfHolders } from './page-stats.ts';

/** What travels to workers. */
export interface PagePoolHandle {
  readonly arena: SharedMemory;
  /** Where page 0 starts in the arena. */
  readonly arenaOffset: number;
  readonly table: SharedArrayBuffer;
  readonly flights: SharedArrayBuffer;
  readonly freeList: MpmcRingHandle;
  readonly pageCount: number;
  readonly pageBytes: number;
  readonly holders: PageHolders;
  /** What the kernel granted. */
  readonly report: ArenaReport;
}

export interface PagePoolOptions extends ArenaOptions {
  /** A multiple of 4096; 262,144 when left out. */
  readonly pageBytes?: number;
  /** How many pages, or `holders`; where both are given they must agree. */
  readonly pageCount?: number;
  /** Who may hold how many pages at once: the sum is the page count. */
  readonly holders?: PageHolders;
}

/** Looks at a page that a thread died with; a look takes microseconds. */
const SETTLE_TRIES = 800;
/** Every so often a pause of 1 ms: a thread between two words may wait for a CPU. */
const SETTLE_TRIES_PER_PAUSE = 16;

/** No page is free: an answer, not an exception. */
export const NO_PAGE = -1;

export class PagePool {
  readonly handle: PagePoolHandle;
  /** The whole arena; offsets below are into these two views. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly pageCount: number;
  readonly pageBytes: number;
  readonly #table: Int32Array;
  readonly #counts: BigInt64Array;
  #flights: Flights;
  #owner: number;
  /** Whether this view has lent while it had no number: then it gets none any more. */
  #hasLentUnowned = false;
  /** Pages that a thread died with between two words, and that could not be settled yet. */
  readonly #unsettled = new Set<number>();
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #hints: FreeHints;
  #freeList: FreeList;
  #guard: PageGuard | null = null;
  /** Owners whose thread died within a step of the free list that is not settled yet. */
  readonly #unsettledOwners = new Set<number>();

  /** A view of the pool, one per thread; `owner` as in acquire, for what this thread lends. */
  constructor(handle: PagePoolHandle, owner = 0) {
    assert(owner >= 0 && owner <= PAGE_OWNER_MAX, 'an owner that fits into the state of a page');
    const { arena, arenaOffset, pageCount, pageBytes } = handle;
    this.handle = handle;
    this.#owner = owner;
    this.pageCount = pageCount;
    this.pageBytes = pageBytes;
    this.bytes = new Uint8Array(arena.buffer, arenaOffset, pageCount * pageBytes);
    this.view = new DataView(arena.buffer, arenaOffset, pageCount * pageBytes);
    this.#table = new Int32Array(handle.table);
    this.#counts = new BigInt64Array(handle.table, countsOffset(pageCount), COUNT_WORDS);
    this.#hints = new FreeHints(
      new Int32Array(handle.table, hintsOffset(pageCount), hintWords(pageCount)),
    );
    this.#flights = new Flights(handle.flights, pageCount, owner);
    this.#freeList = new FreeList(handle.freeList, owner);
  }

  /**
   * A pool with its arena. A number: bytes of an arena with pages of 256 KiB whose memory is used
   * as they are touched.
   */
  static create(what: number | PagePoolOptions): PagePool {
    const options = typeof what === 'number' ? { pageCount: Math.floor(what / PAGE_BYTES) } : what;
    const { pageBytes = PAGE_BYTES } = options;
    const holders = options.holders ?? { anyone: options.pageCount ?? 0 };
    const pageCount = sumOfHolders(holders);
    assert(pageCount > 0, 'an arena holds at least one page');
    assert((options.pageCount ?? pageCount) === pageCount, 'page count = sum of the holders');
    assert(pageBytes > 0 && pageBytes % OS_PAGE_BYTES === 0, 'a page is made of whole OS pages');
    const arena = createArena(pageCount * pageBytes, options);
    const pool = new PagePool({
      arena: arena.memory,
      arenaOffset: arena.offset,
      table: new SharedArrayBuffer(tableBytes(pageCount)),
      flights: new SharedArrayBuffer(flightsBytes(pageCount)),
      freeList: FreeList.create(),
      pageCount,
      pageBytes,
      holders: { ...holders },
      report: arena.report,
    });
    pool.#hints.fill(pageCount);
    return pool;
  }

  /**
   * Under this number this view fills and lends pages: 1..127, from the start or from its first
   * acquire; 0 for a thread that nobody abandons.
   */
  get owner(): number {
    return this.#owner;
  }

  /** What the kernel granted when the arena was made. */
  get report(): ArenaReport {
    return this.handle.report;
  }

  /**
   * A free page, now filling for `owner` (the view's own when left out), or NO_PAGE (counted). Its
   * bytes are what they were. The first acquire gives its number to a view that has none. Stale
   * entries of the list cost a look each: lock-free, as more come only when others free pages.
   */
  acquire(owner = this.#owner): number {
    if (owner !== this.#owner || owner === 0) this.#own(owner);
    const freeList = this.#freeList;
    for (let page = freeList.take(); page !== NO_ENTRY; page = freeList.take()) {
      if (this.#take(page, owner)) return page;
    }
    const hints = this.#hints;
    for (let page = hints.next(0); page !== NO_HINT; page = hints.next(page + 1)) {
      if (this.#take(page, owner)) return page;
    }
    for (let page = 0; page < this.pageCount; page++) {
      if (this.#take(page, owner)) return page;
    }
    Atomics.add(this.#counts, EXHAUSTED_COUNT, 1n);
    return NO_PAGE;
  }

  /** How often the page was acquired, as int32 that wraps. */
  generation(page: number): number {
    return Atomics.load(this.#table, page * PAGE_ENTRY_WORDS + GENERATION_WORD);
  }

  /** Whether a reference made at `generation` (int32 or uint32) is to this life of the page. */
  isCurrent(page: number, generation: number): boolean {
    return this.generation(page) === (generation | 0) && !isFreeState(this.#state(page));
  }

  /** Throws MR_STALE_PAGE for a reference to an earlier life of the page. */
  checkCurrent(page: number, generation: number): void {
    if (this.isCurrent(page, generation)) return;
    const now = this.generation(page);
    const found = now === (generation | 0) ? 'which is free again' : `which is now at ${now}`;
    throw new MillraceError(
      'MR_STALE_PAGE',
      `a reference to generation ${generation | 0} of page ${page}, ${found}`,
      'hold the page (retain) for as long as something refers to it',
    );
  }

  /** One more slice of a page may be read by others. Before the slice is published. */
  retain(page: number): void {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    for (;;) {
      const state = Atomics.load(this.#table, word);
      assert((state & HELD_MASK) !== 0, 'a page gets readers from who holds it');
      assert((state & SHARED_MASK) < SHARED_MAX, 'at most 1,023 slices of a page are in use');
      if (this.#exchange(word, state, state + SHARED_ONE)) return;
    }
  }

  /** The last reader of a slice has passed. */
  release(page: number): void {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    for (;;) {
      const state = Atomics.load(this.#table, word);
      assert((state & SHARED_MASK) > 0, 'a page is released once per slice');
      const next = state - SHARED_ONE;
      if (!this.#exchange(word, state, next)) continue;
      if (isFreeState(next)) this.#offer(page);
      return;
    }
  }

  /**
   * The kernel, or a peer on this machine, may read the page until giveBack. By the thread that
   * gives it back, while it, or a reader, holds the page.
   */
  lend(page: number): void {
    assert(this.tryLend(page), 'a page is lent at most 4,095 times at once');
  }

  /** As lend; false: the page is lent 4,095 times already, to as many connections. */
  tryLend(page: number): boolean {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const flights = this.#flights;
    for (;;) {
      const state = Atomics.load(this.#table, word);
      assert((state & HELD_MASK) !== 0, 'a page is lent by who holds it');
      const count = (state & IN_FLIGHT_MASK) >>> IN_FLIGHT_SHIFT;
      if (count === IN_FLIGHT_MAX) return false;
      if (this.#owner === 0) this.#hasLentUnowned = true;
      flights.begin(page);
      const isLent = this.#exchange(word, state, state + IN_FLIGHT_ONE);
      if (isLent) flights.increment(page);
      flights.end();
      if (isLent) return true;
    }
  }

  /** It is proved that what lend() allowed to be read is read no more, or the page is stale. */
  giveBack(page: number): void {
    const flights = this.#flights;
    assert(flights.count(page) > 0, 'a page is given back once per lend');
    flights.begin(page);
    flights.decrement(page);
    this.#endFlights(page, 1);
    flights.end();
    if (this.#guard !== null) this.#openFilled(page);
  }

  /**
   * Nobody can prove any more when the readers outside are done: the page's memory is replaced
   * before it is filled again. Before giveBack.
   */
  markStale(page: number): void {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    for (;;) {
      const state = Atomics.load(this.#table, word);
      assert(!isFreeState(state), 'a page becomes stale while somebody holds it');
      if (this.#exchange(word, state, state | PAGE_STALE)) return;
    }
  }

  /**
   * From now on this view tells the guard what nobody may write. All views of a pool do, or none:
   * what one has protected another opens. Throws MR_ARENA where pages are huge.
   */
  guardWith(guard: PageGuard): void {
    checkGuardable(this.report);
    this.#guard = guard;
  }

  /**
   * Nobody writes these bytes of the page until it is acquired again: whole OS pages inside them,
   * and, where nobody fills the page any more, those that they share with others. By who holds the
   * page. Returns how many bytes are protected: 0 without a guard.
   */
  protect(page: number, offset: number, bytes: number): number {
    if (this.#guard === null) return 0;
    const [first, end] = wholeOsPages(offset, offset + bytes, this.isFilling(page));
    if (first >= end) return 0;
    this.#guard.protect(page, first, end - first, this.generation(page));
    return end - first;
  }

  /** These bytes, of whole OS pages, are written once more, by who completes them; then protect. */
  unprotect(page: number, offset: number, bytes: number): void {
    const isOpen = this.#guard?.unprotect(page, offset, bytes) ?? true;
    assert(isOpen, 'protected bytes can be opened');
  }

  /** The owner will not write into the page again. By a view of the owner that acquired it. */
  stopFilling(page: number): void {
    assert(this.#endFilling(page, this.#owner), 'a page stops filling by who fills it');
  }

  /**
   * After the thread of `owner` has ended, wherever it was: it fills none of its pages any more,
   * and what it lent is stale and given back. Slices that it retained stay in use.
   */
  abandon(owner: number): void {
    assert(owner > 0 && owner <= PAGE_OWNER_MAX, 'an owner that fits into the state of a page');
    const flights = this.#flights;
    const unfinished = flights.takeUnfinished(owner);
    if (unfinished >= 0) this.#unsettled.add(unfinished);
    for (let page = 0; page < this.pageCount; page++) {
      const lends = flights.take(owner, page);
      if (lends > 0) {
        this.markStale(page);
        this.#endFlights(page, lends);
      }
      this.#endFilling(page, owner);
    }
    for (const page of this.#unsettled) {
      if (this.#settle(page)) this.#unsettled.delete(page);
    }
    this.#unsettledOwners.add(owner);
    for (const one of this.#unsettledOwners) {
      if (this.#freeList.abandon(one)) this.#unsettledOwners.delete(one);
    }
  }

  isFilling(page: number): boolean {
    return (this.#state(page) & PAGE_FILLING) !== 0;
  }

  /** Pages that acquire() would find, by plain reads: exact only while nobody works. */
  freeCount(): number {
    let free = 0;
    for (let page = 0; page < this.pageCount; page++) {
      if (isFreeState(this.#table[page * PAGE_ENTRY_WORDS + STATE_WORD]!)) free++;
    }
    return free;
  }

  stats(): PageStats {
    return countPages(this.#table, this.#counts, this.handle);
  }

  #state(page: number): number {
    return Atomics.load(this.#table, page * PAGE_ENTRY_WORDS + STATE_WORD);
  }

  #exchange(word: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#table, word, from, to) === from;
  }

  /** The page has become free. */
  #offer(page: number): void {
    if (!this.#freeList.offer(page)) this.#hints.set(page);
  }

  /** Makes a free page `owner`'s own; false where it is not free, or stale and not renewed. */
  #take(page: number, owner: number): boolean {
    const table = this.#table;
    const word = page * PAGE_ENTRY_WORDS;
    // The plain read is a hint only; the compare-and-swap decides.
    const state = table[word + STATE_WORD]!;
    if (!isFreeState(state)) return false;
    const filling = PAGE_FILLING | (owner << PAGE_OWNER_SHIFT);
    if (!this.#exchange(word + STATE_WORD, state, filling | state)) return false;
    if (this.#guard !== null && !this.#open(page, this.#guard)) return false;
    if (state === PAGE_STALE && !this.#renew(page)) return false;
    this.#hints.clear(page);
    Atomics.add(table, word + GENERATION_WORD, 1);
    return true;
  }

  /** A page that was just acquired is writable from now on; else it is given up again. */
  #open(page: number, guard: PageGuard): boolean {
    if (guard.unprotect(page, 0, this.pageBytes)) return true;
    Atomics.and(this.#table, page * PAGE_ENTRY_WORDS + STATE_WORD, NOT_FILLING_MASK);
    return false;
  }

  /** What this thread lent and fills on is its own again: nobody else can lend or share it now. */
  #openFilled(page: number): void {
    const mine = PAGE_FILLING | (this.#owner << PAGE_OWNER_SHIFT);
    if ((this.#state(page) & ~PAGE_STALE) === mine) this.unprotect(page, 0, this.pageBytes);
  }

  /** From now on this view fills and lends as `owner`; it had no number before. */
  #own(owner: number): void {
    assert(owner > 0 && owner <= PAGE_OWNER_MAX, 'an owner that fits into the state of a page');
    assert(this.#owner === 0, 'a view fills and lends as one owner');
    assert(!this.#hasLentUnowned, 'a view that lends first has its owner from the start');
    this.#owner = owner;
    this.#flights = new Flights(this.handle.flights, this.pageCount, owner);
    this.#freeList = new FreeList(this.handle.freeList, owner);
  }

  /** False, and nothing changed: the page is not filling for `owner`. */
  #endFilling(page: number, owner: number): boolean {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const filling = PAGE_FILLING | (owner << PAGE_OWNER_SHIFT);
    // Again only when another thread releases a slice or gives the page back in between.
    for (;;) {
      const state = Atomics.load(this.#table, word);
      if ((state & (PAGE_FILLING | PAGE_OWNER_MASK)) !== filling) return false;
      const next = state & NOT_FILLING_MASK;
      if (!this.#exchange(word, state, next)) continue;
      if (isFreeState(next)) this.#offer(page);
      return true;
    }
  }

  #endFlights(page: number, lends: number): void {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const before = Atomics.sub(this.#table, word, lends * IN_FLIGHT_ONE);
    if (isFreeState(before - lends * IN_FLIGHT_ONE)) this.#offer(page);
  }

  /**
   * Ends the lend that a dead thread had in the state of a page and not, or no longer, among its
   * flights. Looks while nobody changes flights; what changes between the look and the exchange
   * changes the state by as much, so the same state is the same difference. False: at no try did
   * all threads stand still, as when another has died and has not been abandoned yet.
   */
  #settle(page: number): boolean {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const flights = this.#flights;
    for (let tries = 0; tries < SETTLE_TRIES; tries++) {
      const ended = flights.endedSum();
      const state = Atomics.load(this.#table, word);
      const lost = ((state & IN_FLIGHT_MASK) >>> IN_FLIGHT_SHIFT) - flights.total(page);
      if (flights.begunSum() === ended) {
        if (lost === 0) return true;
        assert(lost > 0, 'every lend stands in the state of its page');
        const next = (state | PAGE_STALE) - lost * IN_FLIGHT_ONE;
        if (this.#exchange(word, state, next)) {
          if (isFreeState(next)) this.#offer(page);
          return true;
        }
      }
      if (tries % SETTLE_TRIES_PER_PAUSE === 0) Atomics.wait(this.#pause, 0, 0, 1);
    }
    return false;
  }

  /** Replaces the memory of a page that this thread has just acquired; else gives it up again. */
  #renew(page: number): boolean {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const { pageBytes, handle } = this;
    if (!renewMemory(this.bytes, page * pageBytes, pageBytes, handle.report)) {
      Atomics.and(this.#table, word, NOT_FILLING_MASK);
      Atomics.add(this.#counts, RENEWAL_REFUSED_COUNT, 1n);
      return false;
    }
    // Only now: had this thread ended before, the page would still be stale.
    Atomics.and(this.#table, word, ~PAGE_STALE);
    Atomics.add(this.#counts, RENEWED_COUNT, 1n);
    return true;
  }
}
