import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { OS_PAGE_BYTES, PAGE_BYTES } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';

interface StressData {
  readonly handle: PagePoolHandle;
  readonly owner: number;
  readonly seed: number;
  readonly pageCountToTake: number;
}

interface Held {
  readonly page: number;
  readonly generation: number;
  readonly mark: number;
  readers: number;
  lends: number;
}

/** One step of a life, at random: another reader, another lend, or the end of one of them. */
function liveOn(pool: PagePool, held: Held, prng: Prng, canRenew: boolean): void {
  const { page } = held;
  pool.checkCurrent(page, held.generation);
  assert.equal(pool.view.getUint32(page * pool.pageBytes), held.mark, 'nobody else wrote here');
  if (held.readers > 0 && held.readers + held.lends < 5 && prng.chance(0.3)) {
    if (prng.chance(0.5)) {
      pool.retain(page);
      held.readers++;
    } else {
      pool.lend(page);
      held.lends++;
    }
  } else if (held.lends === 0 || (held.readers > 0 && prng.chance(0.5))) {
    pool.release(page);
    held.readers--;
  } else {
    if (canRenew && prng.chance(0.02)) pool.markStale(page);
    pool.giveBack(page);
    held.lends--;
  }
}

/**
 * Takes, marks and gives back pages; a page that another holds too would lose its mark. By pages
 * and not by tries: threads that the scheduler has set aside hold all pages for as long.
 */
function takeAndGive({ handle, owner, seed, pageCountToTake }: StressData): void {
  const pool = new PagePool(handle, owner);
  const prng = new Prng(seed);
  const canRenew = pool.report.renewal.state === 'granted';
  const all: Held[] = [];
  let taken = 0;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (taken < pageCountToTake) {
    if (all.length < 6 && prng.chance(0.4)) {
      const page = pool.acquire(owner);
      if (page === NO_PAGE) {
        if (all.length === 0) Atomics.wait(pause, 0, 0, 0.05);
        continue;
      }
      const mark = owner * 1e6 + taken;
      pool.view.setUint32(page * pool.pageBytes, mark);
      all.push({ page, generation: pool.generation(page), mark, readers: 1, lends: 0 });
      pool.retain(page);
      pool.stopFilling(page);
      taken++;
    } else if (all.length > 0) {
      const index = prng.below(all.length);
      const held = all[index]!;
      liveOn(pool, held, prng, canRenew);
      if (held.readers + held.lends === 0) all.splice(index, 1);
    }
  }
  for (const held of all) {
    for (; held.readers > 0; held.readers--) pool.release(held.page);
    for (; held.lends > 0; held.lends--) pool.giveBack(held.page);
  }
  parentPort!.postMessage(taken);
}

if (!isMainThread && workerData !== null) {
  takeAndGive(workerData as StressData);
} else {
  test('a page is lent once; an empty pool is an answer', () => {
    const pool = PagePool.create(3 * PAGE_BYTES + 5);
    assert.equal(pool.pageCount, 3);
    const other = new PagePool(pool.handle);
    assert.deepEqual(
      [pool.acquire(1), pool.acquire(1), other.acquire(2), other.acquire(2)],
      [0, 1, 2, NO_PAGE],
    );
    assert.equal(pool.freeCount(), 0);
    pool.stopFilling(1);
    assert.equal(pool.freeCount(), 1);
    assert.equal(other.acquire(2), 1, 'the page freed last is the warm one');
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
    const other = new PagePool(pool.handle);
    for (const view of [pool, other, pool, other, pool]) view.acquire(view === pool ? 1 : 2);
    pool.retain(0);
    pool.stopFilling(4);
    other.acquire(2);
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
    new PagePool(pool.handle).acquire(64);
    pool.abandon(1);
    assert.ok(pool.isFilling(0));
    pool.abandon(64);
    assert.equal(pool.freeCount(), 1);
  });

  test('four threads take, lend and give back: no page is ever with two of them', async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const pool = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount: 8 });
    const taken = await Promise.all(
      [1, 2, 3, 4].map((owner) => {
        const data = { handle: pool.handle, owner, seed: seed + owner, pageCountToTake: 10_000 };
        const worker = new Worker(new URL(import.meta.url), {
          workerData: data satisfies StressData,
        });
        return new Promise<number>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    assert.deepEqual(taken, [10_000, 10_000, 10_000, 10_000]);
    assert.equal(pool.freeCount(), pool.pageCount, 'every page comes back');
    const { renewedCount, exhaustedCount } = pool.stats();
    t.diagnostic(`${taken.join(' + ')} pages, ${renewedCount} renewed, ${exhaustedCount} refused`);
    assert.equal(renewedCount > 0, pool.report.renewal.state === 'granted');
    for (const owner of [1, 2, 3, 4]) pool.abandon(owner);
    assert.deepEqual(pool.stats().free, pool.pageCount, 'nothing is left to give up');
  });
}
