import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as must } from './assert.ts';
import { monotonicMs, wallMs, wallUs } from './clock.ts';
import { describeError, ERRORS, MillraceError } from './errors.ts';
import { PAGE_BYTES, POSITION_MAX } from './limits.ts';
import { Prng } from './prng.ts';

/** Computed by another program from the published algorithm (xoshiro128**, splitmix32). */
const GOLDEN = {
  0: [1789933344, 44971166, 2521392804, 3836935353],
  1: [393288148, 2174103013, 3814759091, 2092745082],
  42: [660444221, 3652823732, 77678286, 922035873],
  4294967295: [4104197751, 1825856343, 1152209388, 2427537429],
};

test('a seed gives the same numbers on every machine, today and later', () => {
  for (const [seed, numbers] of Object.entries(GOLDEN)) {
    const prng = new Prng(Number(seed));
    assert.deepEqual(
      numbers.map(() => prng.nextU32()),
      numbers,
    );
  }
});

test('numbers stay in their bounds and reach all of them', () => {
  const prng = new Prng(7);
  const seen = new Set<number>();
  for (let i = 0; i < 2_000; i++) {
    const value = prng.below(10);
    assert.ok(Number.isInteger(value) && value >= 0 && value < 10);
    seen.add(value);
    const unit = prng.unit();
    assert.ok(unit >= 0 && unit < 1);
  }
  assert.equal(seen.size, 10);
  assert.equal(prng.below(1), 0);
  assert.ok(prng.below(2 ** 32) < 2 ** 32);
  assert.equal(prng.chance(0), false);
  assert.equal(prng.chance(1), true);
});

test('near seeds give streams of their own', () => {
  const first = Array.from({ length: 1_000 }, (_, seed) => new Prng(seed).nextU32());
  assert.equal(new Set(first).size, 1_000);
});

test('an error carries its code, its exit code, what was found and what to do', () => {
  const error = new MillraceError('MR_USAGE', 'found this', 'do that');
  assert.deepEqual([error.code, error.exitCode, error.message], ['MR_USAGE', 2, 'found this']);
  assert.equal(describeError(error), 'millrace: MR_USAGE: found this\n  do that');
  assert.equal(describeError(new MillraceError('MR_SQL', 'x')), 'millrace: MR_SQL: x');
  assert.match(describeError(new TypeError('odd')), /^millrace: TypeError: odd\n +at /);
  assert.equal(describeError('text'), 'millrace: text');
  assert.ok(Object.values(ERRORS).every(({ exit }) => exit === 1 || exit === 2));
});

test('an assertion that does not hold names itself', () => {
  must(true, 'fine');
  assert.throws(() => must(false, 'pages are whole'), {
    code: 'MR_ASSERT',
    message: 'pages are whole',
  });
});

test('clocks agree, and the monotonic one does not go back', () => {
  assert.ok(Math.abs(wallUs() / 1000 - wallMs()) < 10_000);
  const before = monotonicMs();
  assert.ok(monotonicMs() >= before);
});

test('positions are exact numbers', () => {
  assert.ok(Number.isSafeInteger(POSITION_MAX));
  assert.equal(PAGE_BYTES % 65_536, 0, 'a page is whole pages of WebAssembly memory');
});
