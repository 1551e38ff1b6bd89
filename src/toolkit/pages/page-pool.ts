/**
 * Page pool: fixed pages of one arena, lent to collectors, given back when the last reader is
 * through.
 *
 * WHY         Received bytes stay where recv(2) put them until the journal has appended them and
 *             every reader has consumed them; so somebody must know when a page may be filled
 *             again.
 * LAYOUT      arena: pages of PAGE_BYTES, page-aligned shared WebAssembly.Memory (it travels to
 *             workers and its buffer starts on an OS page; a plain SharedArrayBuffer does not).
 *             table: layout.ts.
 * OWNERSHIP   free -> filling (one collector) -> filling + n slices -> n slices -> free.
 *             The collector adds slices, the journal releases them.
 * INVARIANTS  1. a page is written only by the collector that holds it filling, and only beyond its
 *             published slices (the journal completes the block header of a slice it was given)
 *             2. state 0 means: nobody refers to the page
 *             3. the generation of a slice equals that of its page as long as the slice is in use.
 * PROGRESS    acquire: lock-free (compare-and-swap per free page); the others wait-free.
 * REFUSED     A free list (the table is its own: the lowest free page is the one that was used
 *             last, hence warm in the cache); one pool per connection (idle memory).
 */
import { assert } from '../base/assert.ts';
import { PAGE_BYTES } from '../base/limits.ts';
import {
  GENERATION_WORD,
  PAGE_ENTRY_WORDS,
  PAGE_FILLING,
  PAGE_FREE,
  PAGE_OWNER_MASK,
  PAGE_OWNER_MAX,
  PAGE_OWNER_SHIFT,
  PAGE_SLICES_MASK,
  STATE_WORD,
} from './layout.ts';
import { type SharedMemory, SharedWasmMemory } from './webassembly.ts';

const WASM_PAGE_BYTES = 65_536;

/** What travels to workers. */
export interface PagePoolHandle {
  readonly arena: SharedMemory;
  readonly table: SharedArrayBuffer;
  readonly pageCount: number;
}

/** No page is free: an answer, not an exception. */
export const NO_PAGE = -1;

export class PagePool {
  readonly handle: PagePoolHandle;
  /** The whole arena; offsets below are into these two views. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly pageCount: number;
  readonly #table: Int32Array;

  constructor(handle: PagePoolHandle) {
    this.handle = handle;
    this.bytes = new Uint8Array(handle.arena.buffer, 0, handle.pageCount * PAGE_BYTES);
    this.view = new DataView(handle.arena.buffer, 0, handle.pageCount * PAGE_BYTES);
    this.pageCount = handle.pageCount;
    this.#table = new Int32Array(handle.table);
  }

  /** Reserves address space for the arena; memory is used as pages are touched. */
  static create(arenaBytes: number): PagePool {
    const pageCount = Math.floor(arenaBytes / PAGE_BYTES);
    assert(pageCount > 0, 'an arena holds at least one page');
    const wasmPages = (pageCount * PAGE_BYTES) / WASM_PAGE_BYTES;
    const arena = new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
    const table = new SharedArrayBuffer(pageCount * PAGE_ENTRY_WORDS * 4);
    return new PagePool({ arena, table, pageCount });
  }

  /** A free page, now filling for `owner`, or NO_PAGE. */
  acquire(owner: number): number {
    assert(owner > 0 && owner <= PAGE_OWNER_MAX, 'an owner that fits into the state of a page');
    const table = this.#table;
    const filling = PAGE_FILLING | (owner << PAGE_OWNER_SHIFT);
    for (let page = 0; page < this.pageCount; page++) {
      const word = page * PAGE_ENTRY_WORDS;
      // The plain read is a hint only; the compare-and-swap decides.
      if (table[word + STATE_WORD] !== PAGE_FREE) continue;
      const seen = Atomics.compareExchange(table, word + STATE_WORD, PAGE_FREE, filling);
      if (seen !== PAGE_FREE) continue;
      Atomics.add(table, word + GENERATION_WORD, 1);
      return page;
    }
    return NO_PAGE;
  }

  generation(page: number): number {
    return Atomics.load(this.#table, page * PAGE_ENTRY_WORDS + GENERATION_WORD);
  }

  /** One more slice of a page may be read by others. Before the slice is published. */
  retain(page: number): void {
    Atomics.add(this.#table, page * PAGE_ENTRY_WORDS + STATE_WORD, 1);
  }

  /** The last reader of a slice has passed. */
  release(page: number): void {
    const before = Atomics.sub(this.#table, page * PAGE_ENTRY_WORDS + STATE_WORD, 1);
    assert((before & PAGE_SLICES_MASK) > 0, 'a page is released once per slice');
  }

  /** The collector will not write into the page again. */
  stopFilling(page: number): void {
    const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
    const before = Atomics.and(this.#table, word, PAGE_SLICES_MASK);
    assert((before & PAGE_FILLING) !== 0, 'only a filling page stops filling');
  }

  /** After the thread of `owner` has ended: it fills none of its pages any more. */
  abandon(owner: number): void {
    for (let page = 0; page < this.pageCount; page++) {
      const word = page * PAGE_ENTRY_WORDS + STATE_WORD;
      // Again only when the journal releases a slice in between.
      for (;;) {
        const state = Atomics.load(this.#table, word);
        if ((state & PAGE_OWNER_MASK) >>> PAGE_OWNER_SHIFT !== owner) break;
        const to = state & PAGE_SLICES_MASK;
        if (Atomics.compareExchange(this.#table, word, state, to) === state) break;
      }
    }
  }

  isFilling(page: number): boolean {
    return (Atomics.load(this.#table, page * PAGE_ENTRY_WORDS + STATE_WORD) & PAGE_FILLING) !== 0;
  }

  /** Pages in state free, by plain reads: exact only while nobody works. */
  freeCount(): number {
    let free = 0;
    for (let page = 0; page < this.pageCount; page++) {
      if (this.#table[page * PAGE_ENTRY_WORDS + STATE_WORD] === PAGE_FREE) free++;
    }
    return free;
  }
}
