import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OS_PAGE_BYTES, PAGE_BYTES } from '../base/limits.ts';
import { GENERATION_WORD, PAGE_ENTRY_WORDS } from './layout.ts';
import { NO_PAGE, PagePool } from './page-pool.ts';

const OWNER = 7;
const BROKEN = { code: 'MR_ASSERT' };

function makePool(pageCount = 1): PagePool {
  return PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount });
}

/** Where pages stand: [free, filling, shared, inFlight, stale]. */
function states(pool: PagePool): number[] {
  const { free, filling, shared, inFlight, stale } = pool.stats();
  assert.equal(free + filling + shared + inFlight, pool.pageCount, 'each page stands once');
  assert.equal(free, pool.freeCount());
  return [free, filling, shared, inFlight, stale];
}

function setGeneration(pool: PagePool, page: number, generation: number): void {
  const table = new Int32Array(pool.handle.table);
  table[page * PAGE_ENTRY_WORDS + GENERATION_WORD] = generation;
}

test('the life of a page that is sent: state by state', () => {
  const pool = makePool();
  assert.deepEqual(states(pool), [1, 0, 0, 0, 0]);
  const page = pool.acquire(OWNER);
  assert.deepEqual(states(pool), [0, 1, 0, 0, 0]);
  assert.ok(pool.isFilling(page));
  pool.retain(page);
  pool.stopFilling(page);
  assert.ok(!pool.isFilling(page));
  assert.deepEqual(states(pool), [0, 0, 1, 0, 0]);
  pool.lend(page);
  pool.lend(page);
  assert.deepEqual(states(pool), [0, 0, 1, 0, 0]);
  pool.release(page);
  assert.deepEqual(states(pool), [0, 0, 0, 1, 0]);
  pool.giveBack(page);
  assert.deepEqual(states(pool), [0, 0, 0, 1, 0], 'lent twice');
  assert.equal(pool.acquire(OWNER), NO_PAGE, 'what is in flight is not filled');
  pool.giveBack(page);
  assert.deepEqual(states(pool), [1, 0, 0, 0, 0]);
});

test('the kernel may be done before the caller is', () => {
  const pool = makePool();
  const page = pool.acquire(OWNER);
  pool.lend(page);
  pool.giveBack(page);
  assert.deepEqual(states(pool), [0, 1, 0, 0, 0]);
  pool.stopFilling(page);
  assert.deepEqual(states(pool), [1, 0, 0, 0, 0]);
});

test('a stale page is stale until it is acquired, whoever still holds it', () => {
  const pool = makePool();
  const page = pool.acquire(OWNER);
  pool.retain(page);
  pool.lend(page);
  pool.markStale(page);
  assert.deepEqual(states(pool), [0, 1, 0, 0, 1]);
  pool.stopFilling(page);
  pool.giveBack(page);
  assert.deepEqual(states(pool), [0, 0, 1, 0, 1]);
  pool.release(page);
  assert.deepEqual(states(pool), [1, 0, 0, 0, 1]);
});

test('wrong transitions stop at once and change nothing', () => {
  const pool = makePool();
  const onFree = ['retain', 'release', 'lend', 'giveBack', 'markStale', 'stopFilling'] as const;
  for (const step of onFree) assert.throws(() => pool[step](0), BROKEN, `${step} of a free page`);
  assert.deepEqual(states(pool), [1, 0, 0, 0, 0]);
  pool.acquire(OWNER);
  assert.throws(() => pool.release(0), BROKEN, 'nobody reads it');
  assert.throws(() => pool.giveBack(0), BROKEN, 'it was not lent');
  pool.lend(0);
  pool.stopFilling(0);
  for (const step of ['retain', 'lend', 'release', 'stopFilling'] as const) {
    assert.throws(() => pool[step](0), BROKEN, `${step} of a page that nobody here holds`);
  }
  assert.deepEqual(states(pool), [0, 0, 0, 1, 0]);
  pool.giveBack(0);
  assert.throws(() => pool.giveBack(0), BROKEN, 'once per lend');
  assert.deepEqual(states(pool), [1, 0, 0, 0, 0]);
  for (const owner of [0, -1, 128]) assert.throws(() => pool.acquire(owner), BROKEN);
  for (const owner of [0, 128]) assert.throws(() => pool.abandon(owner), BROKEN);
  for (const owner of [-1, 128]) assert.throws(() => new PagePool(pool.handle, owner), BROKEN);
});

test('who did not lend does not give back', () => {
  const pool = makePool();
  const [one, two] = [new PagePool(pool.handle, 1), new PagePool(pool.handle, 2)];
  pool.acquire(OWNER);
  one.lend(0);
  assert.throws(() => two.giveBack(0), BROKEN);
  assert.throws(() => pool.giveBack(0), BROKEN);
  one.giveBack(0);
});

test('counts that are full stop at once and run into nothing', () => {
  const pool = makePool();
  pool.acquire(127);
  for (let count = 0; count < 1023; count++) pool.retain(0);
  assert.throws(() => pool.retain(0), BROKEN);
  for (let count = 0; count < 4095; count++) pool.lend(0);
  assert.throws(() => pool.lend(0), BROKEN);
  pool.markStale(0);
  assert.deepEqual(states(pool), [0, 1, 0, 0, 1]);
  for (let count = 0; count < 1023; count++) pool.release(0);
  assert.throws(() => pool.release(0), BROKEN);
  pool.stopFilling(0);
  assert.deepEqual(states(pool), [0, 0, 0, 1, 1]);
  for (let count = 0; count < 4095; count++) pool.giveBack(0);
  assert.throws(() => pool.giveBack(0), BROKEN);
  assert.deepEqual(states(pool), [1, 0, 0, 0, 1]);
});

for (const [name, start] of [
  ['2^31', 0x7fff_fffe],
  ['2^32', -2],
] as const) {
  test(`generations go on beyond ${name}`, () => {
    const pool = makePool();
    setGeneration(pool, 0, start);
    const seen: number[] = [];
    for (let life = 0; life < 4; life++) {
      const page = pool.acquire(OWNER);
      const generation = pool.generation(page);
      assert.ok(pool.isCurrent(page, generation));
      assert.ok(pool.isCurrent(page, generation >>> 0), 'as it stands in a header');
      for (const old of seen) assert.ok(!pool.isCurrent(page, old));
      seen.push(generation);
      pool.stopFilling(page);
    }
    assert.deepEqual(
      seen.map((one) => one >>> 0),
      [1, 2, 3, 4].map((more) => (start + more) >>> 0),
    );
  });
}

test('a stale reference is an error that names both lives', () => {
  const pool = makePool();
  pool.acquire(OWNER);
  const generation = pool.generation(0);
  pool.checkCurrent(0, generation);
  pool.stopFilling(0);
  assert.ok(!pool.isCurrent(0, generation), 'nobody holds it');
  assert.throws(() => pool.checkCurrent(0, generation), {
    code: 'MR_STALE_PAGE',
    message: 'a reference to generation 1 of page 0, which is free again',
  });
  pool.acquire(OWNER);
  assert.throws(() => pool.checkCurrent(0, generation), {
    code: 'MR_STALE_PAGE',
    message: 'a reference to generation 1 of page 0, which is now at 2',
  });
  assert.throws(() => pool.checkCurrent(0, 3), { code: 'MR_STALE_PAGE' });
});

test('an empty pool is an answer, and counted', () => {
  const pool = makePool(2);
  const other = new PagePool(pool.handle);
  assert.deepEqual([pool.acquire(1), other.acquire(2)], [0, 1]);
  assert.equal(pool.stats().exhaustedCount, 0);
  assert.deepEqual([pool.acquire(1), other.acquire(2), pool.acquire(1)], [-1, -1, -1]);
  assert.equal(other.stats().exhaustedCount, 3);
  other.stopFilling(1);
  assert.equal(pool.acquire(1), 1);
  assert.equal(pool.stats().exhaustedCount, 3);
});

test('a pool is the sum of who may hold a page', () => {
  const holders = { 'filled by the producer': 2, 'in flight, 3 connections': 3 * 8, spare: 0 };
  const pool = PagePool.create({ pageBytes: 8192, holders });
  assert.equal(pool.pageCount, 26);
  assert.equal(pool.bytes.length, 26 * 8192);
  assert.equal(pool.view.byteLength, 26 * 8192);
  assert.deepEqual(pool.stats().holders, holders);
  assert.deepEqual(new PagePool(pool.handle).stats(), pool.stats());
  assert.equal(PagePool.create({ pageCount: 26, holders }).pageBytes, PAGE_BYTES);
  for (const wrong of [
    { pageCount: 25, holders },
    { holders: { one: 1.5 } },
    { holders: { one: 2, other: -1 } },
    { holders: {} },
    { pageCount: 0 },
    {},
    { pageCount: 1, pageBytes: 5000 },
    { pageCount: 1, pageBytes: 0 },
  ]) {
    assert.throws(() => PagePool.create(wrong), BROKEN, JSON.stringify(wrong));
  }
});

test('what a dead thread had lent is stale and given back, once', () => {
  const pool = makePool(4);
  const [dead, alive] = [new PagePool(pool.handle, 1), new PagePool(pool.handle, 2)];
  for (const view of [dead, dead, alive, alive]) view.acquire();
  // 0: in flight of the dead only; 1: still filling too; 2: of both; 3: of the living only.
  for (const page of [0, 0, 1, 2]) dead.lend(page);
  for (const page of [2, 3]) alive.lend(page);
  dead.stopFilling(0);
  alive.stopFilling(2);
  alive.stopFilling(3);
  pool.abandon(1);
  assert.deepEqual(states(pool), [2, 0, 0, 2, 3]);
  pool.abandon(1);
  assert.deepEqual(states(pool), [2, 0, 0, 2, 3], 'a second time changes nothing');
  assert.throws(() => dead.giveBack(0), BROKEN);
  alive.giveBack(2);
  alive.giveBack(3);
  assert.deepEqual(states(pool), [4, 0, 0, 0, 3]);
});

test('a view with a number fills under that number only', () => {
  const { handle } = PagePool.create({ pageBytes: 4096, pageCount: 2 });
  const view = new PagePool(handle, 3);
  const page = view.acquire();
  assert.throws(() => view.acquire(4), { code: 'MR_ASSERT' });
  new PagePool(handle).abandon(3);
  assert.equal(view.isFilling(page), false, 'it was filled by 3');
});
