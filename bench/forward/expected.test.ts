import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';
import { alternate } from './alternating.ts';
import { ExpectedOutput, findMissing } from './expected.ts';
import { findWrong } from './flow.ts';

const RECORDS = 10;

function stream(): { bytes: Uint8Array; lengths: number[] } {
  const buffer = new Uint8Array(1 << 16);
  const made = new RecordStream({
    seed: 7,
    mix: namedMix('tur'),
    subscribers: new SubscriberPool(100),
  });
  const bytes = buffer.subarray(0, made.fill(buffer, 0, buffer.length, RECORDS));
  alternate(bytes);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; at += lengths.at(-1)!) {
    const digits = Buffer.from(bytes.subarray(at + 1, at + 5)).toString('latin1');
    lengths.push(5 + Number(digits));
  }
  return { bytes, lengths };
}

test('a file is sent from its start over and over: what goes out of any number of records', () => {
  const { bytes, lengths } = stream();
  assert.equal(lengths.length, RECORDS);
  for (const step of [1, 2] as const) {
    const expected = new ExpectedOutput(bytes, step);
    let records = 0;
    let sum = 0;
    for (let sent = 0; sent <= 3 * RECORDS; sent++) {
      assert.deepEqual(expected.of(sent), { records, bytes: sum }, `${sent} by ${step}`);
      if ((sent % RECORDS) % step !== 0) continue;
      records++;
      sum += lengths[sent % RECORDS]!;
    }
  }
});

test('a byte that is missing, or too many, at one of the connections is found', () => {
  const output = { records: 1, bytes: 100 };
  const before = [7, 50];
  assert.deepEqual(findMissing(before, [7, 150, 100], output, 2), []);
  assert.match(findMissing(before, [7, 149, 100], output, 2).join(), /got 99 bytes, expected 100/);
  assert.match(findMissing(before, [7, 151, 100], output, 2).join(), /got 101/);
  assert.match(findMissing(before, [8, 150, 100], output, 2).join(), /got 1 bytes.*3 destinations/);
  assert.match(findMissing(before, [7, 150], output, 2).join(), /1 destinations .*, expected 2/);
});

test('what a relay or a server says of itself has to be what it was to send', () => {
  const sent = { records: 10, bytes: 1000 };
  const output = { records: 5, bytes: 490 };
  const right = { bytes: 1000, sentBytes: 980, records: 10, chosen: 5 };
  assert.deepEqual(findWrong(right, sent, output, 2), []);
  assert.equal(findWrong({ ...right, bytes: 999 }, sent, output, 2).length, 1);
  assert.equal(findWrong({ ...right, sentBytes: 979 }, sent, output, 2).length, 1);
  assert.equal(findWrong({ ...right, records: 9 }, sent, output, 2).length, 1);
  assert.equal(findWrong({ ...right, chosen: 6 }, sent, output, 2).length, 1);
  const uncounted = { ...right, records: null, chosen: null };
  assert.deepEqual(findWrong(uncounted, sent, output, 2), []);
});
