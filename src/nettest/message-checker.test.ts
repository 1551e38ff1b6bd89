import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD_CRC, BAD_LENGTH, BAD_STAMP, GOOD, MessageChecker } from './message-checker.ts';
import { MessageMaker } from './message-maker.ts';
import type { Fill } from './options.ts';

const MESSAGE_BYTES = 8192;

interface Rig {
  readonly bytes: Uint8Array;
  readonly maker: MessageMaker;
  readonly checker: MessageChecker;
}

function rig(hasStamps = false, fill: Fill = 'always', hasCrc = true): Rig {
  const bytes = new Uint8Array(MESSAGE_BYTES);
  const options = { messageBytes: MESSAGE_BYTES, hasCrc, hasStamps };
  return {
    bytes,
    maker: new MessageMaker(bytes, { ...options, fill }),
    checker: new MessageChecker(bytes, options),
  };
}

test('messages that were made are good', () => {
  for (const hasStamps of [false, true]) {
    const { bytes, maker, checker } = rig(hasStamps);
    for (let sequence = 0; sequence < 5; sequence++) {
      const before = bytes.slice();
      maker.make(0, 3, sequence, sequence * 2);
      assert.notDeepEqual(bytes, before);
      assert.equal(checker.check(0), GOOD);
    }
    assert.deepEqual([checker.messageCount, checker.corruptCount], [5, 0]);
  }
});

test('the lines of the old programs for a wrong sum and a wrong length', () => {
  const { bytes, maker, checker } = rig();
  maker.make(0, 0, 0, 0);
  bytes[100]! ^= 1;
  assert.equal(checker.check(0), BAD_CRC);
  const [crcLine] = checker.describe(0, BAD_CRC);
  assert.match(crcLine!, /^crc error: got [0-9a-f]+, wanted [0-9a-f]+$/);
  bytes[0]! ^= 1;
  assert.equal(checker.check(0), BAD_LENGTH);
  assert.deepEqual(checker.describe(0, BAD_LENGTH), ['Bad packet length: wanted 8192, got 8193']);
  assert.deepEqual(checker.corruptBy, { length: 1, crc: 1, stamp: 0 });
});

test('a page of a later fill is named by its generation', () => {
  const { bytes, maker, checker } = rig(true);
  maker.make(0, 0, 0, 1);
  const sent = bytes.slice();
  maker.make(0, 0, 64, 2);
  bytes.set(sent.subarray(0, 4096));
  const verdict = checker.check(0);
  assert.equal(verdict, BAD_CRC);
  const lines = checker.describe(0, verdict);
  assert.match(
    lines[1]!,
    /^message 0, page 2 of 2: carries connection 0, message 64, generation 2;/,
  );
});

test('a whole message of another sequence is bad, although its sum is right', () => {
  const { maker, checker } = rig(true);
  maker.make(0, 7, 0, 1);
  assert.equal(checker.check(0), GOOD);
  maker.make(0, 7, 2, 2);
  assert.equal(checker.check(0), BAD_STAMP);
  assert.match(checker.describe(0, BAD_STAMP)[0]!, /carries connection 7, message 2, .*message 1$/);
});

test('messages that never change may repeat', () => {
  const { maker, checker } = rig(true, 'once');
  maker.make(0, 0, 4, 1);
  assert.equal(checker.check(0), GOOD);
  maker.make(0, 0, 5, 2);
  assert.equal(checker.check(0), GOOD);
  assert.equal(checker.corruptCount, 0);
});

test('without --crc only length and stamps count', () => {
  const plain = rig(false, 'none', false);
  plain.maker.make(0, 0, 0, 0);
  plain.bytes[5000] = 1;
  assert.equal(plain.checker.check(0), GOOD);
  const stamped = rig(true, 'always', false);
  stamped.maker.make(0, 0, 0, 0);
  stamped.bytes[5000]! ^= 1;
  assert.equal(stamped.checker.check(0), BAD_STAMP);
});

test('without stamps in the stream, --stamp says so', () => {
  const { bytes } = rig();
  const maker = new MessageMaker(bytes, {
    messageBytes: MESSAGE_BYTES,
    fill: 'always',
    hasCrc: true,
    hasStamps: false,
  });
  const checker = new MessageChecker(bytes, {
    messageBytes: MESSAGE_BYTES,
    hasCrc: true,
    hasStamps: true,
  });
  maker.make(0, 0, 0, 0);
  assert.equal(checker.check(0), BAD_STAMP);
  assert.match(checker.describe(0, BAD_STAMP)[0]!, /no stamp/);
});
