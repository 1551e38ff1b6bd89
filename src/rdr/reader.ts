/**
 * Reader: records as objects, for people who want to look at them rather than store them.
 *
 * WHY         Tools and users of the library want `for (const record of ...)`, in chunks of any
 *             size, and to see what was wrong with a stream. The server uses decoder.ts, which
 *             makes no objects.
 * ITEMS       A stream is cut into items without a gap: `record`, `malformed` (a frame whose fields
 *             are wrong), `garbage` (bytes skipped until the next anchor) and, at the end,
 *             `truncated` (half a record). Offsets and lengths of all items add up to the stream;
 *             they do not depend on how it was cut into chunks.
 * OWNERSHIP   Chunks may be reused once push() is exhausted; items own their bytes.
 */
import { findAnchor } from './anchor.ts';
import { type CatalogEntry, type CatalogField, recordByTag } from './catalog.ts';
import {
  DESTINATION_IP_SAMPLE_OFFSET,
  DESTINATION_PORT_OFFSET,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE_NAME,
  type FieldTypeName,
  FLOW_CONTEXT_ID_OFFSET,
  HEADER_BYTES,
  PREFIX_BYTES,
  PROCESSOR_ID_OFFSET,
  SOURCE_IP_SAMPLE_OFFSET,
  SOURCE_PORT_OFFSET,
  TAG_OFFSET,
} from './constants.ts';
import { fieldValue } from './extra.ts';
import { MALFORMED_NAMES, WELL_FORMED, walkFields } from './field.ts';
import { BAD_PREFIX, frameLength } from './frame.ts';

export interface RdrField {
  /** Position on the wire, from 0. */
  readonly index: number;
  /** Cisco's name in lower case; `field_30` for the thirtieth where the catalogue has none. */
  readonly name: string;
  /** What the catalogue knows: unit, how its type is known. Undefined for an unknown field. */
  readonly catalog: CatalogField | undefined;
  /** Type byte on the wire. */
  readonly type: number;
  /** Its name, or undefined for a code that nobody knows. */
  readonly typeName: FieldTypeName | undefined;
  /**
   * Integers and FLOAT a number (BOOLEAN 0 or 1), STRING text (see decodeText: a backslash is
   * doubled, bytes that are no UTF-8 are `\xHH`), unknown types hex.
   */
  readonly value: number | string;
  /** The value as it was sent. */
  readonly bytes: Uint8Array;
}

export interface RdrHeader {
  readonly processorId: number;
  /** The length field: frame bytes - 5. */
  readonly length: number;
  readonly sourceIpSample: number;
  readonly destinationIpSample: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flowContextId: number;
  readonly tag: number;
  readonly fieldCount: number;
}

interface RdrPiece {
  /** Where it stands in the stream, in bytes from its start. */
  readonly offset: number;
  /** Its length, in bytes. */
  readonly length: number;
}

export interface RdrRecord extends RdrPiece {
  readonly kind: 'record';
  readonly header: RdrHeader;
  /** The record type, or undefined for an unknown tag. */
  readonly catalog: CatalogEntry | undefined;
  /** Cisco's name, as `TRANSACTION_USAGE_RDR`; the tag in hex where it is unknown. */
  readonly name: string;
  /** All fields in wire order. */
  readonly fields: readonly RdrField[];
  /** Field values by name. */
  readonly values: Readonly<Record<string, number | string>>;
  /** The whole frame. */
  readonly bytes: Uint8Array;
}

export interface RdrMalformed extends RdrPiece {
  readonly kind: 'malformed';
  /** A label of MALFORMED_NAMES. */
  readonly reason: string;
  readonly header: RdrHeader;
  readonly bytes: Uint8Array;
}

/** Bytes between records that are none, or half a record at the end. */
export interface RdrLoss extends RdrPiece {
  readonly kind: 'garbage' | 'truncated';
}

export type RdrItem = RdrRecord | RdrMalformed | RdrLoss;

/** The header of the frame at the start of `bytes`, of 20 bytes or more. */
export function readHeader(bytes: Uint8Array): RdrHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    processorId: view.getUint8(PROCESSOR_ID_OFFSET),
    length: frameLength(bytes, 0) - PREFIX_BYTES,
    sourceIpSample: view.getUint8(SOURCE_IP_SAMPLE_OFFSET),
    destinationIpSample: view.getUint8(DESTINATION_IP_SAMPLE_OFFSET),
    sourcePort: view.getUint16(SOURCE_PORT_OFFSET),
    destinationPort: view.getUint16(DESTINATION_PORT_OFFSET),
    flowContextId: view.getUint32(FLOW_CONTEXT_ID_OFFSET),
    tag: view.getUint32(TAG_OFFSET),
    fieldCount: view.getUint8(FIELD_COUNT_OFFSET),
  };
}

/**
 * One whole frame as an object. `bytes` is the frame and nothing else, with a possible prefix
 * (frameLength told so) and is kept. `offset` is only passed on.
 */
export function readRecord(bytes: Uint8Array, offset = 0): RdrRecord | RdrMalformed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(bytes);
  const piece = { offset, length: bytes.length, header, bytes };
  const reason = walkFields(bytes, view, 0, bytes.length);
  if (reason !== WELL_FORMED) {
    return { kind: 'malformed', reason: MALFORMED_NAMES[reason]!, ...piece };
  }
  const catalog = recordByTag(header.tag);
  const fields: RdrField[] = [];
  // No prototype: a name is only ever a field.
  const values: Record<string, number | string> = Object.create(null);
  let at = HEADER_BYTES;
  for (let index = 0; index < header.fieldCount; index++) {
    const type = view.getUint8(at);
    const length = view.getUint32(at + 1);
    at += FIELD_HEADER_BYTES;
    const known = catalog?.fields[index];
    const name = known?.column ?? `field_${index + 1}`;
    const value = fieldValue(bytes, view, type, at, length);
    values[name] = value;
    fields.push({
      index,
      name,
      catalog: known,
      type,
      typeName: FIELD_TYPE_NAME[type],
      value,
      bytes: bytes.subarray(at, at + length),
    });
    at += length;
  }
  const name = catalog?.name ?? `0x${header.tag.toString(16).padStart(8, '0')}`;
  return { kind: 'record', ...piece, catalog, name, fields, values };
}

/** Cuts a stream, given in chunks, into items. */
export class RdrReader {
  #rest = new Uint8Array(0);
  /** Stream offset of the first byte of #rest. */
  #offset = 0;
  /** Stream offset where the present run of garbage began, or -1. */
  #lostAt = -1;

  /** The items that `chunk` completes. */
  *push(chunk: Uint8Array): Generator<RdrItem, void, void> {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    this.#rest = bytes;
    yield* this.#take();
  }

  /** The items left when the stream has ended: what no further byte can complete is judged now. */
  *end(): Generator<RdrItem, void, void> {
    while (this.#rest.length > 0) {
      if (this.#lostAt < 0) {
        yield { kind: 'truncated', offset: this.#offset, length: this.#rest.length };
        this.#drop(this.#rest.length);
        return;
      }
      // The first place that might have become an anchor never will: look behind it.
      this.#drop(1);
      yield* this.#take();
    }
    if (this.#lostAt >= 0) yield this.#endGarbage();
  }

  /** Items of an iterable of chunks. */
  static *read(chunks: Iterable<Uint8Array>): Generator<RdrItem, void, void> {
    const reader = new RdrReader();
    for (const chunk of chunks) yield* reader.push(chunk);
    yield* reader.end();
  }

  /** Items of an asynchronous iterable of chunks: a socket, a file stream. */
  static async *readAsync(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RdrItem, void, void> {
    const reader = new RdrReader();
    for await (const chunk of chunks) yield* reader.push(chunk);
    yield* reader.end();
  }

  *#take(): Generator<RdrItem, void, void> {
    for (;;) {
      const bytes = this.#rest;
      if (this.#lostAt >= 0) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const found = findAnchor(bytes, view, 0, bytes.length);
        this.#drop(found >= 0 ? found : ~found);
        if (found < 0) return;
        yield this.#endGarbage();
        continue;
      }
      if (bytes.length < PREFIX_BYTES) return;
      const length = frameLength(bytes, 0);
      if (length === BAD_PREFIX) {
        this.#lostAt = this.#offset;
        continue;
      }
      if (bytes.length < length) return;
      const frame = bytes.slice(0, length);
      const offset = this.#offset;
      this.#drop(length);
      yield readRecord(frame, offset);
    }
  }

  #endGarbage(): RdrLoss {
    const offset = this.#lostAt;
    this.#lostAt = -1;
    return { kind: 'garbage', offset, length: this.#offset - offset };
  }

  #drop(count: number): void {
    this.#rest = this.#rest.subarray(count);
    this.#offset += count;
  }
}
