import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { cpuBetween, parseStat, readPeakRssBytes, readProcessCpu } from './process-stats.ts';

test('a stat line is read behind the last parenthesis of the name', () => {
  const line = '7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1';
  assert.equal(parseStat(line), 2_000_000);
});

test('CPU time is split by thread name', { skip: addonSkipReason() }, async () => {
  const url = new URL('../../src/toolkit/sys/index.js', import.meta.url).href;
  const code = `
    import(${JSON.stringify(url)}).then(({ setThreadName }) => {
      setThreadName('busy-one');
      const until = performance.now() + 300;
      while (performance.now() < until);
      require('node:worker_threads').parentPort.postMessage('done');
      setInterval(() => {}, 1000);
    });`;
  const before = readProcessCpu(process.pid);
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve) => worker.once('message', resolve));
  const used = cpuBetween(before, readProcessCpu(process.pid));
  await worker.terminate();
  assert.ok((used.threadsUs.get('busy-one') ?? 0) > 1000);
  assert.ok(used.totalUs > 0);
});

test('peak memory is in bytes', () => {
  const bytes = readPeakRssBytes(process.pid);
  assert.ok(bytes > 10e6 && bytes < 100e9, `${bytes}`);
});
