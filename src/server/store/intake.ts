/**
 * Intake: blocks of the journal into the batches of 33 tables, with every record counted.
 *
 * WHY         This is the data path of the store: one decode loop a block, no object per record;
 *             what differs per block (exporter, arrival, ordinal) is added to its rows afterwards.
 * OWNERSHIP   The store's turn calls `takeBlock`; it writes the current generation only.
 * INVARIANTS  records of a block = rows + malformed + other + undecodable, each counted where it
 *             happens: rows when they get their origin, the others in the decoder's calls.
 */
import { MALFORMED_NAMES, type RecordColumns, RecordDecoder } from '../../rdr/index.ts';
import { formatAddress } from '../address.ts';
import type { BlockView } from '../journal/block-source.ts';
import type { Generation } from './generation.ts';
import type { LiveTops } from './live-tops.ts';
import { RecordBatch } from './record-batch.ts';
import {
  addTraffic,
  addUsage,
  FAMILY_NONE,
  FAMILY_TRAFFIC,
  type SumColumns,
  sumColumnsOf,
} from './record-sums.ts';
import { OTHER_TABLE } from './tables.ts';

export const US_PER_HOUR = 3_600_000_000;
const US_PER_MINUTE = 60_000_000;
/** Exporters whose text is kept ready; more only cost their formatting. */
const EXPORTERS_MAX = 4096;

interface Exporter {
  readonly text: string;
  readonly bytes: Uint8Array;
}

interface IntakeTable {
  readonly batch: RecordBatch;
  readonly sums: SumColumns;
  /** The roll-up group of the last rows, and what it was of. */
  group: number;
  groupMinute: number;
  groupExporter: Exporter | null;
  groupGeneration: Generation | null;
}

/** Totals of this process, by their own counters. */
export interface IntakeCounts {
  readonly delivered: Record<string, number>;
  readonly malformed: Record<string, number>;
  readonly dropped: Record<string, number>;
  /** Text values that were not UTF-8. */
  invalidValues: number;
}

export class RecordIntake {
  readonly counts: IntakeCounts = { delivered: {}, malformed: {}, dropped: {}, invalidValues: 0 };
  readonly batches: readonly RecordBatch[];
  readonly #decoder = new RecordDecoder();
  readonly #tables: readonly IntakeTable[];
  readonly #byColumns = new Map<RecordColumns, IntakeTable>();
  readonly #exporters = new Map<string, Exporter>();
  readonly #tops: LiveTops;
  readonly #malformedLimit: (hour: number) => boolean;
  #generation!: Generation;
  #bytes: Uint8Array = new Uint8Array(0);
  readonly #origin = {
    arrivalUs: 0,
    connectionId: 0,
    connectionOrdinal: 0,
    exporterText: new Uint8Array(0) as Uint8Array,
  };
  #exporter: Exporter = { text: '', bytes: this.#origin.exporterText };

  /** `mayKeepMalformed(hour)` says whether one more malformed record of that hour is kept. */
  constructor(tops: LiveTops, mayKeepMalformed: (hour: number) => boolean) {
    this.#tops = tops;
    this.#malformedLimit = mayKeepMalformed;
    this.#tables = this.#decoder.tables.map((columns) => ({
      batch: new RecordBatch(columns),
      sums: sumColumnsOf(columns),
      group: 0,
      groupMinute: -1,
      groupExporter: null,
      groupGeneration: null,
    }));
    for (const table of this.#tables) this.#byColumns.set(table.batch.columns, table);
    this.batches = this.#tables.map((table) => table.batch);
  }

  get misfitCount(): number {
    return this.#decoder.misfitCount;
  }

  /** Decodes one block into `generation`. The generation's hour is the block's. */
  takeBlock(block: BlockView, generation: Generation): void {
    const { header } = block;
    this.#generation = generation;
    this.#bytes = block.bytes;
    this.#exporter = this.#exporterOf(header.exporter);
    this.#origin.arrivalUs = header.arrivalUs;
    this.#origin.connectionId = header.connectionId;
    this.#origin.connectionOrdinal = header.connectionOrdinal;
    this.#origin.exporterText = this.#exporter.bytes;
    for (const { batch } of this.#tables) if (!batch.hasExporterRoom) this.onFull(batch.columns);
    const before = this.#decoder.counts.records;
    this.#decoder.decodeBlock(block.bytes, block.view, block.offset, block.length, this);
    for (const table of this.#tables) this.#markRows(table);
    const lost = header.recordCount - (this.#decoder.counts.records - before);
    if (lost > 0) this.drop(generation, 'undecodable', lost);
    generation.records += header.recordCount;
  }

  /** Counts records that will never be delivered. */
  drop(generation: Generation, reason: string, records: number): void {
    count(generation.dropped, reason, records);
    count(this.counts.dropped, reason, records);
  }

  /** DecodeSink: a batch is full. */
  onFull(columns: RecordColumns): void {
    const table = this.#byColumns.get(columns)!;
    this.#markRows(table);
    if (columns.rowCount > 0) this.#generation.takeFull(table.batch, this.counts);
    columns.reset();
    table.batch.resetOrigin();
  }

  onMalformed(offset: number, length: number, reason: number, recordIndex: number): void {
    const name = MALFORMED_NAMES[reason]!;
    count(this.#generation.malformedCounts, name, 1);
    count(this.counts.malformed, name, 1);
    if (!this.#malformedLimit(this.#generation.hour)) return;
    const { malformed } = this.#generation;
    malformed.add(this.#origin, recordIndex, name, this.#bytes, offset, length);
  }

  onOther(offset: number, length: number, tag: number, recordIndex: number): void {
    count(this.#generation.delivered, OTHER_TABLE, 1);
    count(this.counts.delivered, OTHER_TABLE, 1);
    this.#generation.other.add(this.#origin, recordIndex, tag, this.#bytes, offset, length);
  }

  /** Rows that have come since the last call: origin, ledger, roll-ups, live tops. */
  #markRows(table: IntakeTable): void {
    const { batch, sums } = table;
    const from = batch.originRows;
    const to = batch.columns.rowCount;
    if (from === to) return;
    batch.markOrigin(this.#origin);
    const name = batch.columns.tableName;
    count(this.#generation.delivered, name, to - from);
    count(this.counts.delivered, name, to - from);
    if (sums.family === FAMILY_NONE) return;
    const group = this.#groupOf(table);
    if (sums.family === FAMILY_TRAFFIC) {
      addTraffic(this.#generation.traffic, group, sums, from, to);
      if (this.#tops.isWatched) {
        this.#tops.addRows(batch.columns, sums, from, to, this.#exporter.text);
      }
    } else {
      addUsage(this.#generation.usage, group, sums, from, to);
    }
  }

  /** The roll-up group of the rows that come now: mostly the one of the rows before. */
  #groupOf(table: IntakeTable): number {
    const minute = Math.floor(this.#origin.arrivalUs / US_PER_MINUTE);
    const generation = this.#generation;
    const exporter = this.#exporter;
    const isSame =
      table.groupMinute === minute &&
      table.groupExporter === exporter &&
      table.groupGeneration === generation;
    if (isSame) return table.group;
    table.groupMinute = minute;
    table.groupExporter = exporter;
    table.groupGeneration = generation;
    const { text, bytes } = exporter;
    const isTraffic = table.sums.family === FAMILY_TRAFFIC;
    const rollup = isTraffic ? generation.traffic : generation.usage;
    const source = isTraffic ? null : table.batch.columns.tableName;
    table.group = rollup.group(minute, text, bytes, source);
    return table.group;
  }

  #exporterOf(address: Uint8Array): Exporter {
    // latin1 of 16 bytes as a key: one short string a block.
    const key = String.fromCharCode(...address);
    let exporter = this.#exporters.get(key);
    if (exporter === undefined) {
      const text = formatAddress(address);
      exporter = { text, bytes: new TextEncoder().encode(text) };
      if (this.#exporters.size >= EXPORTERS_MAX) this.#exporters.clear();
      this.#exporters.set(key, exporter);
    }
    return exporter;
  }
}

function count(counts: Record<string, number>, key: string, amount: number): void {
  counts[key] = (counts[key] ?? 0) + amount;
}
