/**
 * Batch: rows of one table as columns, the one form in which rows are handed to a Parquet file.
 *
 * WHY         Rows come from the decoder's columns, from roll-ups and from raw bytes; they leave as
 *             pages of a plain file (plain-column.ts). Both ends know this form only.
 * LAYOUT      Columns stand in the order of the table. `starts` and `ends` of text are separate, so
 *             that many rows may share one piece of the heap.
 * OWNERSHIP   Borrowed: valid until the maker's next change.
 */

/** Where an unsigned integer of the header lies as it came. */
export type SmallInts = Uint8Array | Uint16Array | Uint32Array;

export type BatchColumn =
  /** Little-endian int64: two words a row. */
  | { readonly kind: 'int'; readonly words: Int32Array; readonly valid: Uint8Array | null }
  | { readonly kind: 'small'; readonly values: SmallInts }
  /** The same text in every row. */
  | { readonly kind: 'same'; readonly text: Uint8Array }
  | { readonly kind: 'float'; readonly values: Float64Array; readonly valid: Uint8Array | null }
  /** Valid UTF-8, or any bytes for a blob. */
  | {
      readonly kind: 'text';
      readonly bytes: Uint8Array;
      readonly starts: Uint32Array;
      readonly ends: Uint32Array;
      readonly valid: Uint8Array | null;
    };

export interface Batch {
  readonly rowCount: number;
  readonly columns: readonly BatchColumn[];
}

const TWO_32 = 4294967296;

/** Stores an integer up to 2^53 in magnitude as row `row` of an int column. */
export function setWords(words: Int32Array, row: number, value: number): void {
  words[2 * row] = value | 0;
  words[2 * row + 1] = Math.floor(value / TWO_32);
}

/** The integer in row `row`; exact up to 2^53 in magnitude. */
export function getWords(words: Int32Array, row: number): number {
  return words[2 * row + 1]! * TWO_32 + (words[2 * row]! >>> 0);
}
