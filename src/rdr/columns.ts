/**
 * Columns: decoded records of one table, as arrays that a columnar store takes as they are.
 *
 * WHY         An object per record costs more than decoding it. Arrow-like columns are filled in
 *             place, handed over by reference and used again.
 * LAYOUT      Row i of a column:
 *               int    words[2i] and words[2i + 1]: low and high half of a little-endian int64
 *               text   bytes[ends[i - 1] .. ends[i]], with ends[-1] = 0; bytes are as received
 *               float  values[i]
 *             and for each kind valid[i]: 1 a value, 0 NULL (the slot then holds anything; the
 *             text is empty). `extra` is a text column whose normal value is NULL; it is
 *             valid UTF-8 as it stands (JSON, escaped inside): nothing more is to be escaped.
 * OWNERSHIP   The decoder writes rows; whoever takes them (DecodeSink.onFull, or a flush) reads
 *             rows 0 .. rowCount - 1, is done when it returns, and the columns are then reset.
 * INVARIANTS  1. All rows of `valid` behind rowCount are 1 (in `extra`: 0), so that a decoder
 *                touches it only for NULLs.
 *             2. nullCount = zeros in valid[0 .. rowCount - 1].
 *             3. High words behind rowCount are 0, so that only negative integers touch them.
 *             4. Heaps of text never exceed TEXT_HEAP_BYTES_MAX: columns count as full before that.
 * REFUSED     SharedArrayBuffer (DuckDB's binding refuses it); BigInt64Array (every store makes or
 *             unwraps a BigInt); bitmaps for validity (a read-modify-write per row).
 */
import { assert } from '../toolkit/base/assert.ts';
import type { CatalogEntry, CatalogField } from './catalog.ts';
import { FRAME_BYTES_MAX } from './constants.ts';

/** Rows of one batch: DuckDB's vector size. */
export const COLUMN_ROWS = 2048;

/** First size of a text heap per row; it doubles when that is not enough. */
const TEXT_BYTES_PER_ROW = 32;

/** First size of the heap of `extra`, which normally stays empty. */
const EXTRA_HEAP_BYTES = 1024;

/** Columns count as full before a text heap outgrows this: memory stays bounded by long texts. */
export const TEXT_HEAP_BYTES_MAX = 1024 * 1024;

/** What was seen in a text column since its last reset; 0 = printable ASCII without backslash. */
export const TEXT_FLAG = {
  NON_ASCII: 1,
  BACKSLASH: 2,
  /** A byte below 0x20. */
  CONTROL: 4,
} as const;

interface ColumnBase {
  readonly name: string;
  /** One byte a row: 1 a value, 0 NULL. */
  readonly valid: Uint8Array;
  nullCount: number;
}

export interface IntColumn extends ColumnBase {
  readonly kind: 'int';
  /** Two words a row: low, high. */
  readonly words: Int32Array;
  /** Some high word is not 0. */
  hasHighWords: boolean;
}

export interface FloatColumn extends ColumnBase {
  readonly kind: 'float';
  readonly values: Float64Array;
}

export type Column = IntColumn | TextColumn | FloatColumn;

/** Text of many rows in one heap, which grows by doubling. */
export class TextColumn implements ColumnBase {
  readonly kind = 'text';
  readonly name: string;
  readonly valid: Uint8Array;
  /** End offset of each row in `bytes`. */
  readonly ends: Uint32Array;
  /** OR of TEXT_FLAG over all rows. */
  flags = 0;
  nullCount = 0;
  /** Bytes in use. */
  byteCount = 0;
  /** The heap; replaced when it grows. */
  bytes: Uint8Array;
  /** Over the whole heap. */
  view: DataView;

  constructor(name: string, capacity: number, heapBytes = capacity * TEXT_BYTES_PER_ROW) {
    this.name = name;
    this.valid = new Uint8Array(capacity).fill(1);
    this.ends = new Uint32Array(capacity);
    this.bytes = new Uint8Array(heapBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Makes room for `need` bytes behind `used`. False when the heap would outgrow its bound: the
   * columns are then full. Copies the bytes in use, so that doubling is paid once.
   */
  reserve(used: number, need: number): boolean {
    if (used + need <= this.bytes.length) return true;
    if (used + need > TEXT_HEAP_BYTES_MAX) return false;
    let size = this.bytes.length;
    while (size < used + need) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.bytes.subarray(0, used));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
    return true;
  }
}

/** The header's nine items, one array each, all of `capacity` rows. */
export interface HeaderColumns {
  readonly processorId: Uint8Array;
  /** The length field: frame bytes - 5. */
  readonly length: Uint16Array;
  readonly sourceIpSample: Uint8Array;
  readonly destinationIpSample: Uint8Array;
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  readonly flowContextId: Uint32Array;
  readonly tag: Uint32Array;
  readonly fieldCount: Uint8Array;
}

function makeColumn(field: CatalogField, capacity: number): Column {
  const base = {
    name: field.column,
    valid: new Uint8Array(capacity).fill(1),
    nullCount: 0,
  };
  switch (field.kind) {
    case 'int':
      return { kind: 'int', ...base, words: new Int32Array(2 * capacity), hasHighWords: false };
    case 'float':
      return { kind: 'float', ...base, values: new Float64Array(capacity) };
    case 'text':
      return new TextColumn(field.column, capacity);
  }
}

function clearHighWords(column: IntColumn, rows: number): void {
  if (!column.hasHighWords) return;
  for (let row = 0; row < rows; row++) column.words[2 * row + 1] = 0;
  column.hasHighWords = false;
}

/** The columns of one table: header items, a column per catalogued field, and `extra`. */
export class RecordColumns {
  readonly entry: CatalogEntry;
  readonly tableName: string;
  readonly capacity: number;
  rowCount = 0;
  /** Set by a decoder when a text heap is at its bound: take the rows although some are free. */
  isTextFull = false;
  /** Values that did not fit their column, since creation: NULL there, kept in `extra`. */
  misfitCount = 0;
  /** Fields beyond the catalogued ones, since creation: kept in `extra`. */
  surplusCount = 0;
  readonly header: HeaderColumns;
  /** Row -> index of the record in its block, from 0: ordinal = the block's first + this. */
  readonly recordIndex: Uint32Array;
  /** In the order of the catalogue's fields. */
  readonly fields: readonly Column[];
  /** JSON list of [index, type, value] of what has no column or did not fit it; NULL normally. */
  readonly extra: TextColumn;

  constructor(entry: CatalogEntry, capacity = COLUMN_ROWS) {
    assert(entry.tableName !== null && entry.tag !== null, 'a table needs a tag and fields');
    assert(TEXT_HEAP_BYTES_MAX > 8 * FRAME_BYTES_MAX, 'an empty text heap takes any record');
    this.entry = entry;
    this.tableName = entry.tableName;
    this.capacity = capacity;
    this.header = {
      processorId: new Uint8Array(capacity),
      length: new Uint16Array(capacity),
      sourceIpSample: new Uint8Array(capacity),
      destinationIpSample: new Uint8Array(capacity),
      sourcePort: new Uint16Array(capacity),
      destinationPort: new Uint16Array(capacity),
      flowContextId: new Uint32Array(capacity),
      // One table, one tag: written once.
      tag: new Uint32Array(capacity).fill(entry.tag),
      fieldCount: new Uint8Array(capacity),
    };
    this.recordIndex = new Uint32Array(capacity);
    this.fields = entry.fields.map((field) => makeColumn(field, capacity));
    this.extra = new TextColumn('extra', capacity, EXTRA_HEAP_BYTES);
    this.extra.valid.fill(0);
  }

  get isFull(): boolean {
    return this.rowCount === this.capacity || this.isTextFull;
  }

  /** Forgets all rows; heaps keep their size. */
  reset(): void {
    const rows = this.rowCount;
    for (const column of this.fields) {
      if (column.nullCount > 0) column.valid.fill(1, 0, rows);
      column.nullCount = 0;
      if (column.kind === 'int') clearHighWords(column, rows);
      if (column.kind !== 'text') continue;
      column.byteCount = 0;
      column.flags = 0;
    }
    if (this.extra.nullCount < rows) this.extra.valid.fill(0, 0, rows);
    this.extra.nullCount = 0;
    this.extra.byteCount = 0;
    this.extra.flags = 0;
    this.rowCount = 0;
    this.isTextFull = false;
  }
}
