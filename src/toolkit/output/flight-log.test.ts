import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { NO_PAGE, PagePool } from '../pages/index.ts';
import { FlightLog } from './flight-log.ts';
import { type PageSource, pageSources } from './output-source.ts';

/** A pool whose pages are all held by one reader, and their sources. */
function heldPages(pageCount: number): { pool: PagePool; sources: readonly PageSource[] } {
  const pool = PagePool.create({ pageBytes: 4096, pageCount });
  for (let page = pool.acquire(1); page !== NO_PAGE; page = pool.acquire(1)) {
    pool.retain(page);
    pool.stopFilling(page);
  }
  return { pool, sources: pageSources(pool) };
}

function fly(log: FlightLog, source: PageSource, from: number, to: number): void {
  assert.ok(log.begin(source, from));
  log.commit(to);
}

test('pages come back in the order of the stream, up to the safe byte', () => {
  const { pool, sources } = heldPages(3);
  const log = new FlightLog();
  fly(log, sources[0]!, 0, 100);
  fly(log, sources[1]!, 100, 300);
  fly(log, sources[0]!, 300, 301);
  assert.equal(log.flightCount, 3);
  assert.equal(log.giveBack(99), 0);
  assert.equal(log.giveBack(299), 1);
  pool.release(0);
  assert.equal(pool.freeCount(), 0, 'page 0 is needed once more');
  assert.equal(log.giveBack(301), 2);
  assert.equal(log.flightCount, 0);
  assert.equal(pool.freeCount(), 1);
});

test('writes of one page in a row are one flight, that ends with the last', () => {
  const { sources } = heldPages(1);
  const log = new FlightLog();
  for (let end = 1; end <= 10_000; end++) fly(log, sources[0]!, end - 1, end);
  assert.equal(log.flightCount, 1);
  assert.equal(log.giveBack(9_999), 0);
  assert.equal(log.giveBack(10_000), 1);
});

test('a cancelled flight is given back, and one before it is not', () => {
  const { pool, sources } = heldPages(2);
  const log = new FlightLog();
  fly(log, sources[0]!, 0, 10);
  log.begin(sources[0]!, 10);
  log.cancel();
  assert.equal(log.flightCount, 1, 'the page was lent before');
  log.begin(sources[1]!, 10);
  log.cancel();
  log.cancel();
  assert.equal(log.flightCount, 1);
  pool.release(1);
  assert.equal(pool.freeCount(), 1);
});

test('abandoned flights are stale', () => {
  const { pool, sources } = heldPages(2);
  const log = new FlightLog();
  fly(log, sources[0]!, 0, 10);
  fly(log, sources[1]!, 10, 20);
  log.giveBack(10);
  assert.equal(log.abandon(), 1);
  assert.equal(log.abandon(), 0);
  assert.equal(pool.stats().stale, 1);
  for (const page of [0, 1]) pool.release(page);
  assert.equal(pool.freeCount(), 2);
});

test('the log grows to its bound, then says that it is full', () => {
  const { sources } = heldPages(8);
  const log = new FlightLog();
  let end = 0;
  while (log.begin(sources[end % 8]!, end)) log.commit(++end);
  assert.equal(end, 4096);
  assert.equal(log.giveBack(1), 1);
  assert.ok(log.begin(sources[0]!, end));
  log.commit(end + 1);
  assert.equal(log.giveBack(end + 1), 4096);
});

test('pages of a second pool are refused', () => {
  const log = new FlightLog();
  fly(log, heldPages(1).sources[0]!, 0, 1);
  assert.throws(() => log.begin(heldPages(1).sources[0]!, 1), { code: 'MR_OUTPUT_SOURCE' });
});

test('random flights: a page is lent exactly while a byte of it is not safe', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  const { pool, sources } = heldPages(5);
  const log = new FlightLog();
  const lastEnd = [0, 0, 0, 0, 0];
  let end = 0;
  let safe = 0;
  for (let round = 0; round < 20_000; round++) {
    if (prng.chance(0.6)) {
      const page = prng.below(5);
      const length = prng.below(3);
      assert.ok(log.begin(sources[page]!, end));
      if (length === 0) log.cancel();
      else {
        end += length;
        log.commit(end);
        lastEnd[page] = end;
      }
    } else {
      safe += prng.below(end - safe + 1);
      log.giveBack(safe);
    }
    if (round % 100 !== 0) continue;
    for (let page = 0; page < 5; page++) pool.release(page);
    assert.equal(pool.freeCount(), lastEnd.filter((last) => last <= safe).length);
    // Those in flight cannot be retained again by nobody: start over with fresh lends.
    log.giveBack(end);
    safe = end;
    for (let page = 0; page < 5; page++) pool.retain(pool.acquire(1));
    for (let page = 0; page < 5; page++) pool.stopFilling(page);
  }
});

test('a source of an earlier life of its page is refused, and lends nothing', () => {
  const { pool, sources } = heldPages(2);
  const log = new FlightLog();
  const source = sources[0]!;
  source.generation = pool.generation(0);
  fly(log, source, 0, 10);
  fly(log, source, 10, 20);
  assert.equal(log.giveBack(20), 1);
  pool.release(0);
  assert.throws(() => log.begin(source, 20), { code: 'MR_STALE_PAGE' }, 'it is free');
  pool.retain(pool.acquire(1));
  assert.throws(() => log.begin(source, 20), { code: 'MR_STALE_PAGE' }, 'it is another');
  source.generation = pool.generation(0) >>> 0;
  fly(log, source, 20, 30);
  source.generation -= 1;
  assert.throws(() => log.begin(source, 30), { code: 'MR_STALE_PAGE' }, 'the same page in a row');
  assert.equal(log.flightCount, 1);
  source.generation = null;
  fly(log, source, 30, 40);
});
