import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../toolkit/base/prng.ts';
import { formatCrc, MessageCrc } from './crc.ts';

/** The definition of the old programs, bit by bit, in one register of 64 bits. */
function slowCrc(bytes: Uint8Array): string {
  const mask = (1n << 64n) - 1n;
  let register = 0n;
  for (const byte of bytes) {
    let entry = ((register >> 24n) & 0xffn) ^ BigInt(byte);
    entry <<= 24n;
    for (let bit = 0; bit < 8; bit++) {
      const isSet = (entry & 0x8000_0000n) !== 0n;
      entry = (entry << 1n) & 0xffff_ffffn;
      if (isSet) entry ^= 0x04c1_1db7n;
    }
    register = ((register << 8n) & mask) ^ entry;
  }
  return register.toString(16);
}

function crcOf(bytes: Uint8Array, offset = 0, length = bytes.length - offset): string {
  const crc = new Uint32Array(2);
  new MessageCrc(bytes).compute(offset, length, crc);
  return formatCrc(crc);
}

test('vectors computed by hand', () => {
  // One byte 1 leaves the polynomial; nothing was shifted out.
  assert.equal(crcOf(Uint8Array.of(1)), '4c11db7');
  // A second byte 0 shifts 0x04 out: table[4] = polynomial * x^2 = 0x130476dc,
  // the register becomes 0x04_c11db700 ^ 0x130476dc.
  assert.equal(crcOf(Uint8Array.of(1, 0)), '4d219c1dc');
  assert.equal(crcOf(new Uint8Array(0)), '0');
  assert.equal(crcOf(new Uint8Array(4096)), '0');
});

test('the lower half is the CRC of POSIX cksum without length and inversion', () => {
  // CRC-32/CKSUM of "123456789" without its length is that of CRC-32/MPEG-2 with start 0.
  const crc = crcOf(new TextEncoder().encode('123456789'));
  assert.equal(crc.slice(-8), '89a1897f');
});

test('every length and alignment gives what the definition gives', () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const prng = new Prng(seed);
  const bytes = Uint8Array.from({ length: 400 }, () => prng.below(256));
  for (let offset = 0; offset < 20; offset++) {
    for (let length = 0; length < 80; length++) {
      const want = slowCrc(bytes.subarray(offset, offset + length));
      assert.equal(crcOf(bytes, offset, length), want, `seed ${seed}, ${offset}+${length}`);
    }
  }
  assert.equal(crcOf(bytes), slowCrc(bytes), `seed ${seed}`);
});

test('the upper half is what the last four steps shifted out', () => {
  const prng = new Prng(3);
  const bytes = Uint8Array.from({ length: 65_520 }, () => prng.below(256));
  assert.equal(crcOf(bytes), slowCrc(bytes));
  assert.ok(crcOf(bytes).length > 8, 'more than 32 bits');
});

test('one changed bit anywhere changes the sum', () => {
  const bytes = new Uint8Array(4080);
  const clean = crcOf(bytes);
  for (const at of [0, 1, 15, 16, 2047, 4075, 4079]) {
    bytes[at]! ^= 0x10;
    assert.notEqual(crcOf(bytes), clean);
    bytes[at]! ^= 0x10;
  }
});
