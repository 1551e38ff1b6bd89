import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';

const DYING = 5;
const LIVING = 6;

interface WorkData {
  readonly handle: PagePoolHandle;
  readonly owner: number;
  /** Not 0: end the work. */
  readonly stop: Int32Array;
}

/** Fills and lends pages, several at once, until it is told to end, or ended. */
function work({ handle, owner, stop }: WorkData): void {
  const pool = new PagePool(handle, owner);
  const held: number[] = [];
  for (let round = 0; Atomics.load(stop, 0) === 0 || held.length > 0; round++) {
    const page = held.length > 3 || Atomics.load(stop, 0) !== 0 ? NO_PAGE : pool.acquire(owner);
    if (page !== NO_PAGE) {
      pool.lend(page);
      pool.lend(page);
      held.push(page);
    } else if (held.length > 0) {
      const oldest = held.shift()!;
      pool.giveBack(oldest);
      pool.stopFilling(oldest);
      pool.giveBack(oldest);
    }
    if (round === 100) parentPort!.postMessage('works');
  }
}

async function startWork(handle: PagePoolHandle, owner: number, stop: Int32Array): Promise<Worker> {
  const data: WorkData = { handle, owner, stop };
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  await once(worker, 'message');
  return worker;
}

function makeStop(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Ends threads of DYING at random moments; after each, `check`. */
async function letDie(
  t: TestContext,
  pool: PagePool,
  deaths: number,
  check: () => void,
): Promise<void> {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (let death = 0; death < deaths; death++) {
    const worker = await startWork(pool.handle, DYING, makeStop());
    await delay(prng.below(4));
    await worker.terminate();
    pool.abandon(DYING);
    check();
  }
}

/** Without the addon a stale page is not used again, and the pool would run dry. */
function deathsOf(pool: PagePool, deaths: number): number {
  return pool.report.renewal.state === 'granted' ? deaths : 1;
}

if (!isMainThread && workerData !== null) {
  work(workerData as WorkData);
} else {
  test('a thread that is ended anywhere in its work keeps no page', async (t) => {
    const pool = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount: 6 });
    await letDie(t, pool, deathsOf(pool, 8), () => {
      assert.equal(pool.stats().free, pool.pageCount, JSON.stringify(pool.stats()));
    });
  });

  test('and takes none from a thread that lives on', async (t) => {
    const pool = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount: 16 });
    const stop = makeStop();
    const living = await startWork(pool.handle, LIVING, stop);
    const ended = once(living, 'exit');
    await letDie(t, pool, deathsOf(pool, 5), () => {
      const { free, stale } = pool.stats();
      t.diagnostic(`${free} free, ${stale} stale`);
    });
    Atomics.store(stop, 0, 1);
    assert.deepEqual(await ended, [0], 'it has given back what it had lent');
    pool.abandon(DYING);
    assert.equal(pool.stats().free, pool.pageCount, JSON.stringify(pool.stats()));
  });
}
