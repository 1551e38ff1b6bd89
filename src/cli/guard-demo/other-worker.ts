/**
 * Guard demo 2: a worker writes in front of its own part of shared memory: into another's.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { nameThread, protect } from '../../toolkit/guard/index.ts';

const SESSION_BYTES = 65_536;
const TOTALS = 16;

interface Job {
  readonly memory: SharedArrayBuffer;
}

/** The bug: totals are numbered from 0, and day 0 is counted as day -1. */
function addToTotal(memory: SharedArrayBuffer, day: number, amount: number): void {
  const totals = new Uint32Array(memory, SESSION_BYTES - 4, TOTALS);
  totals[day] = amount;
}

if (isMainThread) {
  const bytes = SESSION_BYTES + 4 * TOTALS;
  const memory = new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  protect(new Uint8Array(memory, 0, SESSION_BYTES), { label: 'session table' });
  new Worker(new URL(import.meta.url), { workerData: { memory } satisfies Job });
} else {
  nameThread('statistics', 'adds up the day');
  addToTotal((workerData as Job).memory, 0, 1234);
}
