import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { mpmcClaimPop, mpmcClaimPush, mpmcPublish } from '../ring/mpmc-kernel.ts';
import { memberWord } from '../ring/mpmc-layout.ts';
import { FREE_LIST_PAGES, FreeList, NO_ENTRY } from './free-list.ts';
import { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';

/** Says whether its view is a member: whether what it frees comes to others. */
function tellMember(handle: PagePoolHandle): void {
  const list = new FreeList(handle.freeList, 1);
  parentPort!.postMessage(list.offer(7));
}

function makePool(pageCount: number): PagePool {
  return PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount });
}

/** Acquires all, frees those named in that order. */
function freeThese(pool: PagePool, owner: number, pages: readonly number[]): void {
  while (pool.acquire(owner) !== NO_PAGE);
  for (const page of pages) pool.stopFilling(page);
}

function acquireAll(pool: PagePool, owner: number): number[] {
  const found: number[] = [];
  for (let page = pool.acquire(owner); page !== NO_PAGE; page = pool.acquire(owner)) {
    found.push(page);
  }
  return found;
}

if (!isMainThread && workerData !== null) tellMember(workerData as PagePoolHandle);
else {
  test('what is offered is taken, in order; full and empty are answers', () => {
    const handle = FreeList.create();
    const first = new FreeList(handle, 1);
    const second = new FreeList(handle, 127);
    assert.equal(second.take(), NO_ENTRY);
    for (let page = 0; page < FREE_LIST_PAGES; page++) {
      assert.ok((page % 2 === 0 ? first : second).offer(page));
    }
    assert.ok(!first.offer(99));
    for (let page = 0; page < FREE_LIST_PAGES; page++) assert.equal(second.take(), page);
    assert.equal(first.take(), NO_ENTRY);
  });

  test('a view without a number is no member; views of one thread may share one', () => {
    const handle = FreeList.create();
    const nobody = new FreeList(handle, 0);
    assert.ok(!nobody.offer(1));
    const first = new FreeList(handle, 3);
    const again = new FreeList(handle, 3);
    assert.ok(first.offer(1) && again.offer(2));
    assert.equal(nobody.take(), NO_ENTRY);
    assert.deepEqual([again.take(), first.take()], [1, 2]);
  });

  test('a number that another thread has makes no member, until that is abandoned', async () => {
    const { handle } = makePool(4);
    for (const expected of [true, false]) {
      const worker = new Worker(new URL(import.meta.url), { workerData: handle });
      const [isMember] = (await once(worker, 'message')) as [boolean];
      assert.equal(isMember, expected);
      await worker.terminate();
    }
    const list = new FreeList(handle.freeList, 2);
    assert.ok(list.abandon(1));
    assert.equal(list.take(), 7, 'what the dead one had offered');
    assert.ok(new FreeList(handle.freeList, 1).offer(1));
  });

  test('the page that was freed first of the last ones comes first, then the lowest', () => {
    const pool = makePool(2 * FREE_LIST_PAGES);
    const last = Array.from({ length: FREE_LIST_PAGES }, (_, index) => 2 * index + 1).toReversed();
    freeThese(pool, 1, [...last, 6, 2]);
    assert.deepEqual(acquireAll(pool, 1), [...last, 2, 6]);
  });

  test('what a view without a number frees is found too', () => {
    const pool = makePool(4);
    const reader = new PagePool(pool.handle);
    const page = pool.acquire(1);
    pool.retain(page);
    pool.stopFilling(page);
    reader.release(page);
    assert.deepEqual(acquireAll(pool, 1), [0, 1, 2, 3]);
  });

  test('an entry whose page is taken costs a look; no page is given twice', () => {
    const pool = makePool(FREE_LIST_PAGES);
    const list = new FreeList(pool.handle.freeList, 9);
    freeThese(pool, 1, [5, 3]);
    // Entries of pages that are taken, and one that is there twice.
    for (const page of [0, 3, 1]) assert.ok(list.offer(page));
    assert.deepEqual(acquireAll(pool, 1), [5, 3]);
    assert.equal(list.take(), NO_ENTRY);
  });

  test('pages whose entries died with a thread are found by looking at all', () => {
    const pool = makePool(FREE_LIST_PAGES);
    const words = new Int32Array(pool.handle.freeList.memory.buffer);
    freeThese(pool, 1, [5, 3, 7]);
    new FreeList(pool.handle.freeList, 2);
    assert.equal(mpmcClaimPop(words, memberWord(1), 2), 2);
    assert.deepEqual(acquireAll(pool, 1), [7, 3, 5]);
    pool.abandon(2);
    freeThese(pool, 1, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(acquireAll(pool, 1), [0, 1, 2, 3, 4, 5, 6, 7], 'all places are free again');
  });

  test('a list that a dead thread blocks is gone round, and works when it is abandoned', () => {
    const pool = makePool(FREE_LIST_PAGES);
    const words = new Int32Array(pool.handle.freeList.memory.buffer);
    new FreeList(pool.handle.freeList, 2);
    assert.equal(mpmcClaimPush(words, memberWord(1), 1), 1);
    freeThese(pool, 1, [5, 3]);
    assert.deepEqual(acquireAll(pool, 1), [3, 5], 'by looking at all');
    for (const page of [5, 3]) pool.stopFilling(page);
    pool.abandon(2);
    assert.deepEqual(acquireAll(pool, 1), [5, 3], 'by the list');
  });

  test('a step that cannot be settled yet is settled with the next death', () => {
    const pool = makePool(FREE_LIST_PAGES);
    const words = new Int32Array(pool.handle.freeList.memory.buffer);
    for (const owner of [2, 3]) new FreeList(pool.handle.freeList, owner);
    assert.equal(mpmcClaimPush(words, memberWord(2), 1), 1);
    // Two that name one ticket, one of which runs.
    words.copyWithin(memberWord(1) + 2, memberWord(2) + 2, memberWord(2) + 5);
    pool.abandon(2);
    assert.ok(!new FreeList(pool.handle.freeList, 4).abandon(2), 'not yet');
    mpmcPublish(words, memberWord(2));
    pool.abandon(9);
    assert.ok(new FreeList(pool.handle.freeList, 4).abandon(2));
    freeThese(pool, 1, [5, 3]);
    assert.deepEqual(acquireAll(pool, 1), [5, 3]);
  });
}
