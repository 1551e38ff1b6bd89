import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Counters } from './counters.ts';

const NAMES = ['records', 'bytes'] as const;

test('counters start at 0, add, are set, and are copied by name', () => {
  const counters = Counters.create(NAMES);
  assert.deepEqual(counters.snapshot(), { records: 0, bytes: 0 });
  counters.add('records', 2);
  counters.add('records', 3);
  counters.set('bytes', 2 ** 53 - 1);
  assert.equal(counters.get('records'), 5);
  assert.equal(counters.values[counters.index('bytes')], 2 ** 53 - 1);
  const copy = counters.snapshot();
  counters.add('records', 1);
  assert.deepEqual(copy, { records: 5, bytes: 2 ** 53 - 1 });
});

test('a name that is not in the list is a programming error', () => {
  const counters = Counters.create(NAMES) as unknown as Counters<string>;
  assert.throws(() => counters.add('recods', 1), { code: 'MR_ASSERT' });
  assert.throws(() => new Counters({ names: NAMES, buffer: new SharedArrayBuffer(8) }), {
    code: 'MR_ASSERT',
  });
});

test('another thread adds to the same words', async () => {
  const counters = Counters.create(NAMES);
  const source = `
    const { workerData } = require('node:worker_threads');
    new Float64Array(workerData)[1] += 42;`;
  const worker = new Worker(source, { eval: true, workerData: counters.handle.buffer });
  await new Promise((resolve, reject) => {
    worker.once('exit', resolve);
    worker.once('error', reject);
  });
  assert.equal(counters.get('bytes'), 42);
});
