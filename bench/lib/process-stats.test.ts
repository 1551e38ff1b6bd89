import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { cpuBetween, parseStat, readPeakRssBytes, readProcessCpu } from './process-stats.ts';

/** What the kernel counts a process's time in. */
const TICK_US = 10_000;

test('a stat line is read behind the last parenthesis of the name', () => {
  const line = '7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1';
  assert.equal(parseStat(line), 2_000_000);
});

const limits = { skip: addonSkipReason(), timeout: 120_000 };

test('CPU time is split by thread name', limits, async (t) => {
  const url = new URL('../../src/toolkit/sys/index.js', import.meta.url).href;
  const code = `
    import(${JSON.stringify(url)}).then(({ setThreadName }) => {
      setThreadName('busy-one');
      for (;;);
    });`;
  const before = readProcessCpu(process.pid);
  const worker = new Worker(code, { eval: true });
  t.after(() => worker.terminate());
  let busyUs = 0;
  let totalUs = 0;
  // However late it gets a CPU.
  while (busyUs < 5 * TICK_US) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const used = cpuBetween(before, readProcessCpu(process.pid));
    busyUs = used.threadsUs.get('busy-one') ?? 0;
    totalUs = used.totalUs;
  }
  // Read after the threads, in whole ticks.
  assert.ok(totalUs >= busyUs - 2 * TICK_US, `${busyUs} of ${totalUs}`);
});

test('peak memory is in bytes', () => {
  const bytes = readPeakRssBytes(process.pid);
  assert.ok(bytes > 10e6 && bytes < 100e9, `${bytes}`);
});
