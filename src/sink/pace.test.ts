import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace, parseRate } from './pace.ts';

test('a rate is records, or bytes with a unit', () => {
  assert.deepEqual(parseRate('500'), { unit: 'records', perSecond: 500 });
  assert.deepEqual(parseRate('1e3'), { unit: 'records', perSecond: 1000 });
  assert.deepEqual(parseRate('64kB'), { unit: 'bytes', perSecond: 64_000 });
  assert.deepEqual(parseRate('1.5MB'), { unit: 'bytes', perSecond: 1_500_000 });
  for (const text of ['', 'fast', '-1', '5 kB', '1TB', 'kB']) assert.equal(parseRate(text), null);
});

test('what is read is paid by waiting, and time that passed is not saved up', () => {
  const pace = new Pace({ unit: 'bytes', perSecond: 1000 });
  assert.equal(pace.spend(1, 500, 0), 500);
  assert.equal(pace.spend(1, 500, 100), 900);
  assert.equal(pace.spend(1, 500, 60_000), 500);
  assert.equal(new Pace({ unit: 'records', perSecond: 10 }).spend(5, 1, 0), 500);
});

test('a rate of 0 never reads', () => {
  assert.equal(new Pace({ unit: 'records', perSecond: 0 }).isStopped, true);
});
