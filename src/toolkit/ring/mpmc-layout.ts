/**
 * Layout of MpmcRing: the queue of many writers and many readers.
 *
 *   byte 0    pushSeq       writers, by compare-and-swap: all tickets before it are taken
 *        128  popSeq        readers, by compare-and-swap: the same for them
 *        256  capacity, memberCount, word of slot 0, log2(words of a slot)   nobody: constants
 *        384  member 0
 *               role        by compare-and-swap (roles.ts)
 *               ended       supervisor: its thread has ended, and what it left is not settled
 *               note kind   the member: NOTE_NONE, NOTE_PUSH, NOTE_POP
 *               note ticket the member: the first one that it takes or tries to take
 *               note count  the member: how many from there
 *        512  member 1 ...
 *             slot 0, slot 1, ...: seq (who holds the ticket), then the item
 *               int32    [ seq | item ]               2 words
 *               float64  [ seq | unused | item (2) ]  4 words
 *
 * The slot of ticket t is t & (capacity - 1). What its seq says:
 *
 *   t              free: a writer may take ticket t; or taken, and not written yet (pushSeq tells)
 *   t + 1          holds an item: a reader may take ticket t; or taken (popSeq tells)
 *   t + 2          a hole: its writer died; readers pass it
 *   t + capacity   free for the next lap
 *
 * The four differ because capacity >= 4. Tickets and seqs are u32 in int32 words, wrapping,
 * compared by (a - b) | 0. In Vyukov's words: pushSeq is enqueue_pos, popSeq dequeue_pos, a slot a
 * cell.
 */
import { CONTROL_WORDS } from './layout.ts';

export const MPMC_PUSH_WORD = 0;
export const MPMC_POP_WORD = CONTROL_WORDS;
export const MPMC_CAPACITY_WORD = 2 * CONTROL_WORDS;
export const MPMC_MEMBER_COUNT_WORD = 2 * CONTROL_WORDS + 1;
export const MPMC_FIRST_SLOT_WORD = 2 * CONTROL_WORDS + 2;
export const MPMC_SLOT_SHIFT_WORD = 2 * CONTROL_WORDS + 3;
export const MPMC_MEMBERS_WORD = 3 * CONTROL_WORDS;

/** Words of a member's line, from its start. */
export const MEMBER_ROLE_WORD = 0;
export const MEMBER_ENDED_WORD = 1;
export const MEMBER_KIND_WORD = 2;
export const MEMBER_TICKET_WORD = 3;
export const MEMBER_COUNT_WORD = 4;

/** What a note says that its member does. */
export const NOTE_NONE = 0;
export const NOTE_PUSH = 1;
export const NOTE_POP = 2;

/** Less would let t + capacity be t + 2 or less. */
export const MPMC_CAPACITY_MIN = 4;
/** Half of what differences of u32 sequences can tell. */
export const MPMC_CAPACITY_MAX = 2 ** 26;

/** Where the item of a slot stands, in words from its seq. */
export const INT_ITEM_WORD = 1;
export const FLOAT_ITEM_WORD = 2;

export interface MpmcBounds {
  readonly capacity: number;
  readonly memberCount: number;
  /** log2 of the words of a slot. */
  readonly slotShift: number;
}

/** The word where the line of a member starts. */
export function memberWord(index: number): number {
  return MPMC_MEMBERS_WORD + index * CONTROL_WORDS;
}

/** Words of the whole ring. */
export function mpmcWords({ capacity, memberCount, slotShift }: MpmcBounds): number {
  return memberWord(memberCount) + (capacity << slotShift);
}

/** Every slot free, the first ticket `startSeq`. Before anybody else sees the ring. */
export function initMpmc(words: Int32Array, bounds: MpmcBounds, startSeq: number): void {
  const { capacity, memberCount, slotShift } = bounds;
  const firstSlot = memberWord(memberCount);
  words[MPMC_PUSH_WORD] = startSeq;
  words[MPMC_POP_WORD] = startSeq;
  words[MPMC_CAPACITY_WORD] = capacity;
  words[MPMC_MEMBER_COUNT_WORD] = memberCount;
  words[MPMC_FIRST_SLOT_WORD] = firstSlot;
  words[MPMC_SLOT_SHIFT_WORD] = slotShift;
  for (let i = 0; i < capacity; i++) {
    const ticket = (startSeq + i) | 0;
    words[firstSlot + ((ticket & (capacity - 1)) << slotShift)] = ticket;
  }
}
