/**
 * Free list: the pages that were freed last, from who frees to who acquires.
 *
 * WHY         The hints (free-hints.ts) send every thread to the same lowest page and to the same
 *             word of bits: one wins, the others look again. Of the list each takes its own, and a
 *             page that was used a moment ago, hence warm.
 * LAYOUT      a MpmcRing of int32 page numbers; the member of owner o is o - 1.
 * OWNERSHIP   A view with an owner number is a member, and offers and takes. A view without one
 *             is none: nobody would settle what it leaves when its thread dies. The supervisor
 *             abandons the member of a dead owner.
 * INVARIANTS  The list decides nothing. The state word of a page alone says who has it: an entry
 *             whose page is taken costs a look, and so does one that is there twice. A page that
 *             finds the list full has its hint. An entry that died with its thread, and all while a
 *             dead member blocks the list, until it is abandoned, are found by looking at every
 *             page: no page is ever lost.
 * REFUSED     all pages in the list: it gives the page that is free the longest, so that every
 *             acquire would walk through cold memory, and touch all of it.
 */
import type { MpmcMember, MpmcRingHandle } from '../ring/mpmc-member.ts';
import { ABANDON_AGAIN, MpmcRing } from '../ring/mpmc-ring.ts';
import { PAGE_OWNER_MAX } from './layout.ts';

/**
 * Pages in the list, a power of two. The list is first in, first out: a page comes back after so
 * many others at most. 8 pages of 256 KiB are 2 MiB, which stay in the caches; and 8 threads that
 * acquire at one time is more than a collector has.
 */
export const FREE_LIST_PAGES = 8;

/** The list is empty. */
export const NO_ENTRY = -1;

export class FreeList {
  readonly #handle: MpmcRingHandle;
  readonly #member: MpmcMember | null;

  /** For a view of `owner`; 0, or a number that another thread has: not a member. */
  constructor(handle: MpmcRingHandle, owner: number) {
    this.#handle = handle;
    this.#member = owner === 0 ? null : MpmcRing.memberAt(handle, owner - 1);
  }

  static create(): MpmcRingHandle {
    return MpmcRing.create({ capacity: FREE_LIST_PAGES, memberCount: PAGE_OWNER_MAX }).handle;
  }

  /** The page has become free. False: the list is full, or this view is no member. */
  offer(page: number): boolean {
    return this.#member?.tryPush(page) ?? false;
  }

  /** A page that was freed, or NO_ENTRY. */
  take(): number {
    return this.#member === null ? NO_ENTRY : this.#member.tryPop(NO_ENTRY);
  }

  /** After the thread of `owner` has ended. False: not settled yet, ask again. */
  abandon(owner: number): boolean {
    return new MpmcRing(this.#handle).abandonMember(owner - 1) !== ABANDON_AGAIN;
  }
}
