/**
 * Faults: turns a good record into one that is wrong or unusual in exactly one known way.
 *
 * WHY       A collector is tested by what it does with bad input, and only exact totals show a
 *           record that is lost or counted twice. So each fault has one outcome that follows from
 *           the framing rules alone, whatever order a decoder makes its checks in.
 * HOW       The frame keeps a true length. Where a fault changes a type byte, the value keeps its
 *           bytes, so that nothing else becomes wrong.
 */
import {
  FIELD_COUNT_MAX,
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  FRAME_BYTES_MAX,
  HEADER_BYTES,
  LENGTH_OFFSET,
  PREFIX_BYTES,
  TAG_OFFSET,
} from '../rdr/index.ts';
import { assert } from '../toolkit/base/assert.ts';
import type { Prng } from '../toolkit/base/prng.ts';

/** What `malformedRatio` deals out, all equally often. */
export const FAULT = {
  FIELDS_SHORT: 0,
  FIELD_OVERRUN: 1,
  FIXED_LENGTH: 2,
  COUNT_HIGH: 3,
  UNKNOWN_TAG: 4,
  UNKNOWN_TYPE: 5,
  TYPE_MISMATCH: 6,
  MORE_FIELDS: 7,
  LONGEST: 8,
  HOSTILE_TEXT: 9,
  GARBAGE: 10,
} as const;

export const FAULT_COUNT = 11;

/** Tags of no table: the test record, private ones that were seen, and made-up ones. */
const UNKNOWN_TAGS = [
  0xffffffff, 8456, 77771, 77776, 1_000_000, 11_110_001, 0xf0f0f0ee, 0xf0f0f110, 1, 0xdeadbeef,
];

const UNKNOWN_TYPES = [0, 1, 10, 17, 22, 32, 42, 77, 200, 255];

/** Type codes whose values have 1, 2 and 4 bytes. */
const TYPES_OF_WIDTH: Readonly<Record<number, readonly number[]>> = {
  1: [FIELD_TYPE.INT8, FIELD_TYPE.UINT8, FIELD_TYPE.BOOLEAN],
  2: [FIELD_TYPE.INT16, FIELD_TYPE.UINT16],
  4: [FIELD_TYPE.INT32, FIELD_TYPE.UINT32, FIELD_TYPE.FLOAT],
};

const MORE_FIELDS_MAX = 12;

/** Works on one frame at a time, in place. */
export class FaultMaker {
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Applies a fault to the frame of `length` bytes at `offset`; the frame's new length. */
  apply(fault: number, bytes: Uint8Array, view: DataView, offset: number, length: number): number {
    switch (fault) {
      case FAULT.FIELDS_SHORT:
        return this.#fieldsShort(bytes, offset, length);
      case FAULT.FIELD_OVERRUN:
        return this.#fieldOverrun(bytes, view, offset, length);
      case FAULT.FIXED_LENGTH:
        return this.#fixedLength(bytes, view, offset, length);
      case FAULT.COUNT_HIGH:
        return this.#countHigh(bytes, offset, length);
      case FAULT.UNKNOWN_TAG:
        view.setUint32(offset + TAG_OFFSET, this.#pick(UNKNOWN_TAGS));
        return length;
      case FAULT.UNKNOWN_TYPE: {
        const index = this.#prng.below(bytes[offset + FIELD_COUNT_OFFSET]!);
        bytes[fieldAt(view, offset, index)] = this.#pick(UNKNOWN_TYPES);
        return length;
      }
      case FAULT.TYPE_MISMATCH:
        // A STRING where the catalogue has a number.
        bytes[this.#findField(bytes, view, offset, false)] = FIELD_TYPE.STRING;
        return length;
      case FAULT.MORE_FIELDS:
        return this.#moreFields(bytes, view, offset, length);
      default:
        return length;
    }
  }

  /** Bytes are left when all fields are read: one field is not counted, or some bytes are added. */
  #fieldsShort(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#prng.below(2) === 0) {
      bytes[offset + FIELD_COUNT_OFFSET] = bytes[offset + FIELD_COUNT_OFFSET]! - 1;
      return length;
    }
    const added = 1 + this.#prng.below(40);
    this.#fill(bytes, offset + length, added);
    return writeLength(bytes, offset, length + added);
  }

  /** A STRING says that it is longer than what is left of the frame. */
  #fieldOverrun(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
    const field = this.#findField(bytes, view, offset, true);
    const room = offset + length - field - FIELD_HEADER_BYTES;
    const beyond = this.#prng.below(3);
    const lied =
      beyond === 0
        ? room + 1 + this.#prng.below(1000)
        : beyond === 1
          ? 0x80000000 + this.#prng.below(0x7fffffff)
          : 0xffffffff;
    view.setUint32(field + 1, lied);
    return length;
  }

  /** An integer gets the type code of another width; its bytes stay. */
  #fixedLength(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
    const field = this.#findField(bytes, view, offset, false);
    const width = view.getUint32(field + 1);
    const others = [1, 2, 4].filter((other) => other !== width);
    bytes[field] = this.#pick(TYPES_OF_WIDTH[this.#pick(others)]!);
    return length;
  }

  /** The frame ends before the counted fields do, with 0 to 4 bytes of the next field header. */
  #countHigh(bytes: Uint8Array, offset: number, length: number): number {
    const count = bytes[offset + FIELD_COUNT_OFFSET]!;
    const added = this.#prng.below(FIELD_HEADER_BYTES);
    this.#fill(bytes, offset + length, added);
    const missing = 1 + this.#prng.below(FIELD_COUNT_MAX - count);
    bytes[offset + FIELD_COUNT_OFFSET] = count + missing;
    return writeLength(bytes, offset, length + added);
  }

  /** Fields behind those of the catalogue: integers, text, FLOAT, BOOLEAN, an unknown type. */
  #moreFields(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
    const added = 1 + this.#prng.below(MORE_FIELDS_MAX);
    let at = offset + length;
    for (let i = 0; i < added; i++) {
      const shape = this.#prng.below(5);
      const width = shape === 0 ? 4 : shape === 1 ? this.#prng.below(20) : shape === 2 ? 4 : 1;
      const types = [
        FIELD_TYPE.UINT32,
        FIELD_TYPE.STRING,
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.BOOLEAN,
        99,
      ];
      bytes[at] = types[shape]!;
      view.setUint32(at + 1, width);
      at += FIELD_HEADER_BYTES;
      for (let k = 0; k < width; k++) bytes[at + k] = 0x41 + this.#prng.below(26);
      at += width;
    }
    bytes[offset + FIELD_COUNT_OFFSET] = bytes[offset + FIELD_COUNT_OFFSET]! + added;
    return writeLength(bytes, offset, at - offset);
  }

  /** Offset of a random field that is a STRING, or one that is not; the frame has such a field. */
  #findField(bytes: Uint8Array, view: DataView, offset: number, wantText: boolean): number {
    const count = bytes[offset + FIELD_COUNT_OFFSET]!;
    let skip = this.#prng.below(count);
    let at = fieldAt(view, offset, skip);
    for (let tries = 0; tries < count; tries++) {
      if ((bytes[at] === FIELD_TYPE.STRING) === wantText) return at;
      skip++;
      if (skip < count) at += FIELD_HEADER_BYTES + view.getUint32(at + 1);
      else {
        skip = 0;
        at = offset + HEADER_BYTES;
      }
    }
    assert(false, 'the record has a field of the wanted kind');
  }

  #fill(bytes: Uint8Array, offset: number, count: number): void {
    for (let i = 0; i < count; i++) bytes[offset + i] = this.#prng.nextU32() >>> 24;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#prng.below(choices.length)]!;
  }
}

/** Offset of field `index` of a well-formed frame. */
function fieldAt(view: DataView, offset: number, index: number): number {
  let at = offset + HEADER_BYTES;
  for (let i = 0; i < index; i++) at += FIELD_HEADER_BYTES + view.getUint32(at + 1);
  return at;
}

/** Makes the last field, an empty STRING, so long that the frame has 10,004 bytes. */
export function stretch(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
  const added = FRAME_BYTES_MAX - length;
  view.setUint32(offset + length - 4, added);
  bytes.fill(0x78, offset + length, offset + FRAME_BYTES_MAX);
  return writeLength(bytes, offset, FRAME_BYTES_MAX);
}

/** Writes the four length digits for a frame of `length` bytes; returns `length`. */
export function writeLength(bytes: Uint8Array, offset: number, length: number): number {
  let rest = length - PREFIX_BYTES;
  for (let i = 3; i >= 0; i--) {
    bytes[offset + LENGTH_OFFSET + i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return length;
}
