/**
 * Decoder: blocks of whole records into the columns of 33 tables.
 *
 * WHY         A block is scanned once, frame by frame, and each record put into the bucket of its
 *             tag and field count; then each bucket is decoded at a stretch by the decoder
 *             generated for its layout. What has no table, or is malformed, is told to the sink by
 *             place and reason.
 * DISPATCH    tag -> table (an array look-up: all known tags begin with F0F0F), table and field
 *             count -> bucket, whose last used layout is tried. Where its guards fail, the record
 *             is walked; that finds the malformed ones, and tells the layout of the others.
 * LIMITS      LAYOUTS_MAX generated decoders in all; further layouts take the generic decoder, and
 *             so do the first LAYOUT_AFTER records of a layout: new code runs slowly until V8 has
 *             compiled it, and a stream of nonsense must not use up the decoders.
 * INVARIANTS  delivered + malformed + other = records seen. Each record is exactly one of them.
 * REFUSED     Decoding in the order of arrival: in a mixed stream nearly every record changes the
 *             decoder, whose code and columns then come from farther caches (measured: twice the
 *             time).
 */
import { assert } from '../toolkit/base/assert.ts';
import { TABLES } from './catalog.ts';
import { RecordColumns } from './columns.ts';
import { FIELD_COUNT_OFFSET, FIELD_HEADER_BYTES, HEADER_BYTES, TAG_OFFSET } from './constants.ts';
import { MALFORMED_NAMES, WELL_FORMED, walkFields } from './field.ts';
import { BAD_PREFIX, frameLength } from './frame.ts';
import { generateDecoder, RUN_STRIDE, type RunDecoder } from './generate.ts';
import { decodeGeneric } from './generic.ts';

/** Generated decoders at most; a live network has fewer layouts than tables. */
export const LAYOUTS_MAX = 64;

/** Records of a layout before it gets a decoder of its own. */
const LAYOUT_AFTER = 16;
/** Counters of sightings, by a hash of the layout; a collision only makes a decoder earlier. */
const SIGHTING_SLOTS = 1024;

/** Known tags are F0F0Fxxx: twelve bits tell them apart. */
const TAG_PREFIX = 0xf0f0f;
const TAG_SLOTS = 4096;
const NO_TABLE = 255;
const NO_BUCKET = 255;

/** Records of a bucket that are decoded together: enough that changing decoders costs little. */
const RUN_RECORDS = 256;
const LIST_LENGTH = RUN_RECORDS * RUN_STRIDE;

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

/** Records of one tag and field count that wait to be decoded together. */
interface Bucket {
  readonly table: number;
  /** The last used first; never empty. */
  readonly layouts: Layout[];
  /** RUN_STRIDE numbers a record (generate.ts). */
  readonly list: Int32Array;
}

export interface DecoderOptions {
  /** Rows per table before onFull. */
  readonly capacity?: number;
  /** Generated decoders at most; 0 = always the generic one. */
  readonly layoutsMax?: number;
  /** Records of a layout before a decoder is generated for it (1..255). */
  readonly layoutAfter?: number;
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
  readonly #layoutAfter: number;
  readonly #sightings = new Uint8Array(SIGHTING_SLOTS);
  readonly #buckets: Bucket[] = [];
  /** Last twelve bits of a tag -> index of its table, or NO_TABLE. */
  readonly #slots = new Uint8Array(TAG_SLOTS).fill(NO_TABLE);
  /** 256 * table + field count -> bucket, or NO_BUCKET. */
  readonly #bucketOf = new Uint8Array(256 * 256).fill(NO_BUCKET);
  /** Bucket -> records waiting. Zero between calls. */
  readonly #waiting = new Int32Array(LAYOUTS_MAX);
  /** A list for one record. */
  readonly #one = new Int32Array(RUN_STRIDE);
  /** The lists of all buckets, one behind the other. */
  readonly #lists: Int32Array;

  constructor(options: DecoderOptions = {}) {
    this.#layoutsMax = Math.min(LAYOUTS_MAX, options.layoutsMax ?? LAYOUTS_MAX);
    this.#layoutAfter = options.layoutAfter ?? LAYOUT_AFTER;
    this.#lists = new Int32Array(this.#layoutsMax * LIST_LENGTH);
    this.tables = TABLES.map((entry) => new RecordColumns(entry, options.capacity));
    TABLES.forEach((entry, index) => {
      this.#slots[entry.tag! % TAG_SLOTS] = index;
    });
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
   * `bytes` and `view` are over the same memory, from its start; neither is kept. Records of one
   * table become rows in their order; those of different tables, and what the sink is told, are not
   * ordered among each other: recordIndex says where each stood.
   */
  decodeBlock(
    bytes: Uint8Array,
    view: DataView,
    offset: number,
    length: number,
    sink: DecodeSink,
  ): number {
    const end = offset + length;
    const waiting = this.#waiting;
    const lists = this.#lists;
    // An exception of a sink may have left some behind.
    waiting.fill(0);
    let at = offset;
    let recordIndex = 0;
    for (; end - at >= HEADER_BYTES; recordIndex++) {
      const frameBytes = frameLength(bytes, at);
      if (frameBytes === BAD_PREFIX || frameBytes > end - at) break;
      const tag = view.getInt32(at + TAG_OFFSET);
      const table = tag >>> 12 === TAG_PREFIX ? this.#slots[tag & (TAG_SLOTS - 1)]! : NO_TABLE;
      const bucket = this.#bucketOf[256 * table + bytes[at + FIELD_COUNT_OFFSET]!]!;
      if (bucket === NO_BUCKET) {
        this.#decodeOne(table, bytes, view, at, frameBytes, recordIndex, sink);
      } else {
        const count = waiting[bucket]!;
        const slot = bucket * LIST_LENGTH + count * RUN_STRIDE;
        lists[slot] = at - offset;
        lists[slot + 1] = frameBytes;
        lists[slot + 2] = recordIndex;
        waiting[bucket] = count + 1;
        if (count + 1 === RUN_RECORDS) this.#drain(bucket, bytes, view, offset, sink);
      }
      at += frameBytes;
    }
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      if (waiting[bucket]! > 0) this.#drain(bucket, bytes, view, offset, sink);
    }
    this.counts.records += recordIndex;
    return at;
  }

  /** Decodes the waiting records of a bucket. */
  #drain(index: number, bytes: Uint8Array, view: DataView, base: number, sink: DecodeSink): void {
    const { layouts, list, table } = this.#buckets[index]!;
    const columns = this.tables[table]!;
    const to = this.#waiting[index]!;
    this.#waiting[index] = 0;
    let i = 0;
    while (i < to) {
      const from = i;
      i = layouts[0]!.decode(bytes, view, base, list, from, to);
      this.counts.delivered += i - from;
      if (columns.isFull) {
        this.#handOver(columns, sink);
      } else if (i < to) {
        const slot = i * RUN_STRIDE;
        const at = base + list[slot]!;
        this.#decodeOne(table, bytes, view, at, list[slot + 1]!, list[slot + 2]!, sink);
        i++;
      }
    }
  }

  /** A record that no decoder at hand took: walks it, and finds out what it is. */
  #decodeOne(
    table: number,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    length: number,
    recordIndex: number,
    sink: DecodeSink,
  ): void {
    const reason = walkFields(bytes, view, at, length);
    if (reason !== WELL_FORMED) {
      this.counts.malformed[reason]!++;
      sink.onMalformed(at, length, reason, recordIndex);
    } else if (table === NO_TABLE) {
      this.counts.other++;
      sink.onOther(at, length, view.getUint32(at + TAG_OFFSET), recordIndex);
    } else {
      this.#appendWalked(table, bytes, view, at, length, recordIndex, sink);
    }
  }

  /** A well-formed record of a table: by the decoder of its layout, made now if it is new. */
  #appendWalked(
    table: number,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    length: number,
    recordIndex: number,
    sink: DecodeSink,
  ): void {
    const columns = this.tables[table]!;
    const decode = this.#findLayout(table, view, at);
    this.#one[0] = 0;
    this.#one[1] = length;
    this.#one[2] = recordIndex;
    for (;;) {
      const done =
        decode === undefined
          ? decodeGeneric(columns, bytes, view, at, length, recordIndex)
          : decode(bytes, view, at, this.#one, 0, 1) === 1;
      if (done) break;
      // Walked, and of this layout: only full columns can have stopped it.
      assert(columns.isFull, 'the decoder of a layout takes its records');
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
  #findLayout(table: number, view: DataView, at: number): RunDecoder | undefined {
    const fieldCount = view.getUint8(at + FIELD_COUNT_OFFSET);
    const key = 256 * table + fieldCount;
    const layouts = this.#buckets[this.#bucketOf[key]!]?.layouts ?? [];
    for (let i = 0; i < layouts.length; i++) {
      const layout = layouts[i]!;
      if (!hasTypes(view, at, layout.types)) continue;
      layouts[i] = layouts[0]!;
      layouts[0] = layout;
      return layout.decode;
    }
    if (this.#layoutCount >= this.#layoutsMax) return undefined;
    const sighting = hashTypes(view, at, fieldCount, table) % SIGHTING_SLOTS;
    this.#sightings[sighting]!++;
    if (this.#sightings[sighting]! < this.#layoutAfter) return undefined;
    // The next layout that falls into this slot starts anew.
    this.#sightings[sighting] = 0;
    this.#layoutCount++;
    const types = readTypes(view, at, fieldCount);
    const layout = { types, decode: generateDecoder(this.tables[table]!, types) };
    if (layouts.push(layout) === 1) {
      const index = this.#buckets.length;
      const list = this.#lists.subarray(index * LIST_LENGTH, (index + 1) * LIST_LENGTH);
      this.#buckets.push({ table, layouts, list });
      this.#bucketOf[key] = index;
    }
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

/** FNV-1a of the table and the type bytes. */
function hashTypes(view: DataView, at: number, fieldCount: number, table: number): number {
  let hash = Math.imul(0x811c9dc5 ^ table, 0x01000193);
  let p = at + HEADER_BYTES;
  for (let i = 0; i < fieldCount; i++) {
    hash = Math.imul(hash ^ view.getUint8(p), 0x01000193);
    p += FIELD_HEADER_BYTES + view.getUint32(p + 1);
  }
  return hash >>> 0;
}
