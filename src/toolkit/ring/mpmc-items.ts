/**
 * Moves the items of a batch between arrays and the slots of a MpmcRing.
 *
 * The slots are those of the tickets in the caller's note, which it owns: plain reads and writes.
 * In both layouts an item stands behind a seq that takes as much room as the item, so items are two
 * elements of their array apart. A function for each kind of array and each direction, as in
 * copy-items.ts: V8 compiles a loop for one kind of array.
 */
import {
  FLOAT_ITEM_WORD,
  INT_ITEM_WORD,
  MEMBER_COUNT_WORD,
  MEMBER_TICKET_WORD,
  MPMC_CAPACITY_WORD,
  MPMC_FIRST_SLOT_WORD,
} from './mpmc-layout.ts';

const TICKET = MEMBER_TICKET_WORD;
const COUNT = MEMBER_COUNT_WORD;
const CAPACITY = MPMC_CAPACITY_WORD;
const FIRST_SLOT = MPMC_FIRST_SLOT_WORD;

/** From an item to the next one, in elements. */
const STRIDE = 2;

/** As many items as are noted, from `from` on, into the slots. */
export function mpmcWriteInts(
  words: Int32Array,
  line: number,
  items: Int32Array,
  from: number,
): void {
  const capacity = words[CAPACITY]!;
  const start = words[FIRST_SLOT]! + INT_ITEM_WORD;
  const end = start + capacity * STRIDE;
  let at = start + (words[line + TICKET]! & (capacity - 1)) * STRIDE;
  for (let i = from, to = from + words[line + COUNT]!; i < to; i++) {
    words[at] = items[i]!;
    at += STRIDE;
    if (at === end) at = start;
  }
}

/** As many items as are noted, out of the slots, to `from` and behind it. */
export function mpmcReadInts(
  words: Int32Array,
  line: number,
  into: Int32Array,
  from: number,
): void {
  const capacity = words[CAPACITY]!;
  const start = words[FIRST_SLOT]! + INT_ITEM_WORD;
  const end = start + capacity * STRIDE;
  let at = start + (words[line + TICKET]! & (capacity - 1)) * STRIDE;
  for (let i = from, to = from + words[line + COUNT]!; i < to; i++) {
    into[i] = words[at]!;
    at += STRIDE;
    if (at === end) at = start;
  }
}

/** The same for float64, `floats` being a view of the whole ring. */
export function mpmcWriteFloats(
  words: Int32Array,
  floats: Float64Array,
  line: number,
  items: Float64Array,
  from: number,
): void {
  const capacity = words[CAPACITY]!;
  const start = (words[FIRST_SLOT]! + FLOAT_ITEM_WORD) >> 1;
  const end = start + capacity * STRIDE;
  let at = start + (words[line + TICKET]! & (capacity - 1)) * STRIDE;
  for (let i = from, to = from + words[line + COUNT]!; i < to; i++) {
    floats[at] = items[i]!;
    at += STRIDE;
    if (at === end) at = start;
  }
}

export function mpmcReadFloats(
  words: Int32Array,
  floats: Float64Array,
  line: number,
  into: Float64Array,
  from: number,
): void {
  const capacity = words[CAPACITY]!;
  const start = (words[FIRST_SLOT]! + FLOAT_ITEM_WORD) >> 1;
  const end = start + capacity * STRIDE;
  let at = start + (words[line + TICKET]! & (capacity - 1)) * STRIDE;
  for (let i = from, to = from + words[line + COUNT]!; i < to; i++) {
    into[i] = floats[at]!;
    at += STRIDE;
    if (at === end) at = start;
  }
}
