import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocksIn, listFor, merge, quantile } from './pinning-cell.ts';

test('the list keeps collector, journal and reader apart as far as there are CPUs', () => {
  const placesOf = (cpus: readonly number[]) => {
    const { collect, journal, store, main, helpers } = listFor(cpus);
    return [collect, journal, store, main, helpers];
  };
  assert.deepEqual(placesOf([5]), ['5', '5', '5', '5', '5']);
  assert.deepEqual(placesOf([0, 1]), ['1', '0', '0', '0', '0']);
  assert.deepEqual(placesOf([0, 1, 2]), ['2', '1', '0', '0', '0']);
  assert.deepEqual(placesOf([0, 1, 2, 3]), ['3', '2', '1', '0', '0']);
  assert.deepEqual(placesOf([2, 3, 6, 7, 8]), ['8', '7', '6', '2,3', '2,3']);
});

test('quantiles of a histogram, and of several together', () => {
  const one = [
    [10, 98],
    [20, 1],
    [500, 1],
  ] as const;
  assert.equal(blocksIn(one), 100);
  assert.equal(quantile(one, 0.5), 10);
  assert.equal(quantile(one, 0.99), 20);
  assert.equal(quantile(one, 1), 500);
  const both = merge([one, [[15, 100]]]);
  assert.deepEqual(both, [
    [10, 98],
    [15, 100],
    [20, 1],
    [500, 1],
  ]);
  assert.equal(quantile(both, 0.5), 15);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});
