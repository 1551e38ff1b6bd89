import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book, bothMs, senderMs, senderSysMs, statisticOf } from './book.ts';
import type { Cell } from './plan.ts';
import type { Sample } from './session.ts';

const CELL: Cell = { path: 'tcp', pin: 'one', messageBytes: 65_536, fanOut: 1 };

function sample(usrUs: number, sysUs: number, receiverUs = 1000, bytes = 1e9): Sample {
  return {
    sender: { bytes, usrUs, sysUs, seconds: 0.5 },
    receiver: { bytes, usrUs: 0, sysUs: receiverUs, seconds: 0.5 },
  };
}

test('median, least and greatest; nothing of no values', () => {
  assert.deepEqual(statisticOf([3, 1, 2]), { value: 2, spread: [1, 3] });
  assert.deepEqual(statisticOf([4, 1]), { value: 2.5, spread: [1, 4] });
  assert.equal(statisticOf([]), null);
});

test('figures are per GB', () => {
  const book = new Book();
  book.add(CELL, 'copy', 0, sample(10_000, 90_000, 50_000, 2e9));
  assert.equal(book.statistic(CELL, 'copy', senderMs)!.value, 50);
  assert.equal(book.statistic(CELL, 'copy', bothMs)!.value, 75);
  assert.equal(book.statistic(CELL, 'copy', (of) => of.gbPerSecond)!.value, 4);
});

test('a ratio is made within a round, and its median taken', () => {
  const book = new Book();
  // The second round was disturbed, for both.
  for (const [round, disturbed] of [1, 10, 1].entries()) {
    book.add(CELL, 'c-send', round, sample(0, 100 * disturbed));
    book.add(CELL, 'splice', round, sample(0, 50 * disturbed));
  }
  assert.deepEqual(book.ratios(CELL, 'splice', 'c-send', senderMs), [0.5, 0.5, 0.5]);
});

test('a round that one of both lacks makes no ratio', () => {
  const book = new Book();
  book.add(CELL, 'c-send', 0, sample(0, 100));
  book.add(CELL, 'c-send', 1, sample(0, 100));
  book.add(CELL, 'tee', 1, sample(0, 50));
  assert.deepEqual(book.ratios(CELL, 'tee', 'c-send', senderMs), [0.5]);
  assert.deepEqual(book.ratios(CELL, 'file', 'c-send', senderMs), []);
});

test('totals are exact, user and system are split as in all rounds together', () => {
  const book = new Book();
  book.add(CELL, 'copy', 0, sample(0, 100_000));
  book.add(CELL, 'copy', 1, sample(40_000, 60_000));
  const sys = book.statistic(CELL, 'copy', senderSysMs)!;
  assert.ok(Math.abs(sys.value - 80) < 1e-9);
  assert.ok(Math.abs(sys.spread[0] - sys.spread[1]) < 1e-9);
  assert.deepEqual(book.statistic(CELL, 'copy', senderMs)!.spread, [100, 100]);
});

test('the best is the one with the least median', () => {
  const book = new Book();
  book.add(CELL, 'copy', 0, sample(0, 90));
  book.add(CELL, 'splice', 0, sample(0, 60));
  assert.equal(book.bestOf(CELL, ['copy', 'splice', 'tee'], senderMs), 'splice');
  assert.equal(book.bestOf(CELL, ['tee'], senderMs), null);
});
