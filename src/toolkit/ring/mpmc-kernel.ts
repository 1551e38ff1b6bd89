/**
 * Kernels of MpmcRing: what touches the words that members share, and nothing else.
 *
 * WHY          Plain functions over views and numbers: the classes call them, and the schedule
 *              checker runs the same text one shared access at a time. mpmc-wasm.ts does the same
 *              in WebAssembly.
 * LAYOUT       mpmc-layout.ts; `words` is the whole ring, `line` the word where the line of the
 *              calling member starts.
 * OWNERSHIP    who moves pushSeq from t to t + n owns the n slots from t on until it stores their
 *              seqs (mpmcPublish); the same for popSeq (mpmcRelease). A member writes its own note.
 *              What a dead member owned is settled by the supervisor (mpmcSettle).
 * INVARIANTS   1. No ticket is taken before its slot is ready: a full or empty ring is an answer.
 *              2. A member's note names its tickets before the compare-and-swap that takes them,
 *                 and until it has given all of them up. So a slot that is taken and not given up
 *                 is named by the note of its owner; who has lost the race for a ticket names it
 *                 too, for as long as the call lasts.
 *              3. A slot's seq only grows.
 * MEMORY ORDER the store of a slot's seq publishes the item, or that the item was read; the load of
 *              it in mpmcReady acquires. Items are plain, and a note's words are read plainly by
 *              their own member.
 * PROGRESS     mpmcClaim*: lock-free among running threads: a try fails only when another thread's
 *              compare-and-swap has succeeded, or (mpmcClaimPop) after passing a hole. A thread
 *              that stands still between its claim and its publication delays readers at its slot:
 *              they answer "empty", and nobody spins. All others: wait-free.
 * REFUSED      a ticket by fetch-and-add (cannot say "full"); clearing the note after each call (a
 *              stale note names slots that have moved on); waiting.
 * SOURCE       D. Vyukov, bounded MPMC queue (1024cores.net), the idea; batches after DPDK's
 *              rte_ring; notes and holes are our own.
 */
import {
  FLOAT_ITEM_WORD,
  INT_ITEM_WORD,
  MEMBER_COUNT_WORD,
  MEMBER_ENDED_WORD,
  MEMBER_KIND_WORD,
  MEMBER_TICKET_WORD,
  MPMC_CAPACITY_WORD,
  MPMC_FIRST_SLOT_WORD,
  MPMC_MEMBER_COUNT_WORD,
  MPMC_POP_WORD,
  MPMC_PUSH_WORD,
  MPMC_SLOT_SHIFT_WORD,
  memberWord,
  NOTE_NONE,
  NOTE_POP,
  NOTE_PUSH,
} from './mpmc-layout.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const PUSH = MPMC_PUSH_WORD;
const POP = MPMC_POP_WORD;
const CAPACITY = MPMC_CAPACITY_WORD;
const FIRST_SLOT = MPMC_FIRST_SLOT_WORD;
const SLOT_SHIFT = MPMC_SLOT_SHIFT_WORD;
const KIND = MEMBER_KIND_WORD;
const TICKET = MEMBER_TICKET_WORD;
const COUNT = MEMBER_COUNT_WORD;

/** Answers of mpmcReady when no slot is ready. */
const BEHIND = 0;
const AHEAD = -1;
const HOLE = -2;

/** What the seq of a slot is above its ticket. */
const HAS_ITEM = 1;
const HAS_HOLE = 2;

/** Answer of mpmcSettle: look again later. */
export const SETTLE_AGAIN = -1;

/** The word of the slot of a ticket: its seq. */
export function mpmcSlot(words: Int32Array, ticket: number): number {
  return words[FIRST_SLOT]! + ((ticket & (words[CAPACITY]! - 1)) << words[SLOT_SHIFT]!);
}

/**
 * How many slots one behind the other, from `ticket` on and up to `wanted`, have seqs `above` their
 * tickets (0: free, 1: with an item). BEHIND: the first is not there yet. AHEAD: `ticket` was taken
 * since. HOLE: the first is one.
 */
export function mpmcReady(
  words: Int32Array,
  ticket: number,
  wanted: number,
  above: number,
): number {
  for (let count = 0; count < wanted; count++) {
    const slot = mpmcSlot(words, ticket + count);
    const seq = Atomics.load(words, slot);
    const distance = (seq - ticket - count - above) | 0;
    if (distance === 0) continue;
    if (count > 0) return count;
    if (distance < 0) return BEHIND;
    return above === HAS_ITEM && distance === HAS_HOLE - HAS_ITEM ? HOLE : AHEAD;
  }
  return wanted;
}

/** Writes the member's note; words that say it already are left. */
export function mpmcNote(
  words: Int32Array,
  line: number,
  kind: number,
  ticket: number,
  count: number,
): void {
  if (words[line + KIND] !== kind) Atomics.store(words, line + KIND, kind);
  if (words[line + COUNT] !== count) Atomics.store(words, line + COUNT, count);
  Atomics.store(words, line + TICKET, ticket);
}

/**
 * Writer: takes up to `wanted` tickets whose slots are free, one behind the other; 0: full. The
 * note has the first ticket and the count.
 */
export function mpmcClaimPush(words: Int32Array, line: number, wanted: number): number {
  for (let hasLost = false; ; ) {
    const ticket = Atomics.load(words, PUSH);
    const count = mpmcReady(words, ticket, wanted, 0);
    if (count === BEHIND) {
      if (hasLost) Atomics.store(words, line + KIND, NOTE_NONE);
      return 0;
    }
    if (count === AHEAD) continue;
    mpmcNote(words, line, NOTE_PUSH, ticket, count);
    const end = (ticket + count) | 0;
    const seen = Atomics.compareExchange(words, PUSH, ticket, end);
    if (seen === ticket) return count;
    hasLost = true;
  }
}

/** Writer: the items of its tickets are written; now readers may take them. */
export function mpmcPublish(words: Int32Array, line: number): void {
  const ticket = words[line + TICKET]!;
  for (let at = words[line + COUNT]! - 1; at >= 0; at--) {
    const slot = mpmcSlot(words, ticket + at);
    const seq = (ticket + at + HAS_ITEM) | 0;
    Atomics.store(words, slot, seq);
  }
}

/**
 * Reader: takes up to `wanted` tickets whose slots hold items, one behind the other; 0: empty.
 * Passes holes. The note has the first ticket and the count.
 */
export function mpmcClaimPop(words: Int32Array, line: number, wanted: number): number {
  for (let hasLost = false; ; ) {
    const ticket = Atomics.load(words, POP);
    const ready = mpmcReady(words, ticket, wanted, HAS_ITEM);
    if (ready === BEHIND) {
      if (hasLost) Atomics.store(words, line + KIND, NOTE_NONE);
      return 0;
    }
    if (ready === AHEAD) continue;
    const count = ready === HOLE ? 1 : ready;
    mpmcNote(words, line, NOTE_POP, ticket, count);
    const end = (ticket + count) | 0;
    const seen = Atomics.compareExchange(words, POP, ticket, end);
    hasLost = seen !== ticket;
    if (hasLost) continue;
    if (ready !== HOLE) return count;
    mpmcRelease(words, line);
  }
}

/** Reader: the items of its tickets are read; now writers may take the slots. */
export function mpmcRelease(words: Int32Array, line: number): void {
  const ticket = words[line + TICKET]!;
  const capacity = words[CAPACITY]!;
  for (let at = words[line + COUNT]! - 1; at >= 0; at--) {
    const slot = mpmcSlot(words, ticket + at);
    const seq = (ticket + at + capacity) | 0;
    Atomics.store(words, slot, seq);
  }
}

/** Writer: one item of an int32 ring. False: full. */
export function mpmcPushInt(words: Int32Array, line: number, value: number): boolean {
  const count = mpmcClaimPush(words, line, 1);
  if (count === 0) return false;
  const slot = mpmcSlot(words, words[line + TICKET]!);
  words[slot + INT_ITEM_WORD] = value;
  mpmcPublish(words, line);
  return true;
}

/** Reader: one item of an int32 ring; `whenEmpty` when there is none. */
export function mpmcPopInt(words: Int32Array, line: number, whenEmpty: number): number {
  const count = mpmcClaimPop(words, line, 1);
  if (count === 0) return whenEmpty;
  const slot = mpmcSlot(words, words[line + TICKET]!);
  const value = words[slot + INT_ITEM_WORD]!;
  mpmcRelease(words, line);
  return value;
}

/** Writer: one item of a float64 ring, which `floats` is a view of. False: full. */
export function mpmcPushFloat(
  words: Int32Array,
  floats: Float64Array,
  line: number,
  value: number,
): boolean {
  const count = mpmcClaimPush(words, line, 1);
  if (count === 0) return false;
  const slot = mpmcSlot(words, words[line + TICKET]!);
  floats[(slot + FLOAT_ITEM_WORD) >> 1] = value;
  mpmcPublish(words, line);
  return true;
}

/** Reader: one item of a float64 ring, which `floats` is a view of; `whenEmpty` without one. */
export function mpmcPopFloat(
  words: Int32Array,
  floats: Float64Array,
  line: number,
  whenEmpty: number,
): number {
  const count = mpmcClaimPop(words, line, 1);
  if (count === 0) return whenEmpty;
  const slot = mpmcSlot(words, words[line + TICKET]!);
  const value = floats[(slot + FLOAT_ITEM_WORD) >> 1]!;
  mpmcRelease(words, line);
  return value;
}

/** True when the note of a member whose thread runs, other than `line`, names the ticket. */
export function mpmcIsNoted(
  words: Int32Array,
  line: number,
  kind: number,
  ticket: number,
): boolean {
  const memberCount = words[MPMC_MEMBER_COUNT_WORD]!;
  for (let index = 0; index < memberCount; index++) {
    const other = memberWord(index);
    if (other === line) continue;
    const hasEnded = Atomics.load(words, other + MEMBER_ENDED_WORD);
    if (hasEnded !== 0) continue;
    const itsKind = Atomics.load(words, other + KIND);
    const itsTicket = Atomics.load(words, other + TICKET);
    const itsCount = Atomics.load(words, other + COUNT);
    const distance = (ticket - itsTicket) | 0;
    if (itsKind === kind && distance >= 0 && distance < itsCount) return true;
  }
  return false;
}

/** A ticket that is taken, and whose slot its owner has not given up: its seq still says so. */
export function mpmcIsLeft(words: Int32Array, kind: number, ticket: number): boolean {
  const slot = mpmcSlot(words, ticket);
  const seq = Atomics.load(words, slot);
  const distance = (seq - ticket) | 0;
  if (kind === NOTE_PUSH) return distance === 0;
  return distance === HAS_ITEM || distance === HAS_HOLE;
}

/**
 * Supervisor, after the thread of a member has ended and `ended` is set: slots that the dead one
 * had taken to write become holes, those that it had taken to read become free. Returns how many
 * items died with it, or SETTLE_AGAIN: a running member names the same ticket, and is its owner or
 * will look elsewhere within its call. Nothing is settled then.
 *
 * The order of the looks is the proof. pushSeq has passed the ticket, so that its owner's note was
 * complete before; no running member's note names it after that, so that a running owner would have
 * moved on; the seq, read last, says that nobody has moved on: the owner is dead.
 */
export function mpmcSettle(words: Int32Array, line: number): number {
  const kind = Atomics.load(words, line + KIND);
  if (kind === NOTE_NONE) return 0;
  const first = Atomics.load(words, line + TICKET);
  const count = Atomics.load(words, line + COUNT);
  const passed = Atomics.load(words, kind === NOTE_PUSH ? PUSH : POP);
  const taken = Math.min(count, (passed - first) | 0);
  for (let at = 0; at < taken; at++) {
    const isNoted = mpmcIsNoted(words, line, kind, first + at);
    const isLeft = mpmcIsLeft(words, kind, first + at);
    if (isLeft && isNoted) return SETTLE_AGAIN;
  }
  const above = kind === NOTE_PUSH ? HAS_HOLE : words[CAPACITY]!;
  let died = 0;
  for (let at = taken - 1; at >= 0; at--) {
    const isLeft = mpmcIsLeft(words, kind, first + at);
    if (!isLeft) continue;
    const slot = mpmcSlot(words, first + at);
    const hole = Atomics.load(words, slot);
    if (kind === NOTE_PUSH || hole === ((first + at + HAS_ITEM) | 0)) died++;
    const seq = (first + at + above) | 0;
    Atomics.store(words, slot, seq);
  }
  return died;
}
