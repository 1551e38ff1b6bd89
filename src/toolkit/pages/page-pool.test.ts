import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { PAGE_BYTES } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';

interface StressData {
  readonly handle: PagePoolHandle;
  readonly owner: number;
  readonly seed: number;
  readonly rounds: number;
}

/** Takes, marks and gives back pages; a page that another holds too would lose its mark. */
function takeAndGive({ handle, owner, seed, rounds }: StressData): void {
  const pool = new PagePool(handle);
  const prng = new Prng(seed);
  const held: { page: number; generation: number }[] = [];
  let taken = 0;
  for (let round = 0; round < rounds; round++) {
    if (held.length < 6 && prng.chance(0.6)) {
      const page = pool.acquire(owner);
      if (page === NO_PAGE) continue;
      pool.view.setUint32(page * PAGE_BYTES, owner * 1e6 + taken);
      held.push({ page, generation: pool.generation(page) });
      pool.retain(page);
      pool.stopFilling(page);
      taken++;
    } else {
      const [one] = held.splice(prng.below(held.length), 1);
      if (one === undefined) continue;
      assert.equal(pool.generation(one.page), one.generation, 'nobody else has acquired it');
      assert.equal(Math.floor(pool.view.getUint32(one.page * PAGE_BYTES) / 1e6), owner);
      pool.release(one.page);
    }
  }
  for (const one of held) pool.release(one.page);
  parentPort!.postMessage(taken);
}

if (!isMainThread && workerData !== null) {
  takeAndGive(workerData as StressData);
} else {
  test('a page is lent once; an empty pool is an answer', () => {
    const pool = PagePool.create(3 * PAGE_BYTES + 5);
    assert.equal(pool.pageCount, 3);
    assert.deepEqual(
      [1, 1, 2, 2].map((owner) => pool.acquire(owner)),
      [0, 1, 2, NO_PAGE],
    );
    assert.equal(pool.freeCount(), 0);
    pool.stopFilling(1);
    assert.equal(pool.freeCount(), 1);
    assert.equal(pool.acquire(3), 1, 'the lowest free page is the warm one');
    assert.equal(pool.generation(1), 2, 'a stale slice is detected');
  });

  test('a page is free when nobody fills it and no slice of it is in use', () => {
    const pool = PagePool.create(PAGE_BYTES);
    const page = pool.acquire(1);
    pool.retain(page);
    pool.retain(page);
    pool.release(page);
    assert.ok(pool.isFilling(page));
    pool.stopFilling(page);
    assert.equal(pool.freeCount(), 0);
    pool.release(page);
    assert.equal(pool.freeCount(), 1);
    assert.throws(() => pool.release(page), { code: 'MR_ASSERT' });
  });

  test('only a filling page stops filling', () => {
    const pool = PagePool.create(PAGE_BYTES);
    assert.throws(() => pool.stopFilling(0), { code: 'MR_ASSERT' });
  });

  test('the pages of a dead thread are given up, its slices stay in use', () => {
    const pool = PagePool.create(6 * PAGE_BYTES);
    for (const owner of [1, 2, 1, 2, 1]) pool.acquire(owner);
    pool.retain(0);
    pool.stopFilling(4);
    pool.acquire(2);
    pool.abandon(1);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((page) => pool.isFilling(page)),
      [false, true, false, true, true, false],
    );
    assert.equal(pool.freeCount(), 2);
    pool.release(0);
    assert.equal(pool.freeCount(), 3);
    pool.abandon(1);
    assert.equal(pool.freeCount(), 3, 'a second time changes nothing');
  });

  test('a page that another has acquired since is not the dead thread’s', () => {
    const pool = PagePool.create(PAGE_BYTES);
    pool.stopFilling(pool.acquire(1));
    pool.acquire(64);
    pool.abandon(1);
    assert.ok(pool.isFilling(0));
    pool.abandon(64);
    assert.equal(pool.freeCount(), 1);
  });

  test('four threads take and give: no page is ever with two of them', async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const pool = PagePool.create(12 * PAGE_BYTES);
    const taken = await Promise.all(
      [1, 2, 3, 4].map((owner) => {
        const data: StressData = { handle: pool.handle, owner, seed: seed + owner, rounds: 60_000 };
        const worker = new Worker(new URL(import.meta.url), { workerData: data });
        return new Promise<number>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    assert.ok(
      taken.every((count) => count > 1_000),
      taken.join(' '),
    );
    assert.equal(pool.freeCount(), pool.pageCount, 'every page comes back');
  });
}
