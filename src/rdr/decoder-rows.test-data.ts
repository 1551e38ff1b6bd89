/**
 * Helpers of the decoder's tests: rows as plain values, records as lists of fields.
 */
import assert from 'node:assert/strict';
import type { RecordColumns } from './columns.ts';
import { type DecodeSink, RecordDecoder } from './decoder.ts';
import { RecordEncoder } from './encoder.ts';
import { decodeText } from './text.ts';

export type Cell = number | string | null;

export interface Row {
  readonly table: string;
  readonly recordIndex: number;
  readonly header: readonly number[];
  readonly cells: readonly Cell[];
  readonly extra: unknown;
}

/** Collects everything a decoder says, rows as plain values. */
export class Collector implements DecodeSink {
  readonly rows: Row[] = [];
  readonly malformed: [number, number, number, number][] = [];
  readonly other: [number, number, number, number][] = [];
  fullCount = 0;

  onFull(columns: RecordColumns): void {
    this.fullCount++;
    this.take(columns);
  }

  onMalformed(offset: number, length: number, reason: number, recordIndex: number): void {
    this.malformed.push([offset, length, reason, recordIndex]);
  }

  onOther(offset: number, length: number, tag: number, recordIndex: number): void {
    this.other.push([offset, length, tag, recordIndex]);
  }

  take(columns: RecordColumns): void {
    for (const column of [...columns.fields, columns.extra]) {
      const nulls = column.valid.subarray(0, columns.rowCount).filter((v) => v === 0).length;
      assert.equal(column.nullCount, nulls, `${columns.tableName}.${column.name} nullCount`);
    }
    for (let row = 0; row < columns.rowCount; row++) this.rows.push(readRow(columns, row));
  }

  /** Everything in order of the block, with what is still in the columns. */
  finish(decoder: RecordDecoder): Row[] {
    for (const columns of decoder.tables) {
      this.take(columns);
      columns.reset();
    }
    return this.rows.sort((a, b) => a.recordIndex - b.recordIndex);
  }
}

export function readRow(columns: RecordColumns, row: number): Row {
  const h = columns.header;
  const extra = columns.extra;
  const text = (column: { bytes: Uint8Array; ends: Uint32Array }): string =>
    decodeText(column.bytes, row === 0 ? 0 : column.ends[row - 1]!, column.ends[row]!);
  const from = row === 0 ? 0 : extra.ends[row - 1]!;
  const json = Buffer.from(extra.bytes.subarray(from, extra.ends[row]!)).toString('utf8');
  return {
    table: columns.tableName,
    recordIndex: columns.recordIndex[row]!,
    header: [
      h.processorId[row]!,
      h.length[row]!,
      h.sourceIpSample[row]!,
      h.destinationIpSample[row]!,
      h.sourcePort[row]!,
      h.destinationPort[row]!,
      h.flowContextId[row]!,
      h.tag[row]!,
      h.fieldCount[row]!,
    ],
    cells: columns.fields.map((column) => {
      if (column.valid[row] === 0) {
        if (column.kind === 'text') assert.equal(text(column), '', 'NULL text is empty');
        return null;
      }
      if (column.kind === 'text') return text(column);
      if (column.kind === 'float') return column.values[row]!;
      return column.words[2 * row + 1]! * 2 ** 32 + (column.words[2 * row]! >>> 0);
    }),
    extra: extra.valid[row] === 1 ? JSON.parse(json) : null,
  };
}

export function decode(
  bytes: Uint8Array,
  layoutsMax: number,
  capacity = 16,
): [Row[], Collector, RecordDecoder] {
  const decoder = new RecordDecoder({ layoutsMax, capacity, layoutAfter: 1 });
  const sink = new Collector();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  decoder.decodeBlock(bytes, view, 0, bytes.length, sink);
  return [sink.finish(decoder), sink, decoder];
}

export type AnyRecord = [number, [number, Uint8Array][], number];

const scratch = new Uint8Array(4 * 1024 * 1024);

export function encodeAll(records: readonly AnyRecord[]): Uint8Array {
  const encoder = new RecordEncoder(scratch);
  for (const [tag, fields, byte] of records) {
    encoder.begin({
      tag,
      processorId: byte,
      sourceIpSample: 255 - byte,
      destinationIpSample: byte ^ 0x55,
      sourcePort: byte * 257,
      destinationPort: 65535 - byte,
      flowContextId: byte * 0x01010101,
    });
    for (const [type, bytes] of fields) encoder.raw(type, bytes);
    encoder.end();
  }
  return scratch.slice(0, encoder.offset);
}
