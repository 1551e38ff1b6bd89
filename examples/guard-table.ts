/**
 * Example: who writes into my part of a shared table? A worker counts rows in the other part, and
 * one row too early. The guard reports that write, lets it happen, and the program goes on.
 */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { culpritOf, nameThread, onReport, protect } from '../src/toolkit/guard/index.ts';

const PART_BYTES = 65_536;
const ROWS = 16;

interface Job {
  readonly table: SharedArrayBuffer;
  readonly part: number;
}

function countRow(table: SharedArrayBuffer, row: number): void {
  const rows = new Uint32Array(table);
  rows[row] = rows[row]! + 1;
}

async function main(): Promise<void> {
  const bytes = 2 * PART_BYTES;
  // A growable one starts on an OS page: all of both parts can be protected.
  const table = new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  using _ = protect(new Uint8Array(table, 0, PART_BYTES), {
    label: 'part 0',
    mode: 'continue',
  });
  const writers = new Map<string, number>();
  const subscription = onReport((report) => {
    const { function: name, file, line } = culpritOf(report)!;
    const text = `${report.threadName} in ${name} (${file.split('/').at(-1)}:${line})`;
    writers.set(text, (writers.get(text) ?? 0) + 1);
  });
  const worker = new Worker(new URL(import.meta.url), { workerData: { table, part: 1 } });
  await once(worker, 'exit');
  subscription.end();
  for (const [text, count] of writers) console.log(`part 0 was written ${count} times by ${text}`);
}

if (isMainThread) {
  await main();
} else {
  const { table, part } = workerData as Job;
  nameThread(`worker ${part}`, 'counts rows');
  const first = (part * PART_BYTES) / 4;
  // The bug: one row too early.
  for (let row = 0; row < ROWS; row++) countRow(table, first + row - 1);
}
