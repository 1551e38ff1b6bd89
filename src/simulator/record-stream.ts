/**
 * Record stream: the bytes that one connection of a simulated SCE sends.
 *
 * WHY         Tests, benchmarks and the demo need load that anybody can make again: the bytes
 *             follow from the options alone. They depend on no clock, no machine, and not on the
 *             sizes of the buffers they are made into.
 * ORDER       One item after another. An item is one record: well formed, or (`malformedRatio`)
 *             with one fault, or a run of garbage followed by a well-formed record. Every record's
 *             flow context id is its ordinal in the connection, so a reader can prove that it has a
 *             prefix.
 * OWNERSHIP   fill() writes into the caller's buffer and keeps no reference but the encoder's,
 *             which is made anew only when the buffer changes.
 * INVARIANTS  An item never exceeds ITEM_BYTES_MAX. `totals` is exact for the bytes made so far, as
 *             long as liesRatio is 0. After garbage comes a record that is an anchor.
 */
import { RecordEncoder } from '../rdr/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { Prng } from '../toolkit/base/prng.ts';
import { EventSource } from './event.ts';
import { FAULT, FAULT_COUNT, FaultMaker, stretch, writeLength } from './fault.ts';
import { GARBAGE_NAMES, writeGarbage } from './garbage.ts';
import { LAYOUT_INDEX, LAYOUTS, type RecordLayout } from './layout.ts';
import { DRAWN_PERIOD_SECONDS, DRAWN_REPORT_KEYS, type Mix } from './mix.ts';
import { RecordWriter } from './record-writer.ts';
import { ReportSchedule } from './report-schedule.ts';
import { type SubscriberPool, scramble } from './subscriber-pool.ts';
import { TextMaker } from './text.ts';
import { HOSTILE_NAMES } from './text-pool.ts';
import { OTHER, Totals } from './totals.ts';

/** The longest item: a record of 10,004 bytes. Garbage and the record behind it are shorter. */
export const ITEM_BYTES_MAX = 10_004;

/** 2026-01-01 00:00:00 UTC, the virtual clock's start when none is given. */
export const DEFAULT_START_SECONDS = 1_767_225_600;

/** While reports are due, one goes out after so many other records. */
const REPORT_SPACING = 4;

/** Marks are the two address samples of a header. */
const MARK_MAX = 0xffff;

const DRAW_TABLE_LENGTH = 4096;
const TUR_INDEX = LAYOUT_INDEX.get('transaction_usage')!;

export interface RecordStreamOptions {
  readonly seed: number;
  /** Which connection of the run this is, from 0: each has its own bytes. */
  readonly connection?: number;
  readonly mix: Mix;
  readonly subscribers: SubscriberPool;
  /** Virtual clock at the first record, seconds since 1970-01-01 UTC. */
  readonly startSeconds?: number;
  /** Records per second of virtual time; the mix's own when left out. */
  readonly virtualRecordsPerSecond?: number;
  /**
   * Every header tells its connection: both address samples, as one number of 16 bits, are
   * `connection`. With the flow context id each record of a run is then known by its header.
   */
  readonly hasMarks?: boolean;
  /** Share of items with a fault or garbage, 0 .. 1. */
  readonly malformedRatio?: number;
  /** Share of records whose length digits lie, 0 .. 1: totals are not exact then. */
  readonly liesRatio?: number;
}

export class RecordStream {
  readonly totals: Totals = new Totals();
  readonly #prng: Prng;
  readonly #text: TextMaker;
  readonly #events: EventSource;
  readonly #writer: RecordWriter;
  readonly #faults: FaultMaker;
  readonly #schedule: ReportSchedule;
  readonly #draw: Uint8Array;
  readonly #extraFieldsRatio: number;
  readonly #malformedRatio: number;
  readonly #liesRatio: number;
  readonly #recordsPerSecond: number;
  #nowSeconds: number;
  #thisSecond = 0;
  #sinceReport = 0;
  #encoder: RecordEncoder | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);

  constructor(options: RecordStreamOptions) {
    const { mix, seed, connection = 0, startSeconds = DEFAULT_START_SECONDS } = options;
    const prng = new Prng(scramble((seed ^ scramble(connection + 1)) >>> 0));
    this.#prng = prng;
    this.#text = new TextMaker(prng, mix);
    this.#events = new EventSource(prng, options.subscribers, this.#text);
    const mark = options.hasMarks === true ? connection & MARK_MAX : -1;
    this.#writer = new RecordWriter(prng, this.#text, this.#events.slots, mark);
    this.#faults = new FaultMaker(prng);
    const reports = Object.entries(mix.periodic).map(([name, report]) => {
      return { layoutIndex: LAYOUT_INDEX.get(name)!, ...report };
    });
    this.#schedule = new ReportSchedule(reports, startSeconds);
    this.#draw = drawTable(mix);
    this.#extraFieldsRatio = mix.extraFieldsRatio;
    this.#malformedRatio = options.malformedRatio ?? 0;
    this.#liesRatio = options.liesRatio ?? 0;
    this.#recordsPerSecond = options.virtualRecordsPerSecond ?? mix.virtualRecordsPerSecond;
    this.#nowSeconds = startSeconds;
  }

  /** Seconds since 1970-01-01 UTC on the virtual clock. */
  get nowSeconds(): number {
    return this.#nowSeconds;
  }

  /**
   * Writes whole items into `offset .. end` of `buffer`, at most `recordLimit`: the bytes written.
   * Stops when less than ITEM_BYTES_MAX of room is left, so the room must be at least that.
   */
  fill(
    buffer: Uint8Array,
    offset = 0,
    end: number = buffer.length,
    recordLimit: number = Number.POSITIVE_INFINITY,
  ): number {
    this.#target(buffer);
    if (end - offset < ITEM_BYTES_MAX) refuseRoom(end - offset);
    let at = offset;
    for (let left = recordLimit; left > 0 && end - at >= ITEM_BYTES_MAX; left--) {
      at += this.#item(at);
    }
    this.totals.bytes += at - offset;
    return at - offset;
  }

  /** Writes the beginning of one more record, as at a disconnect: its bytes. */
  fillTruncated(buffer: Uint8Array, offset = 0): number {
    this.#target(buffer);
    if (buffer.length - offset < ITEM_BYTES_MAX) refuseRoom(buffer.length - offset);
    this.#events.drawSession(this.#nowSeconds);
    const layout = LAYOUTS[TUR_INDEX]!;
    const length = this.#write(layout, layout.baseCount, offset);
    const kept = 1 + this.#prng.below(length - 1);
    this.totals.truncatedRuns++;
    this.totals.truncatedBytes += kept;
    this.totals.bytes += kept;
    return kept;
  }

  #target(buffer: Uint8Array): void {
    if (this.#bytes === buffer && this.#encoder !== null) return;
    this.#bytes = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#encoder = new RecordEncoder(buffer);
  }

  /** One record, with what stands before it: bytes. */
  #item(offset: number): number {
    let length: number;
    if (this.#malformedRatio > 0 && this.#prng.unit() < this.#malformedRatio) {
      length = this.#faultItem(offset);
    } else {
      length = this.#goodRecord(offset);
    }
    this.totals.records++;
    if (this.#liesRatio > 0 && this.#prng.unit() < this.#liesRatio) this.#lie(offset);
    return length;
  }

  /** A well-formed record: a report that is due, or a session, an event or a drawn report. */
  #goodRecord(offset: number): number {
    const schedule = this.#schedule;
    const now = this.#nowSeconds;
    if (schedule.isDue(now)) {
      this.#sinceReport++;
      if (this.#sinceReport > REPORT_SPACING || schedule.isLate(now)) {
        this.#sinceReport = 0;
        schedule.take();
        const layout = LAYOUTS[schedule.layoutIndex]!;
        this.#events.drawReport(schedule.key, schedule.periodSeconds, schedule.endTime, now);
        return this.#counted(layout, this.#fieldCount(layout), offset);
      }
    }
    this.#tick();
    const layout = this.#drawEvent();
    return this.#counted(layout, this.#fieldCount(layout), offset);
  }

  /** Draws a record type by the weights of the mix, and an event that fits it. */
  #drawEvent(): RecordLayout {
    const layout = LAYOUTS[this.#draw[this.#prng.nextU32() & (DRAW_TABLE_LENGTH - 1)]!]!;
    const now = this.#nowSeconds;
    if (!layout.isPeriodic) this.#events.drawSession(now);
    else {
      const endTime = now - (now % DRAWN_PERIOD_SECONDS);
      const key = this.#prng.below(DRAWN_REPORT_KEYS);
      this.#events.drawReport(key, DRAWN_PERIOD_SECONDS, endTime, now);
    }
    return layout;
  }

  #tick(): void {
    this.#thisSecond++;
    if (this.#thisSecond < this.#recordsPerSecond) return;
    this.#thisSecond = 0;
    this.#nowSeconds++;
  }

  /** With or without the trailing fields that only some releases send. */
  #fieldCount(layout: RecordLayout): number {
    const full = layout.types.length;
    if (layout.baseCount === full) return full;
    return this.#prng.unit() < this.#extraFieldsRatio ? full : layout.baseCount;
  }

  #counted(layout: RecordLayout, fieldCount: number, offset: number): number {
    const tables = this.totals.tables;
    tables[layout.index] = tables[layout.index]! + 1;
    return this.#write(layout, fieldCount, offset);
  }

  #write(layout: RecordLayout, fieldCount: number, offset: number): number {
    const encoder = this.#encoder!;
    return this.#writer.write(encoder, layout, fieldCount, this.totals.records, offset);
  }

  #faultItem(offset: number): number {
    const fault = this.#prng.below(FAULT_COUNT);
    this.#tick();
    switch (fault) {
      case FAULT.GARBAGE:
        return this.#garbageItem(offset);
      case FAULT.HOSTILE_TEXT:
        return this.#hostileItem(offset);
      case FAULT.LONGEST: {
        this.#events.drawSession(this.#nowSeconds);
        const layout = LAYOUTS[TUR_INDEX]!;
        const length = this.#counted(layout, layout.types.length, offset);
        this.totals.longestRecords++;
        return stretch(this.#bytes, this.#view, offset, length);
      }
      default:
        return this.#brokenItem(fault, offset);
    }
  }

  /** A record of any type with one fault; where the fault needs text in it, Transaction Usage. */
  #brokenItem(fault: number, offset: number): number {
    const totals = this.totals;
    const drawn = this.#drawEvent();
    const layout = fault === FAULT.FIELD_OVERRUN ? LAYOUTS[TUR_INDEX]! : drawn;
    const isMore = fault === FAULT.MORE_FIELDS;
    const fieldCount = isMore ? layout.types.length : this.#fieldCount(layout);
    const length = this.#write(layout, fieldCount, offset);
    if (fault <= FAULT.COUNT_HIGH) {
      // The first four faults are the four reasons, in the order of their codes, which start at 1.
      totals.malformed[fault + 1] = totals.malformed[fault + 1]! + 1;
    } else {
      const kind = fault - FAULT.UNKNOWN_TAG;
      totals.other[kind] = totals.other[kind]! + 1;
      if (kind !== OTHER.UNKNOWN_TAG)
        totals.tables[layout.index] = totals.tables[layout.index]! + 1;
    }
    return this.#faults.apply(fault, this.#bytes, this.#view, offset, length);
  }

  #hostileItem(offset: number): number {
    const text = this.#text;
    this.#events.drawSession(this.#nowSeconds);
    text.hostile = this.#prng.below(HOSTILE_NAMES.length);
    this.totals.hostile[text.hostile] = this.totals.hostile[text.hostile]! + 1;
    const layout = LAYOUTS[TUR_INDEX]!;
    const length = this.#counted(layout, this.#fieldCount(layout), offset);
    text.hostile = -1;
    return length;
  }

  #garbageItem(offset: number): number {
    const totals = this.totals;
    const kind = this.#prng.below(GARBAGE_NAMES.length);
    const garbageBytes = writeGarbage(this.#bytes, offset, kind, this.#prng);
    totals.garbage[kind] = totals.garbage[kind]! + 1;
    totals.garbageBytes += garbageBytes;
    const layout = this.#drawEvent();
    return garbageBytes + this.#counted(layout, this.#fieldCount(layout), offset + garbageBytes);
  }

  /** Writes a length that is possible but not true over the prefix of what stands at `offset`. */
  #lie(offset: number): void {
    this.totals.lies++;
    writeLength(this.#bytes, offset, 20 + this.#prng.below(ITEM_BYTES_MAX - 20 + 1));
  }
}

/** 4,096 places -> layout index, in proportion to the weights; each weight above 0 has one. */
function drawTable(mix: Mix): Uint8Array {
  const weights = Object.entries(mix.weights).filter(([, weight]) => weight > 0);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const table = new Uint8Array(DRAW_TABLE_LENGTH);
  let before = 0;
  for (const [name, weight] of weights) {
    const from = Math.floor((before / total) * DRAW_TABLE_LENGTH);
    before += weight;
    const to = Math.floor((before / total) * DRAW_TABLE_LENGTH);
    table.fill(LAYOUT_INDEX.get(name)!, from, Math.max(to, from + 1));
  }
  return table;
}

function refuseRoom(room: number): never {
  throw new MillraceError(
    'MR_ASSERT',
    `a record stream was given ${room} bytes of room`,
    `give at least ${ITEM_BYTES_MAX}`,
  );
}
