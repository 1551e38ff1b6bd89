import assert from 'node:assert/strict';
import { test } from 'node:test';
import { record, text, VECTOR } from '../../test/support/records.ts';
import { Prng } from '../toolkit/base/prng.ts';
import { RawFramer } from './raw-framer.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

interface Framed {
  readonly records: Buffer;
  readonly framer: RawFramer;
}

function frame(pieces: Iterable<Uint8Array>): Framed {
  const runs: Buffer[] = [];
  const framer = new RawFramer((bytes, _, offset, length) => {
    runs.push(Buffer.from(bytes.slice(offset, offset + length)));
  });
  for (const piece of pieces) framer.push(piece);
  framer.finish();
  return { records: Buffer.concat(runs), framer };
}

const unknownTag = record(0x12345678, [text('x')]);

test('whole records come out as they went in, cut at every byte', () => {
  const stream = Buffer.concat([VECTOR, unknownTag, VECTOR]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const { records, framer } = frame([stream.subarray(0, cut), stream.subarray(cut)]);
    assert.deepEqual(records, stream);
    assert.equal(framer.resyncBytes + framer.truncatedBytes, 0);
  }
});

test('a half record at the end is truncated, garbage is passed over', () => {
  const half = frame([VECTOR, VECTOR.subarray(0, 100)]);
  assert.deepEqual(half.records, VECTOR);
  assert.equal(half.framer.truncatedBytes, 100);
  const garbage = Buffer.from('this is not a record, is it? 0123 0123456789');
  const { records, framer } = frame([VECTOR, garbage, VECTOR, garbage]);
  assert.deepEqual(records, Buffer.concat([VECTOR, VECTOR]));
  assert.equal(framer.resyncBytes + framer.truncatedBytes, 2 * garbage.length);
  assert.equal(framer.resyncRuns, 2);
});

test('an unknown tag is taken in sync, not as a place to resync', () => {
  const bad = Buffer.alloc(30, 0xff);
  const { records, framer } = frame([unknownTag, bad, unknownTag, VECTOR]);
  assert.deepEqual(records, Buffer.concat([unknownTag, VECTOR]));
  assert.equal(framer.resyncBytes, bad.length + unknownTag.length);
});

test(`any cut gives the same records and counts; bytes add up (seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  for (let round = 0; round < 200; round++) {
    const parts = Array.from({ length: 1 + prng.below(12) }, () => {
      if (prng.chance(0.7)) return prng.chance(0.5) ? VECTOR : unknownTag;
      return Buffer.from(Array.from({ length: prng.below(80) }, () => prng.below(256)));
    });
    const stream = Buffer.concat(parts);
    const whole = frame([stream]);
    const pieces: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const length = 1 + prng.below(40);
      pieces.push(stream.subarray(at, at + length));
      at += length;
    }
    const cut = frame(pieces);
    const where = `seed ${SEED}, round ${round}`;
    assert.deepEqual(cut.records, whole.records, where);
    assert.equal(cut.framer.resyncBytes, whole.framer.resyncBytes, where);
    assert.equal(cut.framer.resyncRuns, whole.framer.resyncRuns, where);
    const { resyncBytes, truncatedBytes } = whole.framer;
    assert.equal(whole.records.length + resyncBytes + truncatedBytes, stream.length, where);
  }
});

test('a piece larger than the buffer', () => {
  const stream = Buffer.concat(Array.from({ length: 5000 }, () => VECTOR));
  const { records } = frame([stream.subarray(0, 100), stream.subarray(100)]);
  assert.equal(records.length, stream.length);
  assert.ok(records.equals(stream));
});
