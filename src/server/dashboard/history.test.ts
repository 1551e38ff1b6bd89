import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSource } from '../../../test/support/fake-source.ts';
import { HISTORY_POINTS, History } from './history.ts';

test('history keeps the newest points in order and forgets the oldest', () => {
  const source = new FakeSource({ nowMs: 0 });
  const history = new History(5);
  for (let i = 1; i <= 8; i += 1) {
    source.set({ timeMs: i * 1000, recordsPerSecond: i, bytesPerSecond: 10 * i });
    assert.equal(history.add(source.snapshot()), true);
  }
  const { timeMs, recordsPerSecond, bytesPerSecond } = history.columns();
  assert.deepEqual(timeMs, [4000, 5000, 6000, 7000, 8000]);
  assert.deepEqual(recordsPerSecond, [4, 5, 6, 7, 8]);
  assert.deepEqual(bytesPerSecond, [40, 50, 60, 70, 80]);
  assert.deepEqual(history.columns(2).timeMs, [7000, 8000]);
});

test('a snapshot seen twice makes one point', () => {
  const source = new FakeSource();
  const history = new History(5);
  history.add(source.snapshot());
  assert.equal(history.add(source.snapshot()), false);
  assert.equal(history.count, 1);
});

test('the lag of a point is that of the slowest sink', () => {
  const source = new FakeSource();
  const [sink] = source.snapshot().sinks;
  source.set({
    sinks: [
      { ...sink!, lagMs: 20 },
      { ...sink!, lagMs: 70 },
      { ...sink!, lagMs: 5 },
    ],
  });
  const history = new History();
  history.add(source.snapshot());
  assert.deepEqual(history.columns().lagMs, [70]);
});

test('fifteen minutes are kept, one point a second, and an empty history is empty', () => {
  assert.equal(HISTORY_POINTS, 15 * 60);
  const history = new History();
  assert.deepEqual(history.columns().timeMs, []);
  const source = new FakeSource();
  for (let i = 0; i < HISTORY_POINTS + 100; i += 1) {
    source.advance();
    history.add(source.snapshot());
  }
  const { timeMs } = history.columns();
  assert.equal(timeMs.length, HISTORY_POINTS);
  assert.equal(timeMs.at(-1), source.snapshot().timeMs);
});
