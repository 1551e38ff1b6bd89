import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { PagePool } from './page-pool.ts';

const BROKEN = { code: 'MR_ASSERT' };

/** Views of one pool, as threads have them. */
function makeViews(count: number, pageCount = 1): readonly PagePool[] {
  const { handle } = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount });
  return Array.from({ length: count }, () => new PagePool(handle));
}

test('the first acquire gives a view its number: what it lends ends with that number', () => {
  const [worker, supervisor] = makeViews(2) as [PagePool, PagePool];
  assert.equal(worker.owner, 0);
  const page = worker.acquire(3);
  assert.equal(worker.owner, 3);
  worker.retain(page);
  worker.stopFilling(page);
  worker.lend(page);
  supervisor.release(page);
  assert.equal(supervisor.stats().inFlight, 1);
  supervisor.abandon(3);
  const { free, inFlight, stale } = supervisor.stats();
  assert.deepEqual([free, inFlight, stale], [1, 0, 1]);
});

test('a view has one number; one that is refused gives it none', () => {
  const [view] = makeViews(1, 2) as [PagePool];
  for (const owner of [0, -1, 128]) assert.throws(() => view.acquire(owner), BROKEN);
  assert.throws(() => view.acquire(), BROKEN, 'it has none yet');
  assert.equal(view.acquire(4), 0);
  assert.throws(() => view.acquire(5), BROKEN);
  assert.equal(view.acquire(), 1, 'its own');
});

test('a view that has lent without a number gets none: its lends would be under two', () => {
  const [filler, lender] = makeViews(2, 2) as [PagePool, PagePool];
  const page = filler.acquire(1);
  lender.lend(page);
  assert.throws(() => lender.acquire(2), BROKEN);
  lender.giveBack(page);
  assert.equal(lender.owner, 0);
});

test('a page that another fills by now does not stop filling', () => {
  const [first, second] = makeViews(2) as [PagePool, PagePool];
  const page = first.acquire(1);
  first.stopFilling(page);
  assert.equal(second.acquire(2), page);
  assert.throws(() => first.stopFilling(page), BROKEN);
  assert.ok(second.isFilling(page));
  second.stopFilling(page);
  assert.equal(second.freeCount(), 1);
});

test('a view that acquired nothing ends nobody’s filling, nor that of a free page', () => {
  const [filler, other] = makeViews(2) as [PagePool, PagePool];
  assert.throws(() => other.stopFilling(0), BROKEN);
  filler.acquire(1);
  assert.throws(() => other.stopFilling(0), BROKEN);
  assert.ok(filler.isFilling(0));
});
