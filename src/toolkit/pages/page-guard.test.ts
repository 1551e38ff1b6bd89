import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { addonSkipReason } from '../sys/load.ts';
import { NO_PAGE, type PageGuard, PagePool } from './index.ts';

const OWNER = 1;
const OS_PAGES = 4;
const PAGE_BYTES = OS_PAGES * OS_PAGE_BYTES;

/** Keeps what is protected as text, an OS page a letter: `.` open, `#` protected. */
class PaperGuard implements PageGuard {
  readonly #pages = new Map<number, string[]>();
  readonly generations: number[] = [];
  isRefusing = false;

  protect(page: number, offset: number, bytes: number, generation: number): void {
    this.#mark(page, offset, bytes, '#');
    this.generations.push(generation);
  }

  unprotect(page: number, offset: number, bytes: number): boolean {
    if (!this.isRefusing) this.#mark(page, offset, bytes, '.');
    return !this.isRefusing;
  }

  look(page: number): string {
    return (this.#pages.get(page) ?? []).join('');
  }

  #mark(page: number, offset: number, bytes: number, letter: string): void {
    assert.equal(offset % OS_PAGE_BYTES, 0);
    assert.equal(bytes % OS_PAGE_BYTES, 0);
    const letters = this.#pages.get(page) ?? new Array<string>(OS_PAGES).fill('?');
    letters.fill(letter, offset / OS_PAGE_BYTES, (offset + bytes) / OS_PAGE_BYTES);
    this.#pages.set(page, letters);
  }
}

function guarded(pageCount = 1): { pool: PagePool; guard: PaperGuard } {
  const pool = PagePool.create({ pageBytes: PAGE_BYTES, pageCount });
  const guard = new PaperGuard();
  pool.guardWith(guard);
  return { pool, guard };
}

test('an acquired page is open, a published slice is not, until the page is acquired again', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  assert.equal(guard.look(page), '....');
  pool.retain(page);
  assert.equal(pool.protect(page, 0, 2 * OS_PAGE_BYTES), 2 * OS_PAGE_BYTES);
  assert.equal(guard.look(page), '##..');
  assert.deepEqual(guard.generations, [pool.generation(page)]);
  pool.stopFilling(page);
  pool.release(page);
  assert.equal(guard.look(page), '##..', 'free, and nobody may write into it');
  assert.equal(pool.acquire(), page);
  assert.equal(guard.look(page), '....');
});

test('while a page is filled, only OS pages that are whole are protected', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  assert.equal(pool.protect(page, 10, OS_PAGE_BYTES), 0, 'parts of two OS pages');
  assert.equal(pool.protect(page, 10, 3 * OS_PAGE_BYTES), 2 * OS_PAGE_BYTES);
  assert.equal(guard.look(page), '.##.');
  pool.retain(page);
  pool.stopFilling(page);
  assert.equal(pool.protect(page, 10, 1), OS_PAGE_BYTES);
  assert.equal(guard.look(page), '###.', 'nobody fills the rest of it any more');
  assert.equal(pool.protect(page, PAGE_BYTES - 1, 1), OS_PAGE_BYTES);
  assert.equal(guard.look(page), '####');
});

test('who completes a slice opens it and closes it again', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  pool.retain(page);
  pool.protect(page, 0, PAGE_BYTES);
  pool.unprotect(page, OS_PAGE_BYTES, OS_PAGE_BYTES);
  assert.equal(guard.look(page), '#.##');
  pool.protect(page, OS_PAGE_BYTES, OS_PAGE_BYTES);
  assert.equal(guard.look(page), '####');
});

test('a page that is lent and filled on is open when the last lend is given back', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  pool.lend(page);
  pool.lend(page);
  pool.protect(page, 0, PAGE_BYTES);
  pool.giveBack(page);
  assert.equal(guard.look(page), '####', 'still in flight');
  pool.giveBack(page);
  assert.equal(guard.look(page), '....');
  pool.retain(page);
  pool.lend(page);
  pool.protect(page, 0, PAGE_BYTES);
  pool.giveBack(page);
  assert.equal(guard.look(page), '####', 'others read a slice of it');
});

test('a page that is lent and filled no more stays protected', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  pool.lend(page);
  pool.stopFilling(page);
  pool.protect(page, 0, 1);
  pool.giveBack(page);
  assert.equal(guard.look(page).at(0), '#');
  assert.equal(pool.freeCount(), 1);
});

test('memory is renewed after it was opened', { skip: addonSkipReason() }, () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  pool.bytes[page * PAGE_BYTES] = 7;
  pool.lend(page);
  pool.protect(page, 0, PAGE_BYTES);
  pool.stopFilling(page);
  pool.markStale(page);
  pool.giveBack(page);
  const seen: number[] = [];
  const looking: PageGuard = {
    protect: () => {},
    unprotect: (...range) => {
      seen.push(pool.bytes[page * PAGE_BYTES]!);
      return guard.unprotect(...range);
    },
  };
  pool.guardWith(looking);
  assert.equal(pool.acquire(), page);
  assert.deepEqual(seen, [7], 'opened before its memory was replaced');
  assert.equal(pool.bytes[page * PAGE_BYTES], 0);
});

test('a page that cannot be opened is not acquired, and is free again', () => {
  const { pool, guard } = guarded(2);
  const [first, second] = [pool.acquire(OWNER), pool.acquire(OWNER)];
  pool.stopFilling(first);
  pool.stopFilling(second);
  guard.isRefusing = true;
  const generation = pool.generation(first);
  assert.equal(pool.acquire(), NO_PAGE);
  assert.equal(pool.freeCount(), 2);
  assert.equal(pool.generation(first), generation);
  guard.isRefusing = false;
  assert.notEqual(pool.acquire(), NO_PAGE);
  assert.notEqual(pool.acquire(), NO_PAGE);
});

test('a collector that is given up leaves its page to the next, who opens it', () => {
  const { pool, guard } = guarded();
  const page = pool.acquire(OWNER);
  pool.retain(page);
  pool.protect(page, 0, OS_PAGE_BYTES);
  new PagePool(pool.handle).abandon(OWNER);
  pool.release(page);
  assert.equal(guard.look(page), '#...');
  const next = new PagePool(pool.handle, OWNER + 1);
  next.guardWith(guard);
  assert.equal(next.acquire(), page);
  assert.equal(guard.look(page), '....');
});

test('huge pages and a guard exclude each other', { skip: addonSkipReason() }, (t) => {
  const pool = PagePool.create({ pageBytes: PAGE_BYTES, pageCount: 1, huge: true });
  if (pool.report.huge.state !== 'granted') return t.skip(pool.report.huge.reason);
  assert.throws(() => pool.guardWith(new PaperGuard()), { code: 'MR_ARENA', message: /2 MiB/ });
});

test('without a guard nothing is protected', () => {
  const pool = PagePool.create({ pageBytes: PAGE_BYTES, pageCount: 1 });
  const page = pool.acquire(OWNER);
  assert.equal(pool.protect(page, 0, PAGE_BYTES), 0);
  pool.unprotect(page, 0, PAGE_BYTES);
  pool.bytes[page * PAGE_BYTES] = 1;
  pool.stopFilling(page);
});
