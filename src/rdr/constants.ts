/**
 * RDRv1 constants: where each item of a frame stands, and the codes of field types.
 *
 * SOURCE   No Cisco text with this layout is known. It is what four separately written parsers
 *          agree on; docs/reference/rdrv1.md says how sure each line is.
 * LAYOUT   A record is one frame: a 20-byte header, then `fieldCount` fields back to back.
 *
 *   offset  bytes  item                   encoding
 *   0       1      processor id           unsigned, 0 is legal
 *   1       4      length                 four ASCII digits: the bytes that follow byte 4, 15..9999
 *   5       1      source IP sample       last octet of the flow's source address
 *   6       1      destination IP sample
 *   7       2      source port            big endian, as all numbers below
 *   9       2      destination port
 *   11      4      flow context id
 *   15      4      tag                    the record type
 *   19      1      field count
 *   20      ..     fields                 type (1 byte), length (4 bytes), value (length bytes)
 */

export const HEADER_BYTES = 20;

export const PROCESSOR_ID_OFFSET = 0;
export const LENGTH_OFFSET = 1;
export const SOURCE_IP_SAMPLE_OFFSET = 5;
export const DESTINATION_IP_SAMPLE_OFFSET = 6;
export const SOURCE_PORT_OFFSET = 7;
export const DESTINATION_PORT_OFFSET = 9;
export const FLOW_CONTEXT_ID_OFFSET = 11;
export const TAG_OFFSET = 15;
export const FIELD_COUNT_OFFSET = 19;

/** Bytes needed to know how long a frame is: processor id and the four digits. */
export const PREFIX_BYTES = 5;

/** The smallest value the four digits can have: the rest of the header. */
export const LENGTH_MIN = HEADER_BYTES - PREFIX_BYTES;

export const FRAME_BYTES_MIN = HEADER_BYTES;

/** Four digits hold at most 9999. */
export const FRAME_BYTES_MAX = PREFIX_BYTES + 9999;

export const FIELD_COUNT_MAX = 255;

/** In front of each value: type (1 byte) and length (4 bytes, big endian). */
export const FIELD_HEADER_BYTES = 5;

/** Type byte of a field. FLOAT is assumed to be an IEEE 754 single: no known parser reads one. */
export const FIELD_TYPE = {
  INT8: 11,
  INT16: 12,
  INT32: 13,
  UINT8: 14,
  UINT16: 15,
  UINT32: 16,
  FLOAT: 21,
  BOOLEAN: 31,
  STRING: 41,
} as const;

export type FieldTypeName = keyof typeof FIELD_TYPE;

/** Type byte -> name; undefined for a code that nobody knows. */
export const FIELD_TYPE_NAME: Readonly<Record<number, FieldTypeName | undefined>> = Object.freeze(
  Object.fromEntries(Object.entries(FIELD_TYPE).map(([name, code]) => [code, name])),
) as Readonly<Record<number, FieldTypeName | undefined>>;

/** Type byte -> bytes of its value; 0 = any length (STRING and unknown types). 256 entries. */
export const FIXED_LENGTH: Uint8Array = Uint8Array.from({ length: 256 }, (_, type) => {
  switch (type) {
    case FIELD_TYPE.INT8:
    case FIELD_TYPE.UINT8:
    case FIELD_TYPE.BOOLEAN:
      return 1;
    case FIELD_TYPE.INT16:
    case FIELD_TYPE.UINT16:
      return 2;
    case FIELD_TYPE.INT32:
    case FIELD_TYPE.UINT32:
    case FIELD_TYPE.FLOAT:
      return 4;
    default:
      return 0;
  }
});
