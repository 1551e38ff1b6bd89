import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MALFORMED, WELL_FORMED, walkFields } from './field.ts';
import { BAD_PREFIX, frameLength } from './frame.ts';

function prefix(digits: string): Uint8Array {
  return Uint8Array.from([7, ...Buffer.from(digits, 'latin1')]);
}

/** A frame of any shape: fields as [type, length as written, value bytes]. */
function frame(count: number, fields: readonly (readonly [number, number, number])[], tail = 0) {
  const body: number[] = [];
  for (const [type, length, valueBytes] of fields) {
    body.push(type, (length >>> 24) & 255, (length >>> 16) & 255, (length >>> 8) & 255);
    body.push(length & 255, ...new Array<number>(valueBytes).fill(1));
  }
  body.push(...new Array<number>(tail).fill(0));
  const digits = String(body.length + 15).padStart(4, '0');
  const head = [
    1,
    ...Buffer.from(digits),
    1,
    2,
    0,
    3,
    0,
    4,
    0,
    0,
    0,
    5,
    0xf0,
    0xf0,
    0xf0,
    0,
    count,
  ];
  return Uint8Array.from([...head, ...body]);
}

function walk(bytes: Uint8Array): number {
  return walkFields(bytes, new DataView(bytes.buffer), 0, bytes.length);
}

test('frameLength reads four decimal digits and adds the five bytes in front', () => {
  assert.equal(frameLength(prefix('0015'), 0), 20);
  assert.equal(frameLength(prefix('0242'), 0), 247);
  assert.equal(frameLength(prefix('9999'), 0), 10_004);
  const shifted = Uint8Array.from([9, 9, ...prefix('1234')]);
  assert.equal(frameLength(shifted, 2), 1239);
});

test('frameLength refuses a length below 15 and anything but digits', () => {
  assert.equal(frameLength(prefix('0014'), 0), BAD_PREFIX);
  assert.equal(frameLength(prefix('0000'), 0), BAD_PREFIX);
  for (let place = 0; place < 4; place++) {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = prefix('0999');
      bytes[1 + place] = byte;
      const digit = byte >= 0x30 && byte <= 0x39;
      assert.equal(frameLength(bytes, 0) !== BAD_PREFIX, digit, `byte ${byte} at ${place}`);
    }
  }
});

test('walkFields accepts fields that fill the frame, of known and unknown types', () => {
  assert.equal(walk(frame(0, [])), WELL_FORMED);
  assert.equal(
    walk(
      frame(2, [
        [16, 4, 4],
        [41, 0, 0],
      ]),
    ),
    WELL_FORMED,
  );
  assert.equal(
    walk(
      frame(2, [
        [99, 7, 7],
        [31, 1, 1],
      ]),
    ),
    WELL_FORMED,
  );
  assert.equal(walk(frame(255, new Array(255).fill([11, 1, 1]))), WELL_FORMED);
});

test('walkFields names what is wrong', () => {
  assert.equal(walk(frame(1, [[16, 4, 4]], 1)), MALFORMED.FIELDS_SHORT);
  assert.equal(walk(frame(0, [], 3)), MALFORMED.FIELDS_SHORT);
  assert.equal(walk(frame(1, [[41, 9, 4]])), MALFORMED.FIELD_OVERRUN);
  assert.equal(walk(frame(1, [[41, 0x80000000, 4]])), MALFORMED.FIELD_OVERRUN);
  assert.equal(walk(frame(1, [[41, 0xffffffff, 4]])), MALFORMED.FIELD_OVERRUN);
  assert.equal(
    walk(
      frame(2, [
        [16, 3, 3],
        [41, 1, 1],
      ]),
    ),
    MALFORMED.FIXED_LENGTH,
  );
  assert.equal(walk(frame(1, [[12, 4, 4]])), MALFORMED.FIXED_LENGTH);
  assert.equal(walk(frame(1, [[31, 0, 0]])), MALFORMED.FIXED_LENGTH);
  assert.equal(walk(frame(1, [[21, 8, 8]])), MALFORMED.FIXED_LENGTH);
  assert.equal(walk(frame(2, [[16, 4, 4]])), MALFORMED.COUNT_HIGH);
  assert.equal(walk(frame(1, [], 4)), MALFORMED.COUNT_HIGH);
  assert.equal(walk(frame(255, [])), MALFORMED.COUNT_HIGH);
});
