import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { FreeHints, NO_HINT } from './free-hints.ts';

function makeHints(pageCount: number): { hints: FreeHints; words: Int32Array } {
  const words = new Int32Array(new SharedArrayBuffer(Math.ceil(pageCount / 32) * 4));
  return { hints: new FreeHints(words), words };
}

function all(hints: FreeHints): number[] {
  const found: number[] = [];
  for (let page = hints.next(0); page !== NO_HINT; page = hints.next(page + 1)) found.push(page);
  return found;
}

test('a new pool: exactly its pages', () => {
  for (const pageCount of [1, 31, 32, 33, 63, 64, 65, 200]) {
    const { hints } = makeHints(pageCount);
    hints.fill(pageCount);
    assert.deepEqual(
      all(hints),
      Array.from({ length: pageCount }, (_, page) => page),
    );
  }
});

test('what is set is found in order, from any place', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (let round = 0; round < 200; round++) {
    const pageCount = 1 + prng.below(130);
    const { hints } = makeHints(pageCount);
    const expected = new Set<number>();
    for (let step = 0; step < 60; step++) {
      const page = prng.below(pageCount);
      if (prng.chance(0.6)) {
        hints.set(page);
        expected.add(page);
      } else {
        hints.clear(page);
        expected.delete(page);
      }
    }
    const sorted = [...expected].toSorted((a, b) => a - b);
    assert.deepEqual(all(hints), sorted);
    const from = prng.below(pageCount + 1);
    assert.equal(hints.next(from), sorted.find((page) => page >= from) ?? NO_HINT);
  }
});
