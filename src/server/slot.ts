/**
 * Slot: what a ring carries between stages, a reference to one block in a page of the arena.
 *
 * LAYOUT      8 int32 words
 *               0  pageIndex
 *               1  generation of the page when the slice was made
 *               2  offset of the block header in the page, a multiple of OS_PAGE_BYTES
 *               3  length of header and payload, bytes
 *               4  position of the block in the journal, low 32 bits  (0 before the journal)
 *               5  position, high bits
 *               6  record count
 *               7  bytes from the offset that are write-protected, 0 without a guard
 * WRITER      the collector (0-3, 6-7); the journal copies them to the broadcast ring and sets 4-5.
 * The rest of what is known of a block stands in its header, in the page (journal/format.ts).
 */

export const SLOT_WORDS = 8;
export const SLOT_BYTES = 4 * SLOT_WORDS;
export const SLOT_PAGE = 0;
export const SLOT_GENERATION = 1;
export const SLOT_OFFSET = 2;
export const SLOT_LENGTH = 3;
export const SLOT_POSITION_LOW = 4;
export const SLOT_POSITION_HIGH = 5;
export const SLOT_RECORDS = 6;
export const SLOT_PROTECTED = 7;

const TWO_32 = 4294967296;

export function setSlotPosition(words: Int32Array, slot: number, position: number): void {
  words[slot + SLOT_POSITION_LOW] = position | 0;
  words[slot + SLOT_POSITION_HIGH] = Math.floor(position / TWO_32);
}

export function slotPosition(words: Int32Array, slot: number): number {
  return words[slot + SLOT_POSITION_HIGH]! * TWO_32 + (words[slot + SLOT_POSITION_LOW]! >>> 0);
}
