import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../toolkit/base/errors.ts';
import { makeFrameHeader, RecordEncoder } from './encoder.ts';
import { WELL_FORMED, walkFields } from './field.ts';
import { frameLength } from './frame.ts';

test('the bytes of a small record, one by one', () => {
  const target = new Uint8Array(128).fill(0xee);
  const encoder = new RecordEncoder(target);
  encoder.begin(
    {
      tag: 0xf0f0f438,
      processorId: 3,
      sourceIpSample: 0xca,
      destinationIpSample: 0xae,
      sourcePort: 43261,
      destinationPort: 80,
      flowContextId: 0x01020304,
    },
    2,
  );
  encoder.int8(-2);
  encoder.uint16(0xfffe);
  encoder.int32(-3);
  encoder.boolean(true);
  encoder.float(1.5);
  encoder.string('é');
  encoder.text(Uint8Array.of(0, 255, 44), 1);
  encoder.raw(99, Uint8Array.of(1));
  const total = encoder.end();
  const hex = Buffer.from(target.subarray(2, 2 + total)).toString('hex');
  assert.equal(
    hex,
    '0330303732caaea8fd005001020304f0f0f43808' +
      '0b00000001fe0f00000002fffe0d00000004fffffffd1f0000000101' +
      '15000000043fc000002900000002c3a92900000002ff2c630000000101',
  );
  assert.equal(target[1], 0xee);
  assert.equal(target[2 + total], 0xee);
  assert.equal(encoder.offset, 2 + total);
});

test('records stand back to back and pass the checks', () => {
  const target = new Uint8Array(4096);
  const view = new DataView(target.buffer);
  const encoder = new RecordEncoder(target);
  const header = makeFrameHeader(0xf0f0f005);
  for (let i = 0; i < 20; i++) {
    encoder.begin(header);
    for (let k = 0; k < i; k++) encoder.uint32(k);
    encoder.end();
  }
  let at = 0;
  for (let i = 0; i < 20; i++) {
    const length = frameLength(target, at);
    assert.equal(length, 20 + 9 * i);
    assert.equal(walkFields(target, view, at, length), WELL_FORMED);
    at += length;
  }
  assert.equal(at, encoder.offset);
});

test('what cannot be a record is refused with a code', () => {
  const refused = (error: unknown) =>
    error instanceof MillraceError && error.code === 'MR_RDR_ENCODE';
  const small = new RecordEncoder(new Uint8Array(30));
  small.begin(makeFrameHeader(1));
  assert.throws(() => small.text(new Uint8Array(6)), refused);
  assert.throws(() => small.string('äää'), refused);
  const large = new RecordEncoder(new Uint8Array(40_000));
  large.begin(makeFrameHeader(1));
  large.text(new Uint8Array(9_979));
  assert.equal(large.end(), 10_004);
  large.begin(makeFrameHeader(1));
  large.text(new Uint8Array(9_980));
  assert.throws(() => large.end(), refused);
  large.begin(makeFrameHeader(1));
  for (let i = 0; i < 256; i++) large.uint8(0);
  assert.throws(() => large.end(), refused);
});
