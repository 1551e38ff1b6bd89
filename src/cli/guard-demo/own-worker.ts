/**
 * Guard demo 1: a worker publishes a table, and later writes into it all the same.
 */
import { isMainThread, Worker } from 'node:worker_threads';
import { nameThread, protect } from '../../toolkit/guard/index.ts';

const PRICES = 4096;

function publish(): Float64Array {
  const prices = new Float64Array(new SharedArrayBuffer(8 * PRICES)).fill(9.99);
  protect(prices, { label: 'published prices' });
  return prices;
}

/** The bug: it was right as long as the table was private. */
function correctPrice(prices: Float64Array, index: number): void {
  prices[index] = 10.49;
}

if (isMainThread) {
  new Worker(new URL(import.meta.url));
} else {
  nameThread('pricing', 'keeps the price table');
  correctPrice(publish(), 1000);
}
