import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossoverOf } from './crossover.ts';

test('the crossover lies where the quotient passes 1 for good', () => {
  assert.equal(Math.round(crossoverOf([8, 32], [2, 0.5])), 16);
  assert.equal(Math.round(crossoverOf([8, 16, 32], [2, 1, 0.5])), 16);
  assert.equal(Math.round(crossoverOf([2, 8, 32, 128], [0.9, 1.5, 1 / 1.5, 0.5])), 16);
  assert.equal(crossoverOf([8, 32], [1, 0.5]), 0);
  assert.equal(crossoverOf([8, 32], [2, 1.1]), 32);
});
