import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeText, encodeText } from '../../rdr/index.ts';
import { escapeBytes } from './text-escape.ts';

function escaped(bytes: Uint8Array): { text: string; invalidValues: number } {
  const counts = { invalidValues: 0 };
  const out = new Uint8Array(bytes.length * 4);
  const end = escapeBytes(bytes, 0, bytes.length, out, 0, counts);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return { text: decoder.decode(out.subarray(0, end)), ...counts };
}

test('any bytes become valid UTF-8 and can be computed back', () => {
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x5c, 0x78, 0xc3, 0xed, 0xf0, 0xf4, 0x80));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), (values) => {
      const bytes = Uint8Array.from(values);
      const { text } = escaped(bytes);
      assert.deepEqual(encodeText(text), bytes);
      assert.equal(text, decodeText(bytes), 'the same as by the value');
    }),
    { numRuns: 3000 },
  );
});

test('valid UTF-8 without a backslash stays as it is and is not counted', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const { text, invalidValues } = escaped(new TextEncoder().encode(value));
      assert.equal(text, value.replaceAll('\\', '\\\\'));
      assert.equal(invalidValues, 0);
    }),
  );
});

test('a value is counted once, however many bytes are wrong', () => {
  assert.equal(escaped(Uint8Array.of(0xff, 0xff, 0x41, 0xc0)).invalidValues, 1);
  assert.equal(escaped(Uint8Array.of(0xff)).text, '\\xff');
});
