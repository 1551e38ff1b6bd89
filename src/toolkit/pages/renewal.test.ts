import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  EINVAL,
  failCall,
  ftruncate,
  madvise,
  mapFile,
  openFile,
  pipeCreate,
  read,
  recv,
  socketPair,
  splice,
  vmsplice,
} from '../sys/index.ts';
import { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';

const skip = addonSkipReason();
const OWNER = 3;
const PAGE = 4 * OS_PAGE_BYTES;
const OLD = 0x0d;
const NEW = 0xee;

interface DyingData {
  readonly handle: PagePoolHandle;
  readonly pipeFd: number;
}

/** A carrier of bytes by reference: put a page in, take bytes out. */
interface Carrier {
  readonly fds: readonly number[];
  put(pool: PagePool, page: number): void;
  take(): Uint8Array;
}

function makePipe(): Int32Array {
  const ends = new Int32Array(2);
  checked('pipe', pipeCreate(ends));
  return ends;
}

function vmsplicePage(pool: PagePool, page: number, pipeFd: number): void {
  assert.equal(vmsplice(pipeFd, pool.bytes, page * PAGE, PAGE), PAGE);
}

/** A pipe that nobody has read yet. */
function pipeCarrier(): Carrier {
  const [from, to] = makePipe() as unknown as [number, number];
  const got = new Uint8Array(PAGE);
  return {
    fds: [from, to],
    put: (pool, page) => vmsplicePage(pool, page, to),
    take() {
      assert.equal(read(from, got, 0, PAGE), PAGE);
      return got;
    },
  };
}

/** The receive queue of a UNIX socket that nobody has read yet. */
function socketCarrier(): Carrier {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  const [near, far] = ends as unknown as [number, number];
  const [from, to] = makePipe() as unknown as [number, number];
  const got = new Uint8Array(PAGE);
  return {
    fds: [near, far, from, to],
    put(pool, page) {
      vmsplicePage(pool, page, to);
      assert.equal(splice(from, near, PAGE), PAGE);
    },
    take() {
      let done = 0;
      while (done < PAGE) done += checked('recv', recv(far, got, done, PAGE - done));
      return got;
    },
  };
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeFd(fd);
}

function fill(pool: PagePool, page: number, value: number): void {
  pool.bytes.fill(value, page * PAGE, (page + 1) * PAGE);
}

function makePool(pageCount = 1, huge = false): PagePool {
  return PagePool.create({ pageBytes: PAGE, pageCount, prefault: true, huge });
}

/** A kernel that copies in vmsplice(2), as gVisor does, holds no page of ours. */
function vmspliceCopies(): string | false {
  if (skip !== false) return skip;
  const [from, to] = makePipe() as unknown as [number, number];
  try {
    const byte = new Uint8Array([OLD]);
    assert.equal(vmsplice(to, byte, 0, 1), 1);
    byte[0] = NEW;
    assert.equal(read(from, byte, 0, 1), 1);
    return byte[0] === OLD && 'vmsplice copies in this kernel: no page is in flight';
  } finally {
    closeAll([from, to]);
  }
}

/** Runs in a worker that ends with its page in flight. */
function dieInFlight({ handle, pipeFd }: DyingData): void {
  const pool = new PagePool(handle, OWNER);
  const page = pool.acquire(OWNER);
  fill(pool, page, OLD);
  pool.lend(page);
  vmsplicePage(pool, page, pipeFd);
  parentPort!.postMessage(page);
  process.exit(1);
}

const CARRIERS = { 'an unread pipe': pipeCarrier, 'an unread UNIX socket': socketCarrier } as const;

if (!isMainThread && workerData !== null) {
  dieInFlight(workerData as DyingData);
} else {
  for (const [name, makeCarrier] of Object.entries(CARRIERS)) {
    for (const isStale of [true, false]) {
      const what = isStale ? 'keeps the old bytes of a stale page' : 'shows that a page is reused';
      const skipPair = isStale ? skip : vmspliceCopies();
      test(`${name} ${what}`, { skip: skipPair }, () => {
        const carrier = makeCarrier();
        try {
          const pool = makePool();
          const page = pool.acquire(OWNER);
          fill(pool, page, OLD);
          pool.lend(page);
          carrier.put(pool, page);
          pool.stopFilling(page);
          if (isStale) pool.markStale(page);
          pool.giveBack(page);
          assert.equal(pool.acquire(OWNER), page);
          assert.equal(pool.bytes[0], isStale ? 0 : OLD, 'what the next owner finds');
          fill(pool, page, NEW);
          const got = carrier.take();
          assert.ok(got.every((byte) => byte === (isStale ? OLD : NEW)));
          const { stale, renewedCount } = pool.stats();
          assert.deepEqual([stale, renewedCount], [0, isStale ? 1 : 0]);
        } finally {
          closeAll(carrier.fds);
        }
      });
    }
  }

  test('a stale page inside a huge page is renewed alone', { skip }, (t) => {
    const carrier = pipeCarrier();
    try {
      const pool = makePool(256, true);
      t.diagnostic(`${pool.report.hugeBytes} bytes in huge pages`);
      for (let page = 0; page < pool.pageCount; page++) {
        assert.equal(pool.acquire(OWNER), page);
        fill(pool, page, OLD);
      }
      pool.lend(100);
      carrier.put(pool, 100);
      pool.markStale(100);
      pool.giveBack(100);
      pool.stopFilling(100);
      assert.equal(pool.acquire(OWNER), 100);
      assert.equal(pool.bytes[100 * PAGE], 0);
      fill(pool, 100, NEW);
      assert.ok(carrier.take().every((byte) => byte === OLD));
      for (const near of [99, 101]) {
        const bytes = pool.bytes.slice(near * PAGE, (near + 1) * PAGE);
        assert.ok(bytes.every((byte) => byte === OLD));
      }
    } finally {
      closeAll(carrier.fds);
    }
  });

  test('memory of a file cannot be renewed: the old bytes come back', { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
    const path = join(folder, 'arena');
    const fd = checked('open', openFile(path, ['readWrite', 'create']), path);
    try {
      checked('ftruncate', ftruncate(fd, PAGE));
      const bytes = new Uint8Array(mapFile(fd, 0, PAGE)).fill(OLD);
      assert.equal(madvise(bytes, 0, PAGE, 'dontNeed'), PAGE);
      assert.ok(bytes.every((byte) => byte === OLD));
    } finally {
      closeFd(fd);
      rmSync(folder, { recursive: true });
    }
  });

  test('a stale page that cannot be renewed is not used, and is tried again', { skip }, () => {
    const pool = makePool(2);
    pool.acquire(OWNER);
    pool.markStale(0);
    pool.stopFilling(0);
    const fault = failCall({ call: 'madvise', nth: 1, errno: EINVAL });
    try {
      assert.equal(pool.acquire(OWNER), 1, 'the next page');
    } finally {
      fault.restore();
    }
    assert.ok(!pool.isFilling(0));
    assert.equal(pool.generation(0), 1);
    assert.equal(pool.acquire(OWNER), 0);
    assert.equal(pool.acquire(OWNER), NO_PAGE);
    const { renewedCount, renewalRefusedCount, exhaustedCount } = pool.stats();
    assert.deepEqual([renewedCount, renewalRefusedCount, exhaustedCount], [1, 1, 1]);
  });

  test('a worker dies with a page in flight: abandoned, stale, renewed', { skip }, async () => {
    const [from, to] = makePipe() as unknown as [number, number];
    try {
      const pool = makePool();
      const data: DyingData = { handle: pool.handle, pipeFd: to };
      const worker = new Worker(new URL(import.meta.url), { workerData: data });
      const ended = once(worker, 'exit');
      assert.deepEqual(await once(worker, 'message'), [0]);
      assert.deepEqual(await ended, [1]);
      assert.equal(pool.acquire(OWNER), NO_PAGE, 'nobody has given it up yet');
      pool.abandon(OWNER);
      assert.equal(pool.stats().stale, 1);
      assert.equal(pool.acquire(OWNER), 0);
      fill(pool, 0, NEW);
      const got = new Uint8Array(PAGE);
      assert.equal(read(from, got, 0, PAGE), PAGE);
      assert.ok(got.every((byte) => byte === OLD));
    } finally {
      closeAll([from, to]);
    }
  });

  test('a child started while a page is in flight changes nothing', {
    skip: vmspliceCopies(),
  }, async (t) => {
    const carrier = pipeCarrier();
    const [plainFrom, plainTo] = makePipe() as unknown as [number, number];
    let child: ChildProcess | undefined;
    try {
      const pool = makePool();
      pool.acquire(OWNER);
      fill(pool, 0, OLD);
      carrier.put(pool, 0);
      const plain = new Uint8Array(64 * PAGE).fill(OLD);
      assert.equal(vmsplice(plainTo, plain, OS_PAGE_BYTES, OS_PAGE_BYTES), OS_PAGE_BYTES);
      child = spawn('sleep', ['30'], { stdio: 'ignore' });
      await once(child, 'spawn');
      // Had the child got the memory, this first write would go to a copy: the page in flight
      // would stay behind, and be no page of the pool any more.
      fill(pool, 0, NEW);
      assert.ok(carrier.take().every((byte) => byte === NEW));
      plain.fill(NEW);
      const got = new Uint8Array(OS_PAGE_BYTES);
      assert.equal(read(plainFrom, got, 0, got.length), got.length);
      t.diagnostic(`memory without MADV_DONTFORK ${got[0] === OLD ? 'was' : 'was not'} copied`);
    } finally {
      child?.kill();
      closeAll([...carrier.fds, plainFrom, plainTo]);
    }
  });
}
