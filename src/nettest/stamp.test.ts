import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STAMP_GOOD,
  STAMP_MISSING,
  STAMP_OTHER,
  STAMP_TORN,
  type Stamp,
  Stamper,
} from './stamp.ts';

const MESSAGE_BYTES = 3 * 4096 + 100;
const OFFSET = 4096;

function stamped(stamp: Stamp): { bytes: Uint8Array; stamper: Stamper } {
  const bytes = new Uint8Array(OFFSET + MESSAGE_BYTES).fill(0x5a);
  const stamper = new Stamper(bytes);
  stamper.write(OFFSET, MESSAGE_BYTES, stamp);
  return { bytes, stamper };
}

const STAMP: Stamp = { connection: 2, sequence: 17, generation: 5, isFixed: false };

test('what was stamped is good, the generation is named, the header is not touched', () => {
  const { bytes, stamper } = stamped(STAMP);
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, { ...STAMP, generation: 0 }), STAMP_GOOD);
  assert.equal(stamper.seen.generation, 5);
  assert.ok(bytes.subarray(OFFSET, OFFSET + 16).every((byte) => byte === 0x5a));
  assert.ok(stamper.read(OFFSET, MESSAGE_BYTES));
});

test('one page of a later fill is found and its generation named', () => {
  const { bytes, stamper } = stamped(STAMP);
  const later = stamped({ ...STAMP, sequence: 30, generation: 6 });
  const page = OFFSET + 2 * 4096;
  bytes.set(later.bytes.subarray(page, page + 4096), page);
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_OTHER);
  assert.equal(stamper.badChunk, 2);
  assert.deepEqual({ ...stamper.seen }, { ...STAMP, sequence: 30, generation: 6 });
});

test('a page of another generation of the same message is found', () => {
  const { bytes, stamper } = stamped(STAMP);
  const later = stamped({ ...STAMP, generation: 6 });
  bytes.set(later.bytes.subarray(OFFSET + 4096, OFFSET + 8192), OFFSET + 4096);
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_OTHER);
  assert.equal(stamper.badChunk, 1);
});

test('every single changed byte behind the header is found', () => {
  const { bytes, stamper } = stamped(STAMP);
  for (let at = 16; at < MESSAGE_BYTES; at += 331) {
    bytes[OFFSET + at]! ^= 1;
    assert.notEqual(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_GOOD, `byte ${at}`);
    bytes[OFFSET + at]! ^= 1;
  }
  bytes[OFFSET + 4096 + 2000]! ^= 1;
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_TORN);
});

test('memory without stamps, and pages in the wrong order', () => {
  const { bytes, stamper } = stamped(STAMP);
  const first = bytes.slice(OFFSET + 4096, OFFSET + 8192);
  bytes.copyWithin(OFFSET + 4096, OFFSET + 8192, OFFSET + 12_288);
  bytes.set(first, OFFSET + 8192);
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_OTHER);
  bytes.fill(0, OFFSET + 4096, OFFSET + 8192);
  assert.equal(stamper.check(OFFSET, MESSAGE_BYTES, STAMP), STAMP_MISSING);
});

test('a message too small for a stamp has none, and is good', () => {
  const stamper = new Stamper(new Uint8Array(4096));
  stamper.write(0, 39, STAMP);
  assert.equal(stamper.read(0, 39), false);
  assert.equal(stamper.check(0, 39, STAMP), STAMP_GOOD);
});
