import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildCulprit, guardSkipReason, type Reported, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };

function answerOf({ status, signal, stdout, stderr }: Reported): unknown {
  assert.equal(status, 0, `${signal} ${stderr.slice(-3000)}`);
  return JSON.parse(stdout);
}

const MEMORY = `
  const makeBytes = (pages) => {
    const bytes = pages * 4096;
    return new Uint8Array(new SharedArrayBuffer(bytes, { maxByteLength: bytes }));
  };
  const answer = (value) => console.log(JSON.stringify(value));`;

const WORKER = new URL('./many-worker.js', import.meta.url).href;

/** `runWorkers(count, work, bytes, handle)`: their exit codes. */
const WORKERS = `
  import { once } from 'node:events';
  import { Worker } from 'node:worker_threads';
  const runWorkers = (count, work, bytes, handle) => {
    const start = new Int32Array(new SharedArrayBuffer(8));
    const all = Array.from({ length: count }, async (_, index) => {
      const workerData = { work, bytes, index, count, start, handle };
      const worker = new Worker(new URL('${WORKER}'), { execArgv: [], workerData });
      const [code] = await once(worker, 'exit');
      return code;
    });
    return Promise.all(all);
  };
  const countOf = (bytes, value) => bytes.filter((byte) => byte === value).length;`;

test('one store over two pages of a guard: it is reported, all bytes are right', options, () => {
  const child = runReported(
    `${MEMORY}
    const bytes = makeBytes(4);
    guard.protect(bytes, { label: 'table', mode: 'continue' });
    culprit.store64(bytes, 4092, -2);
    culprit.store64(bytes, 4092, -2);
    answer(Buffer.from(bytes.subarray(4088, 4104)).toString('hex'));`,
    { addon: buildCulprit() },
  );
  assert.equal(answerOf(child), '0000000000000000000000c000000000');
  assert.ok(child.reports.length >= 2, 'at least one a store');
  assert.ok(child.reports.every(({ offset }) => offset >= 4092 && offset <= 4096));
});

test('one store over two guards: reported where it begins, each time', options, () => {
  const child = runReported(
    `${MEMORY}
    const bytes = makeBytes(4);
    guard.protect(bytes.subarray(0, 4096), { label: 'left', mode: 'continue' });
    guard.protect(bytes.subarray(4096), { label: 'right', mode: 'continue' });
    culprit.store64(bytes, 4092, -2);
    culprit.store64(bytes, 4092, -3);
    answer(Buffer.from(bytes.subarray(4088, 4104)).toString('hex'));`,
    { addon: buildCulprit() },
  );
  assert.equal(answerOf(child), '0000000000000000000008c000000000');
  const left = child.reports.filter(({ label }) => label === 'left');
  assert.deepEqual(
    left.map(({ offset, width }) => [offset, width]),
    [
      [4092, 8],
      [4092, 8],
    ],
  );
});

test('4000 guards: each write is reported under its own label', options, () => {
  const child = runReported(`${MEMORY}
    const bytes = makeBytes(8000);
    const guards = [];
    for (let i = 0; i < 4000; i++) {
      const page = bytes.subarray(8192 * i, 8192 * i + 4096);
      guards.push(guard.protect(page, { label: 'page ' + i, mode: 'continue' }));
    }
    for (let i = 0; i < 4000; i += 199) {
      bytes[8192 * i + 7] = 1;
      bytes[8192 * i + 4096] = 1; // between two guards
    }
    for (const one of guards) one.end();
    for (let i = 0; i < 4000; i++) bytes[8192 * i] = 1;
    answer(bytes.filter((byte) => byte === 1).length);`);
  const count = Math.ceil(4000 / 199);
  assert.equal(answerOf(child), 4000 + 2 * count);
  assert.deepEqual(
    child.reports.map(({ label, offset }) => [label, offset]),
    Array.from({ length: count }, (_, index) => [`page ${199 * index}`, 7]),
  );
});

test(
  'two workers write into one page at once, by the alias: every write is reported',
  options,
  () => {
    const child = runReported(`${MEMORY}${WORKERS}
    const bytes = makeBytes(1);
    guard.protect(bytes, { label: 'page', mode: 'continue', alias: true });
    const codes = await runWorkers(2, 'alternate', bytes);
    answer([codes, countOf(bytes, 1), countOf(bytes, 2)]);`);
    assert.deepEqual(answerOf(child), [[0, 0], 500, 500]);
    assert.equal(child.reports.length, 1000);
    for (const index of [0, 1]) {
      const own = child.reports.filter(({ threadName }) => threadName === `scribbler ${index}`);
      assert.equal(own.length, 500);
      assert.deepEqual(
        own.map(({ offset }) => offset),
        Array.from({ length: 500 }, (_, i) => 4 * i + index),
      );
    }
  },
);

test('the same by single steps, in turns: every write is reported', options, () => {
  const child = runReported(`${MEMORY}${WORKERS}
    const bytes = makeBytes(1);
    guard.protect(bytes, { label: 'page', mode: 'continue' });
    const codes = await runWorkers(2, 'takeTurns', bytes);
    answer([codes, countOf(bytes, 1), countOf(bytes, 2)]);`);
  assert.deepEqual(answerOf(child), [[0, 0], 500, 500]);
  assert.deepEqual(
    child.reports.map(({ offset }) => offset),
    Array.from({ length: 1000 }, (_, i) => 4 * (i >> 1) + (i & 1)),
  );
});

/** How often one worker's writes stop being reported, each time for one write or more. */
function countGaps(offsets: ReadonlySet<number>, index: number): number {
  const isMissed = (i: number): boolean => i >= 0 && !offsets.has(4 * i + index);
  return Array.from({ length: 500 }).filter((_, i) => isMissed(i) && !isMissed(i - 1)).length;
}

/*
 * How much goes by while the other's step has the page open depends on the scheduler: all, if it
 * stops a thread in its step. But a page stays open during a step, so a gap that ends by a report
 * is a step of its own.
 */
test('at once: no write is lost or reported twice, unseen ones fall into steps', options, () => {
  const child = runReported(`${MEMORY}${WORKERS}
    const bytes = makeBytes(1);
    guard.protect(bytes, { label: 'page', mode: 'continue' });
    const codes = await runWorkers(2, 'alternate', bytes);
    answer([codes, countOf(bytes, 1), countOf(bytes, 2)]);`);
  assert.deepEqual(answerOf(child), [[0, 0], 500, 500]);
  const offsets = new Set(child.reports.map(({ offset }) => offset));
  assert.equal(offsets.size, child.reports.length);
  for (const index of [0, 1]) {
    const steps = child.reports.filter(({ offset }) => (offset & 3) !== index).length;
    const gaps = countGaps(offsets, index);
    assert.ok(gaps <= steps, `${gaps} gaps of worker ${index} in ${steps} steps of the other`);
  }
});

test('two workers die at once in the mode report: one whole report at least', options, () => {
  const child = runReported(`${MEMORY}${WORKERS}
    const bytes = makeBytes(1);
    guard.protect(bytes, { label: 'page', mode: 'report' });
    await runWorkers(2, 'forever', bytes);`);
  assert.equal(child.signal, 'SIGSEGV', child.stderr.slice(-2000));
  assert.ok(child.reports.length >= 1 && child.reports.length <= 2);
  assert.match(
    child.stderr,
    /^segmentation fault at 0x[0-9a-f]+: .* wrote 1 byte at offset [01] of/m,
  );
});

test('protect and unprotect by two workers while a third writes: nothing is lost', options, () => {
  const child = runReported(`${MEMORY}${WORKERS}
    const bytes = makeBytes(8);
    const own = guard.protect(bytes, { label: 'toggled', mode: 'continue', once: true });
    const codes = await runWorkers(3, 'toggle', bytes, own.handle);
    own.end();
    answer([codes, countOf(bytes, 1)]);`);
  assert.deepEqual(answerOf(child), [[0, 0, 0], 800]);
});
