import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { BAD_PREFIX, findAnchor, frameLength, WELL_FORMED, walkFields } from '../rdr/index.ts';
import { Prng } from '../toolkit/base/prng.ts';
import { GARBAGE_BYTES_MAX, GARBAGE_NAMES, writeGarbage } from './garbage.ts';
import { ITEM_BYTES_MAX, namedMix, RecordStream, SubscriberPool } from './index.ts';

test('no run of any kind holds an anchor, inside or across its end', () => {
  const seed = randomInt(2 ** 31);
  console.info(`# seed ${seed}`);
  const prng = new Prng(seed);
  const stream = new RecordStream({
    seed,
    mix: namedMix('all'),
    subscribers: new SubscriberPool(100_000),
  });
  const room = GARBAGE_BYTES_MAX + ITEM_BYTES_MAX;
  const bytes = new Uint8Array(room);
  const view = new DataView(bytes.buffer);
  let images = 0;
  for (let run = 0; run < 40_000; run++) {
    const kind = run % GARBAGE_NAMES.length;
    const length = writeGarbage(bytes, 0, kind, prng);
    assert.ok(length >= 1 && length <= GARBAGE_BYTES_MAX);
    const end = length + stream.fill(bytes, length, room, 1);
    assert.equal(frameLength(bytes, 0), BAD_PREFIX, `${GARBAGE_NAMES[kind]} is no frame`);
    assert.equal(findAnchor(bytes, view, 0, end), length, `${GARBAGE_NAMES[kind]}, run ${run}`);
    checkGuarantee(bytes, length);
    for (let at = 0; at < length; at++) {
      if (frameLength(bytes, at) < 0) continue;
      if (bytes[at + 15] !== 0xf0 || bytes[at + 16] !== 0xf0) continue;
      images++;
      const frame = frameLength(bytes, at);
      assert.ok(at + frame <= length, 'what looks like a record ends inside the run');
      assert.notEqual(walkFields(bytes, view, at, frame), WELL_FORMED);
    }
  }
  assert.ok(images > 1000, 'near anchors were tried');
});

test('a run is the same for the same random numbers', () => {
  for (let kind = 0; kind < GARBAGE_NAMES.length; kind++) {
    const a = new Uint8Array(GARBAGE_BYTES_MAX);
    const b = new Uint8Array(GARBAGE_BYTES_MAX);
    assert.equal(writeGarbage(a, 0, kind, new Prng(7)), writeGarbage(b, 0, kind, new Prng(7)));
    assert.deepEqual(a, b);
  }
});

/** What the head of garbage.ts promises, byte by byte: chance would hardly show a breach. */
function checkGuarantee(bytes: Uint8Array, length: number): void {
  for (let at = Math.max(5, length - 20); at < length; at++) {
    assert.ok(bytes[at]! < 0x30 || bytes[at]! > 0x39, 'no digit in the last 20 bytes');
  }
  let pairs = 0;
  for (let at = 0; at + 1 < length; at++) {
    if (bytes[at] === 0xf0 && bytes[at + 1] === 0xf0) pairs++;
  }
  assert.ok(pairs <= 1, 'F0 F0 stands once at most');
  assert.ok(bytes[length]! < 16, 'the next record starts with no digit');
}
