import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doorbell } from './doorbell.ts';

test('the bell costs nothing while nobody sleeps, and work seen late is no sleep', () => {
  const bell = new Doorbell();
  const words = new Int32Array(bell.buffer);
  bell.ring();
  assert.equal(words[0], 0, 'no ring is noted without a sleeper');
  const beganMs = performance.now();
  bell.wait(60_000, () => true);
  assert.ok(performance.now() - beganMs < 30_000);
  // Rung between the look for work and the sleep: the sleep ends at once.
  bell.wait(60_000, () => {
    bell.ring();
    return false;
  });
  assert.ok(performance.now() - beganMs < 30_000);
  assert.equal(words[1], 0, 'awake again');
});
