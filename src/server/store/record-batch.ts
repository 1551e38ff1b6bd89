/**
 * Record batch: the columns of one table as decoded, with the origin of each row beside them.
 *
 * WHY         The decoder knows bytes, not blocks: when a record arrived, from whom, and its
 *             ordinal come from the block header and are the same for a run of rows.
 * OWNERSHIP   One per table, of the store worker. The decoder writes `columns`; `markOrigin` fills
 *             the origin of the rows added since its last call; writers read; `resetOrigin` forgets
 *             it.
 * INVARIANTS  originRows <= columns.rowCount; rows below originRows have an origin.
 */
import type { RecordColumns } from '../../rdr/index.ts';
import type { Batch, BatchColumn } from './batch.ts';
import { StoredText } from './stored-text.ts';
import type { EscapeCounts } from './text-escape.ts';

const TWO_32 = 4294967296;
/** Room for one exporter text a block, as every row may come from another block. */
const EXPORTER_HEAP_BYTES = 64 * 1024;

/** What is the same for all records of a block. */
export interface BlockOrigin {
  readonly arrivalUs: number;
  readonly connectionId: number;
  /** Ordinal, within the connection, of the block's first record. */
  readonly connectionOrdinal: number;
  /** ASCII: dotted IPv4 or IPv6 text. */
  readonly exporterText: Uint8Array;
}

export class RecordBatch {
  readonly columns: RecordColumns;
  readonly arrivals: Int32Array;
  readonly connections: Int32Array;
  readonly ordinals: Int32Array;
  readonly exporterStarts: Uint32Array;
  readonly exporterEnds: Uint32Array;
  readonly exporterBytes = new Uint8Array(EXPORTER_HEAP_BYTES);
  readonly texts: readonly (StoredText | null)[];
  readonly extraText: StoredText;
  #exporterLength = 0;
  #lastExporter: Uint8Array | null = null;
  #lastStart = 0;
  originRows = 0;

  constructor(columns: RecordColumns) {
    this.columns = columns;
    const rows = columns.capacity;
    this.arrivals = new Int32Array(2 * rows);
    this.connections = new Int32Array(2 * rows);
    this.ordinals = new Int32Array(2 * rows);
    this.exporterStarts = new Uint32Array(rows);
    this.exporterEnds = new Uint32Array(rows);
    this.texts = this.columns.fields.map((f) => (f.kind === 'text' ? new StoredText(rows) : null));
    this.extraText = new StoredText(rows);
  }

  get exporterLength(): number {
    return this.#exporterLength;
  }

  /** Gives the rows that the block just decoded (or its part so far) has added their origin. */
  markOrigin(origin: BlockOrigin): void {
    const from = this.originRows;
    const to = this.columns.rowCount;
    if (from === to) return;
    this.originRows = to;
    const start = this.#exporterAt(origin.exporterText);
    this.exporterStarts.fill(start, from, to);
    this.exporterEnds.fill(start + origin.exporterText.length, from, to);
    const arrivalLow = origin.arrivalUs | 0;
    const arrivalHigh = Math.floor(origin.arrivalUs / TWO_32);
    const connectionLow = origin.connectionId | 0;
    const connectionHigh = Math.floor(origin.connectionId / TWO_32);
    const { recordIndex } = this.columns;
    for (let row = from; row < to; row++) {
      const ordinal = origin.connectionOrdinal + recordIndex[row]!;
      this.arrivals[2 * row] = arrivalLow;
      this.arrivals[2 * row + 1] = arrivalHigh;
      this.connections[2 * row] = connectionLow;
      this.connections[2 * row + 1] = connectionHigh;
      this.ordinals[2 * row] = ordinal | 0;
      this.ordinals[2 * row + 1] = Math.floor(ordinal / TWO_32);
    }
  }

  #exporterAt(text: Uint8Array): number {
    if (text === this.#lastExporter) return this.#lastStart;
    this.#lastExporter = text;
    this.#lastStart = this.#exporterLength;
    this.exporterBytes.set(text, this.#exporterLength);
    this.#exporterLength += text.length;
    return this.#lastStart;
  }

  /** Room for the exporter text of one more block? Otherwise the rows must be taken first. */
  get hasExporterRoom(): boolean {
    return this.#exporterLength + 64 <= EXPORTER_HEAP_BYTES;
  }

  /** One exporter's text, or that of each row. */
  #exporterColumn(): BatchColumn {
    const { exporterBytes: bytes, exporterStarts: starts, exporterEnds: ends } = this;
    if (this.#lastStart > 0) return { kind: 'text', bytes, starts, ends, valid: null };
    return { kind: 'same', text: bytes.subarray(0, this.#exporterLength) };
  }

  /** The rows as they are stored: text is plain UTF-8. */
  asBatch(counts: EscapeCounts): Batch {
    const { columns } = this;
    const rows = columns.rowCount;
    const { header } = columns;
    const out: BatchColumn[] = [
      { kind: 'int', words: this.arrivals, valid: null },
      this.#exporterColumn(),
      { kind: 'int', words: this.connections, valid: null },
      { kind: 'int', words: this.ordinals, valid: null },
      { kind: 'small', values: header.processorId },
      { kind: 'small', values: header.length },
      { kind: 'small', values: header.sourceIpSample },
      { kind: 'small', values: header.destinationIpSample },
      { kind: 'small', values: header.sourcePort },
      { kind: 'small', values: header.destinationPort },
      { kind: 'small', values: header.flowContextId },
      { kind: 'small', values: header.tag },
      { kind: 'small', values: header.fieldCount },
    ];
    columns.fields.forEach((column, index) => {
      const valid = column.nullCount > 0 ? column.valid : null;
      if (column.kind === 'int') out.push({ kind: 'int', words: column.words, valid });
      else if (column.kind === 'float') out.push({ kind: 'float', values: column.values, valid });
      else {
        const text = this.texts[index]!;
        text.prepare(column, rows, counts);
        out.push({ kind: 'text', bytes: text.bytes, starts: text.starts, ends: text.ends, valid });
      }
    });
    const { extra } = columns;
    this.extraText.take(extra, rows);
    const { bytes, starts, ends } = this.extraText;
    out.push({ kind: 'text', bytes, starts, ends, valid: extra.valid });
    return { rowCount: rows, columns: out };
  }

  /** After the columns were reset (by the decoder, or by whoever flushes). */
  resetOrigin(): void {
    this.originRows = 0;
    this.#exporterLength = 0;
    this.#lastStart = 0;
    this.#lastExporter = null;
  }
}
