import assert from 'node:assert/strict';
import { test } from 'node:test';
import { medianInterval } from './idle.ts';

test('the interval of a median narrows with what was measured', () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  assert.deepEqual(medianInterval([7]), [7, 7]);
  assert.deepEqual(medianInterval([3, 1, 2]), [1, 3]);
  // Of 40 values the 14th and the 27th, by the binomial distribution.
  assert.deepEqual(medianInterval(upTo(40)), [13, 27]);
  const [low, high] = medianInterval(upTo(400));
  assert.ok(high - low < 45 && low < 200 && high > 199);
});
