import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../toolkit/base/prng.ts';
import { findAnchor } from './anchor.ts';
import { makeFrameHeader, RecordEncoder } from './encoder.ts';
import { WELL_FORMED, walkFields } from './field.ts';
import { frameLength } from './frame.ts';

const seed = (Math.random() * 2 ** 32) >>> 0;

/** The rules of the page, one after the other, at every offset: slow and plain. */
function naive(bytes: Uint8Array, start: number): number {
  const view = new DataView(bytes.buffer);
  for (let at = start; at + 20 <= bytes.length; at++) {
    const length = frameLength(bytes, at);
    if (length < 0 || at + length > bytes.length) continue;
    if (bytes[at + 15] !== 0xf0 || bytes[at + 16] !== 0xf0 || bytes[at + 17]! >> 4 !== 0xf)
      continue;
    if (walkFields(bytes, view, at, length) === WELL_FORMED) return at;
  }
  return -1;
}

/** Feeds the bytes piece by piece, as a connection does, and gives the first anchor, or -1. */
function inPieces(bytes: Uint8Array, cuts: readonly number[]): number {
  const view = new DataView(bytes.buffer);
  let from = 0;
  for (const end of [...cuts, bytes.length]) {
    const found = findAnchor(bytes, view, from, end);
    if (found >= 0) return found;
    assert.ok(~found >= from && ~found <= end);
    from = ~found;
  }
  for (; from < bytes.length; from++) {
    const found = findAnchor(bytes, view, from, bytes.length);
    if (found >= 0) return found;
    from = ~found;
  }
  return -1;
}

/** Garbage that is full of digits and F0, so that many places nearly are anchors. */
function garbage(random: Prng, length: number): number[] {
  const palette = [0x30, 0x31, 0x32, 0x39, 0xf0, 0xf0, 0xf0, 0xf4, 0x00, 0x0b, 0x10, 0x29];
  return Array.from({ length }, () =>
    random.chance(0.9) ? palette[random.below(palette.length)]! : random.below(256),
  );
}

function record(random: Prng): Uint8Array {
  const target = new Uint8Array(400);
  const encoder = new RecordEncoder(target);
  encoder.begin(makeFrameHeader(random.chance(0.8) ? 0xf0f0f438 : 0x12345678));
  for (let i = random.below(6); i > 0; i--) {
    if (random.chance(0.5)) encoder.uint32(random.nextU32());
    else encoder.string('0123456789'.slice(random.below(10)));
  }
  return target.subarray(0, encoder.end());
}

test('an anchor is found where the naive search finds it, however the bytes are cut', (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = new Prng(seed);
  let found = 0;
  for (let round = 0; round < 3000; round++) {
    const parts = [...garbage(random, random.below(60))];
    if (random.chance(0.7)) parts.push(...record(random));
    if (random.chance(0.3)) parts.push(...garbage(random, random.below(40)));
    const bytes = Uint8Array.from(parts);
    const wanted = naive(bytes, 0);
    if (wanted >= 0) found++;
    const cuts = Array.from({ length: random.below(6) }, () => random.below(bytes.length + 1));
    cuts.sort((a, b) => a - b);
    assert.equal(inPieces(bytes, cuts), wanted, `round ${round} of seed ${seed}`);
    const everywhere = Array.from(bytes, (_, i) => i);
    assert.equal(inPieces(bytes, everywhere), wanted, `round ${round} of seed ${seed}, bytewise`);
  }
  assert.ok(found > 500, 'the test met anchors');
});

test('digits alone, an unknown tag, and fields that do not fill are no anchors', () => {
  const target = new Uint8Array(64);
  const encoder = new RecordEncoder(target);
  const header = makeFrameHeader(0x12345678);
  encoder.begin(header);
  encoder.uint8(1);
  const total = encoder.end();
  const view = new DataView(target.buffer);
  assert.ok(findAnchor(target, view, 0, total) < 0);
  encoder.begin({ ...header, tag: 0xf0f0f438 }, 0);
  encoder.uint8(1);
  encoder.end();
  assert.equal(findAnchor(target, view, 0, total), 0);
  target[24] = 2;
  assert.ok(findAnchor(target, view, 0, total) < 0);
});

test('a tail that may still become an anchor is kept, and no more than that', () => {
  const bytes = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 0x30, 0x30]);
  const view = new DataView(bytes.buffer);
  assert.equal(findAnchor(bytes, view, 0, bytes.length), ~6);
  assert.equal(findAnchor(bytes, view, 0, 6), ~5);
  assert.equal(findAnchor(bytes, view, 3, 3), ~3);
});
