/**
 * Raw batch: whole records as bytes, for those that have no table or are malformed.
 *
 * Not the normal path, yet an exporter may send nothing else at full speed: growing arrays, no
 * object per record. The last column but one is `reason` (text) or `tag` (integer).
 */
import { type Batch, type BatchColumn, setWords } from './batch.ts';
import type { BlockOrigin } from './record-batch.ts';

const ROWS_MIN = 256;

/** Texts or bytes of many rows in one growing heap. */
export class GrowingText {
  bytes = new Uint8Array(16 * 1024);
  starts = new Uint32Array(ROWS_MIN);
  ends = new Uint32Array(ROWS_MIN);
  length = 0;

  set(row: number, source: Uint8Array, from: number, to: number): void {
    if (row >= this.starts.length) {
      this.starts = grow(this.starts, row + 1);
      this.ends = grow(this.ends, row + 1);
    }
    const need = this.length + to - from;
    if (need > this.bytes.length) this.bytes = grow(this.bytes, need);
    for (let i = from; i < to; i++) this.bytes[this.length + i - from] = source[i]!;
    this.starts[row] = this.length;
    this.ends[row] = need;
    this.length = need;
  }

  asColumn(): BatchColumn {
    const { bytes, starts, ends } = this;
    return { kind: 'text', bytes, starts, ends, valid: null };
  }
}

/** Integers of many rows. */
export class GrowingInts {
  words = new Int32Array(2 * ROWS_MIN);

  set(row: number, value: number): void {
    if (2 * row >= this.words.length) this.words = grow(this.words, 2 * row + 2);
    setWords(this.words, row, value);
  }

  asColumn(valid: Uint8Array | null = null): BatchColumn {
    return { kind: 'int', words: this.words, valid };
  }
}

export function grow<T extends Uint8Array | Uint32Array | Int32Array | Float64Array>(
  array: T,
  need: number,
): T {
  const grown = new (array.constructor as new (length: number) => T)(
    Math.max(array.length * 2, need),
  );
  grown.set(array);
  return grown;
}

const utf8 = new TextEncoder();

export class RawBatch {
  rowCount = 0;
  readonly #arrivals = new GrowingInts();
  readonly #exporters = new GrowingText();
  readonly #connections = new GrowingInts();
  readonly #ordinals = new GrowingInts();
  readonly #reasons = new GrowingText();
  readonly #tags = new GrowingInts();
  readonly #raws = new GrowingText();
  readonly #kind: 'reason' | 'tag';

  constructor(kind: 'reason' | 'tag') {
    this.#kind = kind;
  }

  /** Bytes of records held. */
  get bytes(): number {
    return this.#raws.length;
  }

  /** One record: `what` is the reason's name or the tag. */
  add(
    origin: BlockOrigin,
    recordIndex: number,
    what: string | number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const row = this.rowCount++;
    this.#arrivals.set(row, origin.arrivalUs);
    this.#exporters.set(row, origin.exporterText, 0, origin.exporterText.length);
    this.#connections.set(row, origin.connectionId);
    this.#ordinals.set(row, origin.connectionOrdinal + recordIndex);
    if (typeof what === 'number') {
      this.#tags.set(row, what);
    } else {
      const reason = utf8.encode(what);
      this.#reasons.set(row, reason, 0, reason.length);
    }
    this.#raws.set(row, bytes, offset, offset + length);
  }

  asBatch(): Batch {
    const columns = [
      this.#arrivals.asColumn(),
      this.#exporters.asColumn(),
      this.#connections.asColumn(),
      this.#ordinals.asColumn(),
      this.#kind === 'reason' ? this.#reasons.asColumn() : this.#tags.asColumn(),
      this.#raws.asColumn(),
    ];
    return { rowCount: this.rowCount, columns };
  }
}
