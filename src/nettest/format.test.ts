import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageCrc } from './crc.ts';
import { HEADER_BYTES, hasCrc, hasLength, readCrc, readLength, writeHeader } from './format.ts';

test('a message, byte by byte: size with the header, 64-bit checksum, payload', () => {
  const bytes = new Uint8Array(18);
  bytes.set([1, 0], HEADER_BYTES);
  const crc = new Uint32Array(2);
  new MessageCrc(bytes).compute(HEADER_BYTES, 2, crc);
  writeHeader(new DataView(bytes.buffer), 0, 18, crc);
  // The checksum of 01 00 is 0x4d219c1dc: see the vectors of crc.test.ts.
  assert.equal(Buffer.from(bytes).toString('hex'), '1200000000000000dcc119d2040000000100');
});

test('fields are read as they were written, at any offset', () => {
  const view = new DataView(new ArrayBuffer(64));
  const crc = Uint32Array.of(0x89ab_cdef, 0x0123_4567);
  writeHeader(view, 5, 65_536, crc);
  assert.equal(readLength(view, 5), 65_536n);
  assert.equal(readCrc(view, 5), 0x0123_4567_89ab_cdefn);
  assert.ok(hasLength(view, 5, 65_536) && hasCrc(view, 5, crc));
});

test('the upper half of either field counts', () => {
  const view = new DataView(new ArrayBuffer(16));
  const crc = Uint32Array.of(7, 9);
  writeHeader(view, 0, 4096, crc);
  view.setUint8(7, 1);
  assert.equal(hasLength(view, 0, 4096), false);
  assert.equal(readLength(view, 0), (1n << 56n) + 4096n);
  view.setUint8(15, 1);
  assert.equal(hasCrc(view, 0, crc), false);
});
