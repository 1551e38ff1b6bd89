/**
 * Encoder: writes records, byte for byte, into memory the caller owns.
 *
 * WHY         A simulator, a replay tool and tests need the same exact bytes. The calls follow the
 *             wire: begin, one call a field, end; numbers go in as numbers, text as bytes. Nothing
 *             is allocated per record, so a simulator can make hundreds of thousands a second.
 * OWNERSHIP   The target belongs to the caller; the encoder writes `offset .. offset + frame bytes`
 *             and nothing else. `end()` completes the frame: length digits and field count.
 * INVARIANTS  A frame that `end()` returned passes frameLength and walkFields.
 * REFUSED     An object per record or field (garbage); writing past the target (throws instead).
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  DESTINATION_IP_SAMPLE_OFFSET,
  DESTINATION_PORT_OFFSET,
  FIELD_COUNT_MAX,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  FLOW_CONTEXT_ID_OFFSET,
  FRAME_BYTES_MAX,
  HEADER_BYTES,
  LENGTH_OFFSET,
  PREFIX_BYTES,
  PROCESSOR_ID_OFFSET,
  SOURCE_IP_SAMPLE_OFFSET,
  SOURCE_PORT_OFFSET,
  TAG_OFFSET,
} from './constants.ts';

/** What an encoder is told about a frame; length and field count follow from the fields. */
export interface FrameHeader {
  tag: number;
  processorId: number;
  sourceIpSample: number;
  destinationIpSample: number;
  sourcePort: number;
  destinationPort: number;
  flowContextId: number;
}

/** A header of zeros: what periodic records, which describe no flow, presumably carry. */
export function makeFrameHeader(tag: number): FrameHeader {
  return {
    tag,
    processorId: 0,
    sourceIpSample: 0,
    destinationIpSample: 0,
    sourcePort: 0,
    destinationPort: 0,
    flowContextId: 0,
  };
}

const ZERO = 0x30;
const utf8 = new TextEncoder();

/** Writes one record after another into one target. */
export class RecordEncoder {
  #bytes: Uint8Array;
  #view: DataView;
  #start = 0;
  #at = 0;
  #fieldCount = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the next byte goes: after `end()`, the offset behind the frame. */
  get offset(): number {
    return this.#at;
  }

  /** Starts a frame at `offset`, or right behind the previous one. */
  begin(header: Readonly<FrameHeader>, offset = this.#at): void {
    this.#start = offset;
    this.#at = offset;
    this.#fieldCount = 0;
    this.#need(HEADER_BYTES);
    const view = this.#view;
    view.setUint8(offset + PROCESSOR_ID_OFFSET, header.processorId);
    view.setUint8(offset + SOURCE_IP_SAMPLE_OFFSET, header.sourceIpSample);
    view.setUint8(offset + DESTINATION_IP_SAMPLE_OFFSET, header.destinationIpSample);
    view.setUint16(offset + SOURCE_PORT_OFFSET, header.sourcePort);
    view.setUint16(offset + DESTINATION_PORT_OFFSET, header.destinationPort);
    view.setUint32(offset + FLOW_CONTEXT_ID_OFFSET, header.flowContextId);
    view.setUint32(offset + TAG_OFFSET, header.tag);
    this.#at = offset + HEADER_BYTES;
  }

  int8(value: number): void {
    this.#field(FIELD_TYPE.INT8, 1);
    this.#view.setInt8(this.#at - 1, value);
  }

  int16(value: number): void {
    this.#field(FIELD_TYPE.INT16, 2);
    this.#view.setInt16(this.#at - 2, value);
  }

  int32(value: number): void {
    this.#field(FIELD_TYPE.INT32, 4);
    this.#view.setInt32(this.#at - 4, value);
  }

  uint8(value: number): void {
    this.#field(FIELD_TYPE.UINT8, 1);
    this.#view.setUint8(this.#at - 1, value);
  }

  uint16(value: number): void {
    this.#field(FIELD_TYPE.UINT16, 2);
    this.#view.setUint16(this.#at - 2, value);
  }

  uint32(value: number): void {
    this.#field(FIELD_TYPE.UINT32, 4);
    this.#view.setUint32(this.#at - 4, value);
  }

  boolean(value: boolean): void {
    this.#field(FIELD_TYPE.BOOLEAN, 1);
    this.#view.setUint8(this.#at - 1, value ? 1 : 0);
  }

  float(value: number): void {
    this.#field(FIELD_TYPE.FLOAT, 4);
    this.#view.setFloat32(this.#at - 4, value);
  }

  /** A STRING from bytes `from .. to` of `source`, as they are. */
  text(source: Uint8Array, from = 0, to = source.length): void {
    this.raw(FIELD_TYPE.STRING, source, from, to);
  }

  /** A STRING from JavaScript text, as UTF-8. */
  string(value: string): void {
    // Written behind the field header first: its length is known only afterwards.
    this.#need(FIELD_HEADER_BYTES);
    const at = this.#at + FIELD_HEADER_BYTES;
    const { read, written } = utf8.encodeInto(value, this.#bytes.subarray(at));
    if (read !== value.length) this.#refuse('the target has no room for the text');
    this.#field(FIELD_TYPE.STRING, written);
  }

  /** A field of any type code with these bytes: unknown types, and wrong lengths for tests. */
  raw(type: number, source: Uint8Array, from = 0, to = source.length): void {
    const length = to - from;
    this.#field(type, length);
    const bytes = this.#bytes;
    const at = this.#at - length;
    // Short texts are the rule: a loop is dearer than set() only from some 50 bytes on.
    if (length > 48) bytes.set(source.subarray(from, to), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = source[from + i]!;
  }

  /** Completes the frame: its total bytes (20..10,004). */
  end(): number {
    const start = this.#start;
    const total = this.#at - start;
    if (total > FRAME_BYTES_MAX) this.#refuse('the fields do not fit a frame of 10,004 bytes');
    if (this.#fieldCount > FIELD_COUNT_MAX) this.#refuse('a record has at most 255 fields');
    const length = total - PREFIX_BYTES;
    const bytes = this.#bytes;
    const digits = start + LENGTH_OFFSET;
    bytes[digits] = ZERO + Math.floor(length / 1000);
    bytes[digits + 1] = ZERO + (Math.floor(length / 100) % 10);
    bytes[digits + 2] = ZERO + (Math.floor(length / 10) % 10);
    bytes[digits + 3] = ZERO + (length % 10);
    bytes[start + FIELD_COUNT_OFFSET] = this.#fieldCount;
    return total;
  }

  /** Type and length of a field; moves behind its value. */
  #field(type: number, length: number): void {
    this.#need(FIELD_HEADER_BYTES + length);
    const at = this.#at;
    this.#bytes[at] = type;
    this.#view.setUint32(at + 1, length);
    this.#at = at + FIELD_HEADER_BYTES + length;
    this.#fieldCount++;
  }

  #need(count: number): void {
    if (this.#at + count > this.#bytes.length) this.#refuse('the target is too small');
  }

  #refuse(what: string): never {
    throw new MillraceError(
      'MR_RDR_ENCODE',
      `cannot encode the record at offset ${this.#start}: ${what}`,
      'give the encoder a larger target, or fewer and shorter fields',
    );
  }
}
