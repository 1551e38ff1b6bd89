/**
 * Thrift compact protocol: as much of it as a Parquet footer needs, read and written generically.
 *
 * WHY         Small files are written and files are merged without DuckDB (plain-file.ts,
 *             parquet-merge.ts); both only need the footer, which is one Thrift struct.
 * LAYOUT      A field is one byte (id delta << 4 | type), then its value; a long id jump is written
 *             as type, zigzag id. Integers are zigzag varints; a list is (size << 4 | type),
 *             elements.
 *             https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 * OWNERSHIP   Values are plain data of the caller.
 * INVARIANTS  Integers stay below 2^53 (file offsets and counts); larger ones are refused on
 *             reading.
 * REFUSED     The thrift package (a dependency for 200 lines); maps and doubles (no footer has
 *             them).
 */
import { MillraceError } from '../../toolkit/base/errors.ts';

export const T_TRUE = 1;
export const T_FALSE = 2;
export const T_BYTE = 3;
export const T_I16 = 4;
export const T_I32 = 5;
export const T_I64 = 6;
export const T_DOUBLE = 7;
export const T_BINARY = 8;
export const T_LIST = 9;
export const T_STRUCT = 12;

export interface ThriftList {
  readonly elementType: number;
  readonly items: ThriftValue[];
}
export type ThriftValue = number | boolean | Uint8Array | ThriftList | ThriftStruct;
export interface ThriftField {
  readonly id: number;
  readonly type: number;
  value: ThriftValue;
}
/** Fields in growing id. */
export type ThriftStruct = ThriftField[];

export function fieldOf(struct: ThriftStruct, id: number): ThriftField | undefined {
  return struct.find((field) => field.id === id);
}

/** Builds structs by hand: `field(1, T_I32, 5)`. */
export function field(id: number, type: number, value: ThriftValue): ThriftField {
  return { id, type, value };
}

export function textValue(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export class ThriftWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** The bytes written so far; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.#byte(rest);
  }

  #zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  struct(fields: ThriftStruct): void {
    let last = 0;
    for (const { id, type, value } of fields) {
      const wireType = type === T_TRUE || type === T_FALSE ? (value ? T_TRUE : T_FALSE) : type;
      const delta = id - last;
      if (delta > 0 && delta <= 15) {
        this.#byte((delta << 4) | wireType);
      } else {
        this.#byte(wireType);
        this.#zigzag(id);
      }
      last = id;
      if (wireType !== T_TRUE && wireType !== T_FALSE) this.#value(type, value);
    }
    this.#byte(0);
  }

  #value(type: number, value: ThriftValue): void {
    if (type === T_I16 || type === T_I32 || type === T_I64) this.#zigzag(value as number);
    else if (type === T_BYTE) this.#byte((value as number) & 255);
    else if (type === T_BINARY) this.#binary(value as Uint8Array);
    else if (type === T_LIST) this.#list(value as ThriftList);
    else if (type === T_STRUCT) this.struct(value as ThriftStruct);
    else if (type === T_TRUE || type === T_FALSE) this.#byte(value ? T_TRUE : T_FALSE);
    else throw unsupported(type);
  }

  #binary(value: Uint8Array): void {
    this.varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #list(list: ThriftList): void {
    const size = list.items.length;
    if (size < 15) {
      this.#byte((size << 4) | list.elementType);
    } else {
      this.#byte(0xf0 | list.elementType);
      this.varint(size);
    }
    for (const item of list.items) this.#value(list.elementType, item);
  }
}

export class ThriftReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw damaged('it ends too early');
    return byte;
  }

  #varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw damaged('a number is above 2^53');
      if (byte < 128) return value;
      factor *= 128;
    }
  }

  #zigzag(): number {
    const raw = this.#varint();
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  struct(): ThriftStruct {
    const fields: ThriftStruct = [];
    let last = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return fields;
      const type = head & 15;
      const delta = head >> 4;
      last = delta === 0 ? this.#zigzag() : last + delta;
      const isBool = type === T_TRUE || type === T_FALSE;
      fields.push({ id: last, type, value: isBool ? type === T_TRUE : this.#value(type) });
    }
  }

  #value(type: number): ThriftValue {
    switch (type) {
      case T_TRUE:
      case T_FALSE:
        return this.#byte() === T_TRUE;
      case T_BYTE:
        return this.#byte();
      case T_I16:
      case T_I32:
      case T_I64:
        return this.#zigzag();
      case T_BINARY: {
        const length = this.#varint();
        const start = this.#at;
        this.#at += length;
        if (this.#at > this.#bytes.length) throw damaged('a text runs over its end');
        return this.#bytes.slice(start, this.#at);
      }
      case T_LIST: {
        const head = this.#byte();
        const size = head >> 4 === 15 ? this.#varint() : head >> 4;
        const elementType = head & 15;
        const items: ThriftValue[] = [];
        for (let i = 0; i < size; i++) items.push(this.#value(elementType));
        return { elementType, items };
      }
      case T_STRUCT:
        return this.struct();
      default:
        throw unsupported(type);
    }
  }
}

function damaged(what: string): MillraceError {
  return new MillraceError('MR_STORE_LOG', `a Parquet footer is damaged: ${what}`);
}

function unsupported(type: number): MillraceError {
  return new MillraceError('MR_STORE_LOG', `a Parquet footer has a Thrift type ${type}`);
}
