import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../toolkit/base/prng.ts';
import { SUBSCRIBERS_MAX, SubscriberPool, subscriberIp } from './subscriber-pool.ts';

test('ranks stay in range and every one of a small pool is drawn', () => {
  for (const count of [1, 2, 3, 7, 8, 100]) {
    const pool = new SubscriberPool(count);
    const prng = new Prng(5);
    const seen = new Set<number>();
    for (let i = 0; i < 20_000; i++) seen.add(pool.draw(prng));
    assert.equal(seen.size, count);
    assert.equal(Math.min(...seen), 0);
    assert.equal(Math.max(...seen), count - 1);
  }
});

test('low ranks are drawn more often, but not overwhelmingly', () => {
  const pool = new SubscriberPool(10_000);
  const prng = new Prng(5);
  const counts = new Float64Array(10_000);
  for (let i = 0; i < 1_000_000; i++) {
    const rank = pool.draw(prng);
    counts[rank] = counts[rank]! + 1;
  }
  assert.ok(counts[0]! > 10_000 && counts[0]! < 40_000, String(counts[0]));
  const tenth = counts.subarray(0, 1000).reduce((sum, count) => sum + count, 0);
  assert.ok(tenth > 400_000 && tenth < 800_000, String(tenth));
});

test('the largest pool works, and addresses are unique', () => {
  const pool = new SubscriberPool(SUBSCRIBERS_MAX);
  const prng = new Prng(6);
  for (let i = 0; i < 100_000; i++) assert.ok(pool.draw(prng) < SUBSCRIBERS_MAX);
  const addresses = new Set<number>();
  for (let rank = 0; rank < 200_000; rank++) addresses.add(subscriberIp(rank));
  assert.equal(addresses.size, 200_000);
  for (const address of addresses) assert.equal(address >>> 24, 10);
});

test('a pool that cannot be is refused', () => {
  for (const count of [0, -1, 1.5, SUBSCRIBERS_MAX + 1, Number.NaN]) {
    assert.throws(() => new SubscriberPool(count), /subscribers/);
  }
});
