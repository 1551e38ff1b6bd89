/**
 * Decoder: blocks of whole records into the columns of 33 tables.
 *
 * WHY         One loop finds out which layout a record has, and hands the run of records that begins
 *             there to the decoder generated for it. What has no table, or is malformed, is told to the
 *             sink by place and reason and goes on being bytes.
 * DISPATCH    tag -> table (one array look-up, as all known tags begin with F0F0F) -> layouts of the same
 *             field count, the last used first. When its guards fail, the record is walked; that finds
 *             the malformed ones and tells the layout of the others.
 * LIMITS      LAYOUTS_MAX generated decoders in all; further layouts take the generic decoder.
 * INVARIANTS  rows delivered + malformed + other = records seen. Each record is exactly one of them.
 */
import { type CatalogEntry, TABLES } from './catalog.ts';
import { COLUMN_ROWS, RecordColumns } from './columns.ts';
import {
  FIELD_COUNT_MAX,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  HEADER_BYTES,
  TAG_OFFSET,
} from './constants.ts';
import { MALFORMED_NAMES, WELL_FORMED, walkFields } from './field.ts';
import { BAD_PREFIX, frameLength } from './frame.ts';
import { generateDecoder, type RunDecoder } from './generate.ts';
import { decodeGeneric } from './generic.ts';

/** Generated decoders at most; a live network has fewer layouts than tables. */
export const LAYOUTS_MAX = 64;

/** Known tags are F0F0Fxxx: twelve bits tell them apart. */
const TAG_PREFIX = 0xf0f0f;
const TAG_SLOTS = 4096;
const NO_TABLE = 255;

/** Takes what a decoder makes. Offsets are into the memory given to decodeBlock. */
export interface DecodeSink {
  /** Rows are full (or text is): read them before returning; the columns are then reset. */
  onFull(columns: RecordColumns): void;
  /** A record whose fields are wrong; `reason` indexes MALFORMED_NAMES. */
  onMalformed(offset: number, length: number, reason: number, recordIndex: number): void;
  /** A well-formed record without a table: an unknown tag, or one whose fields nobody knows. */
  onOther(offset: number, length: number, tag: number, recordIndex: number): void;
}

/** Totals since creation. */
export interface DecodeCounts {
  /** Records seen: delivered + malformed + other. */
  records: number;
  /** Rows appended to columns. */
  delivered: number;
  /** By reason code; index 0 is unused. */
  readonly malformed: Float64Array;
  other: number;
}

interface Layout {
  readonly types: Uint8Array;
  readonly decode: RunDecoder;
}

interface Table {
  readonly tag: number;
  readonly columns: RecordColumns;
  /** Field count -> layouts, the last used first. */
  readonly byFieldCount: (Layout[] | undefined)[];
}

export interface DecoderOptions {
  /** Rows per table before onFull. */
  readonly capacity?: number;
  /** Generated decoders at most; 0 = always the generic one. */
  readonly layoutsMax?: number;
}

/** One per thread. Owns the columns of all tables. */
export class RecordDecoder {
  readonly counts: DecodeCounts = {
    records: 0,
    delivered: 0,
    malformed: new Float64Array(MALFORMED_NAMES.length),
    other: 0,
  };
  /** Columns by table, in the order of the catalogue (33). A flush takes those with rows. */
  readonly tables: readonly RecordColumns[];
  readonly #layoutsMax: number;
  #layoutCount = 0;
  readonly #tables: readonly Table[];
  readonly #slots = new Uint8Array(TAG_SLOTS).fill(NO_TABLE);

  constructor(options: DecoderOptions = {}) {
    const capacity = options.capacity ?? COLUMN_ROWS;
    this.#layoutsMax = options.layoutsMax ?? LAYOUTS_MAX;
    this.#tables = TABLES.map((entry: CatalogEntry, index) => {
      const tag = entry.tag!;
      this.#slots[tag % TAG_SLOTS] = index;
      return {
        tag,
        columns: new RecordColumns(entry, capacity),
        byFieldCount: new Array<Layout[] | undefined>(FIELD_COUNT_MAX + 1).fill(undefined),
      };
    });
    this.tables = this.#tables.map((table) => table.columns);
  }

  /** Layouts that have a generated decoder. */
  get layoutCount(): number {
    return this.#layoutCount;
  }

  /** Values that did not fit their column, since creation. */
  get misfitCount(): number {
    return this.tables.reduce((sum, columns) => sum + columns.misfitCount, 0);
  }

  /** Fields beyond the catalogued ones, since creation. */
  get surplusCount(): number {
    return this.tables.reduce((sum, columns) => sum + columns.surplusCount, 0);
  }

  /**
   * Decodes the records in `offset .. offset + length`. Returns the offset behind the last whole
   * record: the block's end, unless its last bytes are no whole record or a prefix is impossible.
   * `bytes` and `view` are over the same memory, from its start; neither is kept.
   */
  decodeBlock(
    bytes: Uint8Array,
    view: DataView,
    offset: number,
    length: number,
    sink: DecodeSink,
  ): number {
    const end = offset + length;
    const counts = this.counts;
    let at = offset;
    let recordIndex = 0;
    while (end - at >= HEADER_BYTES) {
      const tag = view.getUint32(at + TAG_OFFSET);
      const table = tag >>> 12 === TAG_PREFIX ? this.#tables[this.#slots[tag & 0xfff]!] : undefined;
      if (table !== undefined) {
        const layout = table.byFieldCount[view.getUint8(at + FIELD_COUNT_OFFSET)]?.[0];
        if (layout !== undefined) {
          const columns = table.columns;
          const rowsBefore = columns.rowCount;
          at = layout.decode(bytes, view, at, end, recordIndex);
          const rows = columns.rowCount - rowsBefore;
          recordIndex += rows;
          counts.delivered += rows;
          if (columns.isFull) this.#handOver(columns, sink);
          else if (rows === 0) {
            const next = this.#decodeOne(table, bytes, view, at, end, recordIndex, sink);
            if (next < 0) break;
            at = next;
            recordIndex++;
          }
          continue;
        }
      }
      const next = this.#decodeOne(table, bytes, view, at, end, recordIndex, sink);
      if (next < 0) break;
      at = next;
      recordIndex++;
    }
    counts.records += recordIndex;
    return at;
  }

  /** A record that no decoder at hand took: walks it. The offset behind it, or -1: not whole. */
  #decodeOne(
    table: Table | undefined,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    recordIndex: number,
    sink: DecodeSink,
  ): number {
    const length = frameLength(bytes, at);
    if (length === BAD_PREFIX || length > end - at) return -1;
    const reason = walkFields(bytes, view, at, length);
    if (reason !== WELL_FORMED) {
      this.counts.malformed[reason]!++;
      sink.onMalformed(at, length, reason, recordIndex);
    } else if (table === undefined || table.tag !== view.getUint32(at + TAG_OFFSET)) {
      this.counts.other++;
      sink.onOther(at, length, view.getUint32(at + TAG_OFFSET), recordIndex);
    } else {
      this.#appendWalked(table, bytes, view, at, length, recordIndex, sink);
    }
    return at + length;
  }

  /** A well-formed record of a table: by the decoder of its layout, made now if it is new. */
  #appendWalked(
    table: Table,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    length: number,
    recordIndex: number,
    sink: DecodeSink,
  ): void {
    const columns = table.columns;
    const decode = this.#findLayout(table, view, at);
    for (;;) {
      const done =
        decode === undefined
          ? decodeGeneric(columns, bytes, view, at, length, recordIndex)
          : decode(bytes, view, at, at + length, recordIndex) > at;
      if (done) break;
      this.#handOver(columns, sink);
    }
    this.counts.delivered++;
    if (columns.isFull) this.#handOver(columns, sink);
  }

  #handOver(columns: RecordColumns, sink: DecodeSink): void {
    sink.onFull(columns);
    columns.reset();
  }

  /** The generated decoder of the layout of the well-formed record at `at`; undefined: generic. */
  #findLayout(table: Table, view: DataView, at: number): RunDecoder | undefined {
    const fieldCount = view.getUint8(at + FIELD_COUNT_OFFSET);
    table.byFieldCount[fieldCount] ??= [];
    const layouts = table.byFieldCount[fieldCount];
    for (let i = 0; i < layouts.length; i++) {
      const layout = layouts[i]!;
      if (!hasTypes(view, at, layout.types)) continue;
      layouts[i] = layouts[0]!;
      layouts[0] = layout;
      return layout.decode;
    }
    if (this.#layoutCount >= this.#layoutsMax) return undefined;
    this.#layoutCount++;
    const types = readTypes(view, at, fieldCount);
    const layout = { types, decode: generateDecoder(table.columns, types) };
    layouts.push(layout);
    return layout.decode;
  }
}

/** Does the well-formed record at `at` have exactly these types? */
function hasTypes(view: DataView, at: number, types: Uint8Array): boolean {
  let p = at + HEADER_BYTES;
  for (let i = 0; i < types.length; i++) {
    if (view.getUint8(p) !== types[i]) return false;
    p += FIELD_HEADER_BYTES + view.getUint32(p + 1);
  }
  return true;
}

function readTypes(view: DataView, at: number, fieldCount: number): Uint8Array {
  const types = new Uint8Array(fieldCount);
  let p = at + HEADER_BYTES;
  for (let i = 0; i < fieldCount; i++) {
    types[i] = view.getUint8(p);
    p += FIELD_HEADER_BYTES + view.getUint32(p + 1);
  }
  return types;
}
