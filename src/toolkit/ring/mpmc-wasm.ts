/**
 * Kernels of MpmcRing in WebAssembly: one call pushes or pops one item; a batch is one call that
 * claims, the caller's moving of items, and one call that gives the slots up.
 *
 * WHY          Ten atomic operations an item: V8 calls a function for each one of JavaScript and
 *              inlines those of WebAssembly.
 * LAYOUT       mpmc-layout.ts, over the same memory, which begins with the ring. $line is where the
 *              line of the calling member starts, in bytes.
 * OWNERSHIP    as mpmc-kernel.ts: claimPush and claimPop are its mpmcClaim*; publish and release
 *              its mpmcPublish and mpmcRelease; push* and pop* its mpmcPush* and mpmcPop*.
 * INVARIANTS   those of mpmc-kernel.ts; the tests of MpmcRing run over both.
 * MEMORY ORDER i32.atomic is sequentially consistent as Atomics is, and both are one memory model.
 *              Each seq of a batch is stored atomically: others load any of them at any time, and
 *              a plain store beside an atomic load is a race in the memory model.
 * PROGRESS     that of mpmc-kernel.ts.
 * REFUSED      plain stores for all seqs of a batch but the first one's (6 ns less each; in fact
 *              ordered by that one, but a race by the model); the address of the ring as a
 *              parameter (one more conversion for each call).
 */
import {
  FLOAT_ITEM_WORD,
  INT_ITEM_WORD,
  MEMBER_COUNT_WORD,
  MEMBER_KIND_WORD,
  MEMBER_TICKET_WORD,
  MPMC_CAPACITY_WORD,
  MPMC_FIRST_SLOT_WORD,
  MPMC_POP_WORD,
  MPMC_PUSH_WORD,
  MPMC_SLOT_SHIFT_WORD,
  NOTE_NONE,
  NOTE_POP,
  NOTE_PUSH,
} from './mpmc-layout.ts';
import { MEMORY_IMPORT } from './wasm/kernels.ts';

/** The word as the operand of a load or of a store. */
function at(word: number): string {
  return `offset=${word * 4} (i32.const 0)`;
}

/** The same in the caller's line. */
function inLine(word: number): string {
  return `offset=${word * 4} (local.get $line)`;
}

/** Sets $slot to the address of the slot of `ticket`. */
function findSlot(ticket: string): string {
  return `(local.set $slot (i32.shl
    (i32.add
      (i32.load ${at(MPMC_FIRST_SLOT_WORD)})
      (i32.shl
        (i32.and ${ticket} (i32.sub (i32.load ${at(MPMC_CAPACITY_WORD)}) (i32.const 1)))
        (i32.load ${at(MPMC_SLOT_SHIFT_WORD)})))
    (i32.const 2)))`;
}

/** Constants of the ring, once for a batch; sets $base, $mask and $shift for findBatchSlot. */
const BATCH_LOCALS = '(local $base i32) (local $mask i32) (local $shift i32)';
const LOAD_CONSTANTS = `
  (local.set $base (i32.shl (i32.load ${at(MPMC_FIRST_SLOT_WORD)}) (i32.const 2)))
  (local.set $mask (i32.sub (i32.load ${at(MPMC_CAPACITY_WORD)}) (i32.const 1)))
  (local.set $shift (i32.add (i32.load ${at(MPMC_SLOT_SHIFT_WORD)}) (i32.const 2)))`;

/** As findSlot. */
function findBatchSlot(ticket: string): string {
  return `(local.set $slot (i32.add (local.get $base)
    (i32.shl (i32.and ${ticket} (local.get $mask)) (local.get $shift))))`;
}

/** Writes a word of the note, where it is another. */
function noteWord(word: number, value: string): string {
  return `(if (i32.ne (i32.load ${inLine(word)}) ${value})
    (then (i32.atomic.store ${inLine(word)} ${value})))`;
}

/** Notes [$ticket, $ticket + count), and answers whether the compare-and-swap took them. */
function take(word: number, kind: number, count: string): string {
  return `
    ${noteWord(MEMBER_KIND_WORD, `(i32.const ${kind})`)}
    ${noteWord(MEMBER_COUNT_WORD, count)}
    (i32.atomic.store ${inLine(MEMBER_TICKET_WORD)} (local.get $ticket))
    (i32.eq (local.get $ticket) (i32.atomic.rmw.cmpxchg ${at(word)}
      (local.get $ticket) (i32.add (local.get $ticket) ${count})))`;
}

/** Clears the note, if it names a ticket that another one took. */
const CLEAR_IF_LOST = `(if (local.get $lost)
  (then (i32.atomic.store ${inLine(MEMBER_KIND_WORD)} (i32.const ${NOTE_NONE}))))`;

const LOCALS = '(local $ticket i32) (local $slot i32) (local $distance i32) (local $lost i32)';

/** Sets $distance to how far the seq of the slot is above $ticket + `more`. */
function measure(more: string): string {
  return `(local.set $distance (i32.sub
    (i32.sub (i32.atomic.load (local.get $slot)) (local.get $ticket)) ${more}))`;
}

function pushText(name: string, type: 'i32' | 'f64', itemWord: number): string {
  return `(func (export "${name}") (param $line i32) (param $value ${type}) (result i32) ${LOCALS}
    (loop $again
      (local.set $ticket (i32.atomic.load ${at(MPMC_PUSH_WORD)}))
      ${findSlot('(local.get $ticket)')}
      ${measure('(i32.const 0)')}
      (if (i32.eqz (local.get $distance)) (then
        (if ${take(MPMC_PUSH_WORD, NOTE_PUSH, '(i32.const 1)')} (then
          (${type}.store offset=${itemWord * 4} (local.get $slot) (local.get $value))
          (i32.atomic.store (local.get $slot) (i32.add (local.get $ticket) (i32.const 1)))
          (return (i32.const 1))))
        (local.set $lost (i32.const 1))))
      (br_if $again (i32.ge_s (local.get $distance) (i32.const 0))))
    ${CLEAR_IF_LOST}
    (i32.const 0))`;
}

/** Item or hole: both are taken, and the slot is freed; only an item is answered. */
function popText(name: string, item: string): string {
  return `(func (export "${name}") (param $line i32) (param $value f64) (result f64) ${LOCALS}
    (local $item f64)
    (loop $again
      (local.set $ticket (i32.atomic.load ${at(MPMC_POP_WORD)}))
      ${findSlot('(local.get $ticket)')}
      ${measure('(i32.const 1)')}
      (if (i32.lt_u (local.get $distance) (i32.const 2)) (then
        (local.set $lost (i32.const 1))
        (if ${take(MPMC_POP_WORD, NOTE_POP, '(i32.const 1)')} (then
          (local.set $item ${item})
          (i32.atomic.store (local.get $slot)
            (i32.add (local.get $ticket) (i32.load ${at(MPMC_CAPACITY_WORD)})))
          (if (i32.eqz (local.get $distance)) (then (return (local.get $item))))
          (local.set $lost (i32.const 0))))))
      (br_if $again (i32.ge_s (local.get $distance) (i32.const 0))))
    ${CLEAR_IF_LOST}
    (local.get $value))`;
}

/**
 * Sets $count to the ready slots from $ticket on, up to $wanted, and $distance to the next one's.
 */
function countReady(above: number): string {
  return `
    (local.set $count (i32.const 0))
    (block $counted
      (loop $next
        ${findBatchSlot('(i32.add (local.get $ticket) (local.get $count))')}
        ${measure(`(i32.add (local.get $count) (i32.const ${above}))`)}
        (br_if $counted (local.get $distance))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br_if $next (i32.lt_s (local.get $count) (local.get $wanted)))))`;
}

const CLAIM_PUSH = `
  (func (export "claimPush") (param $line i32) (param $wanted i32) (result i32) ${LOCALS}
    (local $count i32) ${BATCH_LOCALS}
    ${LOAD_CONSTANTS}
    (loop $again
      (local.set $ticket (i32.atomic.load ${at(MPMC_PUSH_WORD)}))
      ${countReady(0)}
      (if (local.get $count) (then
        (if ${take(MPMC_PUSH_WORD, NOTE_PUSH, '(local.get $count)')}
          (then (return (local.get $count))))
        (local.set $lost (i32.const 1))
        (br $again)))
      (br_if $again (i32.gt_s (local.get $distance) (i32.const 0))))
    ${CLEAR_IF_LOST}
    (i32.const 0))`;

const CLAIM_POP = `
  (func (export "claimPop") (param $line i32) (param $wanted i32) (result i32) ${LOCALS}
    (local $count i32) ${BATCH_LOCALS}
    ${LOAD_CONSTANTS}
    (loop $again
      (local.set $ticket (i32.atomic.load ${at(MPMC_POP_WORD)}))
      ${countReady(1)}
      (if (local.get $count) (then
        (if ${take(MPMC_POP_WORD, NOTE_POP, '(local.get $count)')}
          (then (return (local.get $count))))
        (local.set $lost (i32.const 1))
        (br $again)))
      ;; A hole: take it, and free its slot.
      (if (i32.eq (local.get $distance) (i32.const 1)) (then
        (local.set $lost (i32.const 1))
        (if ${take(MPMC_POP_WORD, NOTE_POP, '(i32.const 1)')} (then
          (i32.atomic.store (local.get $slot)
            (i32.add (local.get $ticket) (i32.load ${at(MPMC_CAPACITY_WORD)})))
          (local.set $lost (i32.const 0))))
        (br $again)))
      (br_if $again (i32.gt_s (local.get $distance) (i32.const 0))))
    ${CLEAR_IF_LOST}
    (i32.const 0))`;

/** Stores the seqs of the tickets in the note, `more` above each: the first one last. */
function giveUpText(name: string, more: string): string {
  return `(func (export "${name}") (param $line i32)
    (local $ticket i32) (local $slot i32) (local $left i32) (local $above i32) ${BATCH_LOCALS}
    ${LOAD_CONSTANTS}
    (local.set $above ${more})
    (local.set $ticket (i32.load ${inLine(MEMBER_TICKET_WORD)}))
    (local.set $left (i32.load ${inLine(MEMBER_COUNT_WORD)}))
    (block $first
      (loop $next
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        ${findBatchSlot('(i32.add (local.get $ticket) (local.get $left))')}
        (br_if $first (i32.eqz (local.get $left)))
        (i32.atomic.store (local.get $slot)
          (i32.add (i32.add (local.get $ticket) (local.get $left)) (local.get $above)))
        (br $next)))
    (i32.atomic.store (local.get $slot) (i32.add (local.get $ticket) (local.get $above))))`;
}

const INT_ITEM = `(f64.convert_i32_s (i32.load offset=${INT_ITEM_WORD * 4} (local.get $slot)))`;
const FLOAT_ITEM = `(f64.load offset=${FLOAT_ITEM_WORD * 4} (local.get $slot))`;

export const MPMC_WAT = `(module ${MEMORY_IMPORT}
  ${pushText('pushInt32', 'i32', INT_ITEM_WORD)}
  ${pushText('pushFloat64', 'f64', FLOAT_ITEM_WORD)}
  ${popText('popInt32', INT_ITEM)}
  ${popText('popFloat64', FLOAT_ITEM)}
  ${CLAIM_PUSH}
  ${CLAIM_POP}
  ${giveUpText('publish', '(i32.const 1)')}
  ${giveUpText('release', `(i32.load ${at(MPMC_CAPACITY_WORD)})`)})`;

/** Answers 1, or 0 when the ring is full. */
export type MpmcPush = (lineBytes: number, value: number) => number;
/** Answers the item, or `whenEmpty`. */
export type MpmcPop = (lineBytes: number, whenEmpty: number) => number;
/** Answers how many tickets were taken: the first one is in the note. */
export type MpmcClaim = (lineBytes: number, wanted: number) => number;
/** Gives up the slots of the tickets in the note. */
export type MpmcGiveUp = (lineBytes: number) => void;

/** What MPMC_WAT exports. */
export interface MpmcKernel {
  readonly pushInt32: MpmcPush;
  readonly pushFloat64: MpmcPush;
  readonly popInt32: MpmcPop;
  readonly popFloat64: MpmcPop;
  readonly claimPush: MpmcClaim;
  readonly claimPop: MpmcClaim;
  readonly publish: MpmcGiveUp;
  readonly release: MpmcGiveUp;
}
