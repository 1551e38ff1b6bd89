import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnMeter } from './turn-meter.ts';

const TURN = 32_768;

/** Writes of one size, so many a turn; how many of `count` went by reference. */
function references(meter: TurnMeter, length: number, perTurn: number, count: number): number {
  let found = 0;
  let gathered = 0;
  let copied = 0;
  for (let index = 1; index <= count; index++) {
    if (gathered > 0 || meter.isWorthReference(length, copied)) {
      gathered += length;
      found += 1;
    } else {
      copied += length;
    }
    if (index % perTurn !== 0) continue;
    meter.endTurn(gathered, copied);
    gathered = 0;
    copied = 0;
  }
  return found;
}

test('a long write goes by reference at once, a short one is copied', () => {
  const meter = new TurnMeter(TURN);
  assert.ok(meter.isWorthReference(TURN, 0));
  assert.ok(!meter.isWorthReference(TURN - 1, 0));
  assert.ok(new TurnMeter(0).isGathering, 'where turns do not count, all is worth it');
});

test('turns that gather enough go by reference after the first', () => {
  assert.ok(references(new TurnMeter(TURN), 4096, 64, 6400) >= 6400 - 9);
  assert.equal(references(new TurnMeter(TURN), 4096, 8, 800), 800 - 8, 'just enough');
  assert.equal(references(new TurnMeter(TURN), 4096, Infinity, 1000), 1000 - 8);
});

test('turns that gather too little are copied', () => {
  assert.equal(references(new TurnMeter(TURN), 4096, 1, 1000), 0);
  assert.equal(references(new TurnMeter(TURN), 4096, 7, 1000), 0);
});

test('a caller that flushes only what is pending pays for few trials', () => {
  const meter = new TurnMeter(TURN);
  let found = 0;
  let copied = 0;
  for (let index = 0; index < 10_000; index++) {
    if (!meter.isWorthReference(4096, copied)) {
      copied += 4096;
      continue;
    }
    found += 1;
    meter.endTurn(4096, copied);
    copied = 0;
  }
  assert.ok(found > 3, 'it tries');
  assert.ok(found < 100, `${found} of 10,000 by reference`);
});

test('a change of manners is followed both ways', () => {
  const meter = new TurnMeter(TURN);
  assert.ok(references(meter, 4096, 64, 640) > 600);
  assert.ok(references(meter, 4096, 1, 1000) <= 1);
  assert.ok(references(meter, 4096, 640, 6400) > 6000);
});
