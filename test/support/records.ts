/**
 * Records for tests, put together byte by byte: not by our encoder, which is under test elsewhere.
 */

export type TestField = readonly [type: number, value: Uint8Array];

export function text(value: string | Uint8Array): TestField {
  return [41, typeof value === 'string' ? Buffer.from(value) : value];
}

export function uint32(value: number): TestField {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return [16, bytes];
}

export function int16(value: number): TestField {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return [12, bytes];
}

/** One frame: header of zeros but for length, tag and field count. */
export function record(tag: number, fields: readonly TestField[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [type, value] of fields) {
    const head = Buffer.alloc(5);
    head[0] = type;
    head.writeUInt32BE(value.length, 1);
    parts.push(head, value);
  }
  const payload = Buffer.concat(parts);
  const header = Buffer.alloc(20);
  header[0] = 7;
  header.write(String(15 + payload.length).padStart(4, '0'), 1, 'latin1');
  header.writeUInt32BE(tag, 15);
  header[19] = fields.length;
  return Buffer.concat([header, payload]);
}

/** The constructed vector of docs/reference/rdrv1.md: Transaction Usage, 25 fields, 247 bytes. */
export const VECTOR: Buffer = Buffer.from(
  '0130323432caaea8fd005001020304f0f0f43819290000001331302e3133342e' +
    '3231332e32303240696e65740c0000000200010d00000004000000100c000000' +
    '0200021000000004000000011000000004d459e8ae0f00000002005029000000' +
    '0f7777772e6578616d706c652e6e657429000000062f612e6769661000000004' +
    '0a86d5ca0f00000002a8fd0b00000001001000000004529b8b65100000000400' +
    '0003980b00000001001000000004000004741000000004000001550f00000002' +
    '00010f0000000200090f0000000200010e00000001060d00000004030100000d' +
    '00000004000000000d00000004000000000e0000000100',
  'hex',
);
