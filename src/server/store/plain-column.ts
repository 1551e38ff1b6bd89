/**
 * Plain column: the pages of one Parquet column under construction, in one growing buffer.
 *
 * WHY         A flush must cost little more than copying what was decoded. Plain pages are that:
 *             integers are one copy of the decoder's words, text is its bytes with lengths between
 *             them. Dictionaries and compression come with the first merge, in large batches.
 * LAYOUT      Pages one after the other: header (Thrift), levels (u32 length, then RLE: one run
 *             when all rows or none are NULL, else a bit a row), the values that are not NULL:
 *             int64 and double little-endian, text as u32 length and bytes.
 * OWNERSHIP   One plain file; reset() keeps the buffer for the next one.
 * INVARIANTS  bytes[0 .. length) is whole pages. No allocation a row. DuckDB's own typed arrays and
 *             Parquet are both little-endian, as is every machine this runs on.
 * REFUSED     Statistics but for times (a scan of 30 columns for ranges that no query prunes by);
 *             DELTA_LENGTH_BYTE_ARRAY (saves the copying loop, but few readers are fast at it).
 */
import type { BatchColumn, SmallInts } from './batch.ts';

const BYTES_MIN = 4096;
/** Texts at least so long are copied by set(). */
const LONG_TEXT_BYTES = 128;
/** Upper bound of header, levels' length and a run. */
const HEAD_BYTES_MAX = 64;
const TWO_32 = 4294967296;

type TextSource = BatchColumn & { readonly kind: 'text' };

/** Scratch of all columns of a thread: one page is built at a time. */
let pairs = new Int32Array(2 * 2048);

function pairsFor(rows: number): Int32Array {
  if (pairs.length < 2 * rows) pairs = new Int32Array(2 * rows);
  return pairs;
}

export class PlainColumn {
  bytes = new Uint8Array(BYTES_MIN);
  length = 0;
  nulls = 0;
  /** Of a time column; min > max while it has no value. */
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  #view = new DataView(this.bytes.buffer);
  readonly #isTime: boolean;

  constructor(isTime: boolean) {
    this.#isTime = isTime;
  }

  reset(): void {
    this.length = 0;
    this.nulls = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = Number.NEGATIVE_INFINITY;
  }

  /** Adds rows 0 .. rows - 1 (at least one) as one page. */
  append(column: BatchColumn, rows: number): void {
    const valid = 'valid' in column ? column.valid : null;
    const nulls = valid === null ? 0 : countNulls(valid, rows);
    const levelBytes = nulls === 0 || nulls === rows ? runBytes(rows) : bitBytes(rows);
    const valueBytes = this.#valueBytes(column, rows, nulls);
    this.#room(HEAD_BYTES_MAX + levelBytes + valueBytes);
    this.#header(rows, 4 + levelBytes + valueBytes);
    this.#levels(valid, rows, nulls, levelBytes);
    this.nulls += nulls;
    if (nulls === rows) return;
    const present = nulls > 0 ? valid : null;
    const end = this.length + valueBytes;
    switch (column.kind) {
      case 'int':
        this.#ints(column.words, present, rows);
        break;
      case 'small':
        this.#smalls(column.values, rows);
        break;
      case 'float':
        this.#floats(column.values, present, rows);
        break;
      case 'same':
        this.#sameText(column.text, valueBytes);
        break;
      case 'text':
        this.#texts(column, present, rows);
        break;
    }
    this.length = end;
  }

  #valueBytes(column: BatchColumn, rows: number, nulls: number): number {
    if (nulls === rows) return 0;
    if (column.kind === 'same') return rows * (4 + column.text.length);
    if (column.kind !== 'text') return 8 * (rows - nulls);
    const { starts, ends } = column;
    const valid = nulls > 0 ? column.valid : null;
    let sum = 4 * (rows - nulls);
    for (let i = 0; i < rows; i++) {
      if (valid === null || valid[i] !== 0) sum += ends[i]! - starts[i]!;
    }
    return sum;
  }

  #room(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.length++] = (rest & 127) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  /** PageHeader of a data page (v1): plain values, levels as RLE. */
  #header(rows: number, pageBytes: number): void {
    const { bytes } = this;
    bytes[this.length++] = 0x15; // 1: type
    bytes[this.length++] = 0x00;
    bytes[this.length++] = 0x15; // 2: uncompressed size
    this.#varint(2 * pageBytes);
    bytes[this.length++] = 0x15; // 3: compressed size
    this.#varint(2 * pageBytes);
    bytes[this.length++] = 0x2c; // 5: DataPageHeader
    bytes[this.length++] = 0x15; // 5.1: values, NULLs included
    this.#varint(2 * rows);
    bytes[this.length++] = 0x15; // 5.2: encoding PLAIN
    bytes[this.length++] = 0x00;
    bytes[this.length++] = 0x15; // 5.3: definition levels RLE
    bytes[this.length++] = 0x06;
    bytes[this.length++] = 0x15; // 5.4: repetition levels RLE
    bytes[this.length++] = 0x06;
    bytes[this.length++] = 0x00;
    bytes[this.length++] = 0x00;
  }

  #levels(valid: Uint8Array | null, rows: number, nulls: number, levelBytes: number): void {
    this.#view.setUint32(this.length, levelBytes, true);
    this.length += 4;
    if (valid === null || nulls === 0 || nulls === rows) {
      this.#varint(2 * rows);
      this.bytes[this.length++] = nulls === rows ? 0 : 1;
      return;
    }
    const groups = Math.ceil(rows / 8);
    this.#varint(2 * groups + 1);
    const at = this.length;
    this.bytes.fill(0, at, at + groups);
    for (let i = 0; i < rows; i++) this.bytes[at + (i >> 3)]! |= valid[i]! << (i & 7);
    this.length = at + groups;
  }

  #put(words: Int32Array, count: number): void {
    this.bytes.set(new Uint8Array(words.buffer, words.byteOffset, 4 * count), this.length);
  }

  #ints(words: Int32Array, valid: Uint8Array | null, rows: number): void {
    if (this.#isTime) this.#range(words, valid, rows);
    if (valid === null) {
      this.#put(words, 2 * rows);
      return;
    }
    const scratch = pairsFor(rows);
    let used = 0;
    for (let i = 0; i < rows; i++) {
      if (valid[i] === 0) continue;
      scratch[used++] = words[2 * i]!;
      scratch[used++] = words[2 * i + 1]!;
    }
    this.#put(scratch, used);
  }

  #range(words: Int32Array, valid: Uint8Array | null, rows: number): void {
    let low = 0;
    let high = 0;
    let isFirst = true;
    for (let i = 0; i < rows; i++) {
      if (valid !== null && valid[i] === 0) continue;
      // Rows of one block have the same time.
      if (!isFirst && words[2 * i] === low && words[2 * i + 1] === high) continue;
      isFirst = false;
      low = words[2 * i]!;
      high = words[2 * i + 1]!;
      const value = high * TWO_32 + (low >>> 0);
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
    }
  }

  #smalls(values: SmallInts, rows: number): void {
    const scratch = pairsFor(rows);
    for (let i = 0; i < rows; i++) {
      scratch[2 * i] = values[i]!;
      scratch[2 * i + 1] = 0;
    }
    this.#put(scratch, 2 * rows);
  }

  #floats(values: Float64Array, valid: Uint8Array | null, rows: number): void {
    if (valid === null) {
      this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, 8 * rows), this.length);
      return;
    }
    let at = this.length;
    for (let i = 0; i < rows; i++) {
      if (valid[i] === 0) continue;
      this.#view.setFloat64(at, values[i]!, true);
      at += 8;
    }
  }

  /** The same text in all rows: written once, then doubled. */
  #sameText(text: Uint8Array, total: number): void {
    const { bytes, length: at } = this;
    this.#view.setUint32(at, text.length, true);
    bytes.set(text, at + 4);
    for (let done = 4 + text.length; done < total; done *= 2) {
      bytes.copyWithin(at + done, at, at + Math.min(done, total - done));
    }
  }

  #texts(column: TextSource, valid: Uint8Array | null, rows: number): void {
    const { bytes, starts, ends } = column;
    const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const target = this.#view;
    let at = this.length;
    for (let i = 0; i < rows; i++) {
      if (valid !== null && valid[i] === 0) continue;
      const start = starts[i]!;
      const length = ends[i]! - start;
      target.setUint32(at, length, true);
      at += 4;
      if (length === 0) continue;
      if (length < 4) {
        for (let k = 0; k < length; k++) this.bytes[at + k] = bytes[start + k]!;
      } else if (length < LONG_TEXT_BYTES) {
        // Four bytes at a time; the last four may overlap those before.
        const last = length - 4;
        for (let k = 0; k < last; k += 4) {
          target.setInt32(at + k, source.getInt32(start + k, true), true);
        }
        target.setInt32(at + last, source.getInt32(start + last, true), true);
      } else {
        this.bytes.set(bytes.subarray(start, start + length), at);
      }
      at += length;
    }
  }
}

function countNulls(valid: Uint8Array, rows: number): number {
  let nulls = rows;
  for (let i = 0; i < rows; i++) nulls -= valid[i]!;
  return nulls;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** One RLE run of all rows: its length and the level. */
function runBytes(rows: number): number {
  return varintBytes(2 * rows) + 1;
}

/** One bit-packed run. */
function bitBytes(rows: number): number {
  const groups = Math.ceil(rows / 8);
  return varintBytes(2 * groups + 1) + groups;
}
