import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../toolkit/base/prng.ts';
import { Ranges } from './ranges.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

test('nothing seen has no gap', () => {
  const ranges = new Ranges();
  assert.deepEqual([ranges.first, ranges.end, ranges.gaps, ranges.missing], [-1, 0, 0, 0]);
});

test('numbers in any order, some twice, are as a set of them', () => {
  const prng = new Prng(SEED);
  for (let round = 0; round < 200; round++) {
    const ranges = new Ranges();
    const seen = new Set<number>();
    const reach = 1 + prng.below(60);
    for (let i = prng.below(80); i >= 0; i--) {
      const value = prng.below(reach);
      assert.equal(ranges.add(value), !seen.has(value), `seed ${SEED}, round ${round}`);
      seen.add(value);
    }
    const sorted = [...seen].sort((a, b) => a - b);
    const jumps = sorted.slice(1).filter((value, i) => value !== sorted[i]! + 1);
    const first = sorted[0]!;
    const end = sorted.at(-1)! + 1;
    assert.deepEqual(
      [ranges.first, ranges.end, ranges.gaps, ranges.missing],
      [first, end, jumps.length, end - first - seen.size],
      `seed ${SEED}, round ${round}`,
    );
  }
});
