/**
 * Record JSON: one record as an object, as `dump` prints it and the API answers it.
 *
 * LAYOUT     `tag`, `name`, where and when (originOf), `header`, `fields` by their catalogue names
 *            in lower case; what has no name stands in `extra` as [index, type, value]. Text is
 *            escaped as in the store: \xHH for bytes that are no UTF-8. A malformed record has
 *            `malformed` (the reason) and its `bytes` in hex instead of fields.
 */
import {
  DESTINATION_IP_SAMPLE_OFFSET,
  DESTINATION_PORT_OFFSET,
  decodeText,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  FLOW_CONTEXT_ID_OFFSET,
  HEADER_BYTES,
  integerAt,
  isIntegerType,
  MALFORMED_NAMES,
  PROCESSOR_ID_OFFSET,
  recordByTag,
  SOURCE_IP_SAMPLE_OFFSET,
  SOURCE_PORT_OFFSET,
  TAG_OFFSET,
  walkFields,
} from '../rdr/index.ts';
import { formatAddress } from './address.ts';
import type { BlockHeader } from './journal/format.ts';

/** Whole records back to back. */
export interface RecordRun {
  bytes: Uint8Array;
  view: DataView;
  offset: number;
  length: number;
  /** Where bytes[offset] stands: in the file, or in the journal when there is a block. */
  position: number;
  /** The block the records come from; null for raw bytes, which have no arrival and no exporter. */
  block: BlockHeader | null;
}

/**
 * One record inside a run: bytes[offset .. offset + length). `index` counts from the first record
 * of the run's block.
 */
export interface RecordPlace {
  readonly run: RecordRun;
  readonly offset: number;
  readonly length: number;
  readonly index: number;
}

/** 0xf0f0f438 */
export function tagHex(tag: number): string {
  return `0x${tag.toString(16).padStart(8, '0')}`;
}

export function tagOf({ run, offset }: RecordPlace): number {
  return run.view.getUint32(offset + TAG_OFFSET);
}

/** 0 when the fields can be walked, else the reason code. */
export function malformedReason({ run, offset, length }: RecordPlace): number {
  return walkFields(run.bytes, run.view, offset, length);
}

type FieldVisitor = (index: number, type: number, at: number, length: number) => void;

export function eachField({ run, offset }: RecordPlace, visit: FieldVisitor): void {
  const count = run.bytes[offset + FIELD_COUNT_OFFSET]!;
  let at = offset + HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const length = run.view.getUint32(at + 1);
    visit(index, run.bytes[at]!, at + FIELD_HEADER_BYTES, length);
    at += FIELD_HEADER_BYTES + length;
  }
}

export function numberAt(view: DataView, type: number, at: number): number | null {
  if (isIntegerType(type)) return integerAt(view, type, at);
  return type === FIELD_TYPE.FLOAT ? view.getFloat32(at) : null;
}

export function hexOf(bytes: Uint8Array, from: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('hex');
}

/** Throws never; makes objects freely: it is not for the data path. */
export function recordJson(place: RecordPlace): Record<string, unknown> {
  const { run, offset, length } = place;
  const entry = recordByTag(tagOf(place));
  const reason = malformedReason(place);
  const line: Record<string, unknown> = {
    tag: tagHex(tagOf(place)),
    name: entry?.name ?? null,
    ...originOf(place),
    header: headerOf(place),
  };
  if (reason !== 0) {
    line.malformed = MALFORMED_NAMES[reason];
    line.bytes = hexOf(run.bytes, offset, length);
    return line;
  }
  const fields: Record<string, number | string> = {};
  const extra: [number, number, number | string][] = [];
  eachField(place, (index, type, at, bytes) => {
    const value = jsonValue(run, type, at, bytes);
    const column = entry?.fields[index]?.column;
    if (column === undefined || column in fields) extra.push([index, type, value]);
    else fields[column] = value;
  });
  line.fields = fields;
  if (extra.length > 0) line.extra = extra;
  return line;
}

function jsonValue(run: RecordRun, type: number, at: number, length: number): number | string {
  const value = numberAt(run.view, type, at);
  if (value !== null) return Number.isFinite(value) ? value : String(value);
  if (type === FIELD_TYPE.STRING) return decodeText(run.bytes, at, at + length);
  return hexOf(run.bytes, at, length);
}

/** Where and when: a block knows arrival, exporter and ordinals, raw bytes only their place. */
function originOf({ run, offset, index }: RecordPlace): Record<string, unknown> {
  const position = run.position + offset - run.offset;
  const block = run.block;
  if (block === null) return { position };
  return {
    position,
    ordinal: block.firstOrdinal + index,
    block: block.blockOrdinal,
    arrival: new Date(block.arrivalUs / 1000).toISOString(),
    exporter: formatAddress(block.exporter),
    connection: block.connectionId,
  };
}

function headerOf({ run, offset }: RecordPlace): Record<string, number> {
  const { bytes, view } = run;
  return {
    processor: bytes[offset + PROCESSOR_ID_OFFSET]!,
    source_ip_sample: bytes[offset + SOURCE_IP_SAMPLE_OFFSET]!,
    destination_ip_sample: bytes[offset + DESTINATION_IP_SAMPLE_OFFSET]!,
    source_port: view.getUint16(offset + SOURCE_PORT_OFFSET),
    destination_port: view.getUint16(offset + DESTINATION_PORT_OFFSET),
    flow_context_id: view.getUint32(offset + FLOW_CONTEXT_ID_OFFSET),
    field_count: bytes[offset + FIELD_COUNT_OFFSET]!,
  };
}
