/**
 * MpmcRing: items from many threads to many threads, in fixed slots.
 *
 * WHY          A pool of workers takes jobs from whoever has them; a free list is taken from and
 *              given to by everybody.
 * LAYOUT       mpmc-layout.ts.
 * OWNERSHIP    Each thread is a member (mpmc-member.ts), which is claimed by compare-and-swap. This
 *              object belongs to nobody: it looks, and settles what a dead thread left.
 * INVARIANTS   mpmc-kernel.ts. Each item is popped once; items of one member keep their order among
 *              themselves, as seen by any one reader.
 * MEMORY ORDER mpmc-kernel.ts.
 * PROGRESS     lock-free or wait-free by method (mpmc-member.ts); abandonMember: bounded tries.
 * REFUSED      a lock; tickets taken before there is room; waiting inside a method (IdleStrategy).
 * SOURCE       mpmc-kernel.ts.
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { Backend } from './backend.ts';
import { isPowerOfTwo } from './layout.ts';
import { mpmcSettle, SETTLE_AGAIN } from './mpmc-kernel.ts';
import {
  initMpmc,
  MEMBER_ENDED_WORD,
  MEMBER_KIND_WORD,
  MEMBER_ROLE_WORD,
  MPMC_CAPACITY_MAX,
  MPMC_CAPACITY_MIN,
  memberWord,
  mpmcWords,
  NOTE_NONE,
} from './mpmc-layout.ts';
import { MpmcMember, type MpmcRingHandle, mpmcUsed } from './mpmc-member.ts';
import { abandonRole, type RoleState, roleState, roleThread, takeRole } from './roles.ts';
import type { ItemKind } from './spsc-handle.ts';
import { createMemory } from './wasm/kernels.ts';

export interface MpmcRingOptions<Kind extends ItemKind = 'int32'> {
  /** Slots; a power of two, 4 to 2^26. */
  readonly capacity: number;
  /** How many members there may be at one time, 1 to 1024; 16 when nothing is said. */
  readonly memberCount?: number;
  /** int32 when nothing is said. */
  readonly item?: Kind;
  readonly backend?: Backend;
  /** Tests: where tickets begin, so that they wrap soon. */
  readonly startSeq?: number;
}

const MEMBERS_DEFAULT = 16;
const MEMBERS_MAX = 1024;

/** log2 of the words of a slot. */
const SLOT_SHIFT: Readonly<Record<ItemKind, number>> = { int32: 1, float64: 2 };

/** Looks at an ambiguous ticket: a running member's call takes less, if it is not preempted. */
const SETTLE_TRIES = 64;

/** Answer of abandonMember: not settled yet, ask again later. */
export const ABANDON_AGAIN = -1;

export class MpmcRing<Kind extends ItemKind = 'int32'> {
  readonly handle: MpmcRingHandle<Kind>;
  readonly #words: Int32Array;

  constructor(handle: MpmcRingHandle<Kind>) {
    this.handle = handle;
    this.#words = new Int32Array(handle.memory.buffer);
  }

  static create<Kind extends ItemKind = 'int32'>(options: MpmcRingOptions<Kind>): MpmcRing<Kind> {
    const { capacity, memberCount = MEMBERS_DEFAULT, backend = 'auto' } = options;
    const item = options.item ?? ('int32' as Kind);
    assert(isPowerOfTwo(capacity), 'the capacity of a ring is a power of two');
    assert(
      capacity >= MPMC_CAPACITY_MIN && capacity <= MPMC_CAPACITY_MAX,
      'the capacity of a ring of many is between 4 and 2^26',
    );
    assert(
      Number.isInteger(memberCount) && memberCount > 0 && memberCount <= MEMBERS_MAX,
      'a ring of many has 1 to 1024 members',
    );
    const bounds = { capacity, memberCount, slotShift: SLOT_SHIFT[item] };
    const memory = createMemory(mpmcWords(bounds) * 4);
    initMpmc(new Int32Array(memory.buffer), bounds, options.startSeq ?? 0);
    return new MpmcRing({ memory, capacity, memberCount, item, backend });
  }

  /** Takes a free place for this thread; null when there is none. */
  static tryMember<Kind extends ItemKind>(handle: MpmcRingHandle<Kind>): MpmcMember<Kind> | null {
    const words = new Int32Array(handle.memory.buffer);
    for (let index = 0; index < handle.memberCount; index++) {
      if (takeRole(words, memberWord(index) + MEMBER_ROLE_WORD)) {
        return new MpmcMember(handle, index);
      }
    }
    return null;
  }

  /**
   * Takes the place `index` for this thread, where places have an order of their own. A thread that
   * has it already gets the same member once more; null: another thread has it.
   */
  static memberAt<Kind extends ItemKind>(
    handle: MpmcRingHandle<Kind>,
    index: number,
  ): MpmcMember<Kind> | null {
    assert(index >= 0 && index < handle.memberCount, 'a place that the ring has');
    const words = new Int32Array(handle.memory.buffer);
    const role = memberWord(index) + MEMBER_ROLE_WORD;
    const isMine = roleThread(words, role) === threadId || takeRole(words, role);
    return isMine ? new MpmcMember(handle, index) : null;
  }

  /** As tryMember, for callers to whom one member too many is a bug: it is asserted. */
  static member<Kind extends ItemKind>(handle: MpmcRingHandle<Kind>): MpmcMember<Kind> {
    const member = MpmcRing.tryMember(handle);
    assert(member !== null, 'a ring of many has a place for each of its members');
    return member;
  }

  /** Items in the ring, with those that members are pushing or popping, and holes. */
  used(): number {
    return mpmcUsed(this.#words, this.handle.capacity);
  }

  memberState(index: number): RoleState {
    return roleState(this.#words, memberWord(index) + MEMBER_ROLE_WORD);
  }

  /** threadId of who holds the place; -1: nobody. For who looks after a thread that has ended. */
  memberThread(index: number): number {
    return roleThread(this.#words, memberWord(index) + MEMBER_ROLE_WORD);
  }

  /**
   * For who learns that the thread of a member has ended (`exit` of its Worker), one thread at a
   * time. Settles what the dead one left in the middle of a call, and frees its place.
   *
   * Returns how many items died with it: those that it was pushing, and those that it was popping,
   * as far as it had not given their slots up. (What it had popped before is its own, and the
   * ring knows nothing of it.) ABANDON_AGAIN: a running member is at the same ticket and it
   * cannot be told yet whose it is; or another dead one was, and has to be abandoned too. Until
   * then readers find the ring empty at a slot that the dead one was writing, and writers find it
   * full one lap behind a slot that it was reading.
   */
  abandonMember(index: number): number {
    const words = this.#words;
    const line = memberWord(index);
    if (this.memberState(index) !== 'held') return 0;
    Atomics.store(words, line + MEMBER_ENDED_WORD, 1);
    let died = SETTLE_AGAIN;
    for (let tries = 0; died === SETTLE_AGAIN && tries < SETTLE_TRIES; tries++) {
      died = mpmcSettle(words, line);
    }
    if (died === SETTLE_AGAIN) return ABANDON_AGAIN;
    Atomics.store(words, line + MEMBER_KIND_WORD, NOTE_NONE);
    Atomics.store(words, line + MEMBER_ENDED_WORD, 0);
    abandonRole(words, line + MEMBER_ROLE_WORD);
    return died;
  }
}
