import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePace } from './reader-pace.ts';

test('fast: always, by events', () => {
  const pace = makePace('fast', 0);
  assert.equal(pace.followsEvents, true);
  assert.equal(pace.allowedBytes(0, 0), Number.POSITIVE_INFINITY);
});

test('slow: 64 KiB every 10 ms', () => {
  const pace = makePace('slow', 0);
  const allowed = [100, 105, 109, 110, 111].map((ms) => pace.allowedBytes(ms, 1e6));
  assert.deepEqual(allowed, [65_536, 0, 0, 65_536, 0]);
});

test('paused: nothing while the queue grows and for 300 ms after', () => {
  const pace = makePace('paused', 0);
  assert.equal(pace.allowedBytes(0, 10), 0);
  assert.equal(pace.allowedBytes(299, 20), 0);
  assert.equal(pace.allowedBytes(500, 20), 0);
  assert.equal(pace.allowedBytes(598, 20), 0);
  assert.equal(pace.allowedBytes(599, 20), 8_000_000);
});

test('paused: takes 8 MB in parts, or all there is, then waits again', () => {
  const pace = makePace('paused', 0);
  pace.allowedBytes(0, 10);
  assert.equal(pace.allowedBytes(300, 10), 8_000_000);
  pace.took(1_000_000, false);
  assert.equal(pace.allowedBytes(301, 10), 7_000_000);
  pace.took(7_000_000, false);
  assert.equal(pace.allowedBytes(302, 5), 0, 'a new pause starts');
  assert.equal(pace.allowedBytes(601, 5), 0);
  assert.equal(pace.allowedBytes(602, 5), 8_000_000);
  pace.took(5, true);
  assert.equal(pace.allowedBytes(603, 0), 0);
});
