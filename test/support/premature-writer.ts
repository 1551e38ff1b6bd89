/**
 * A worker with a bug: it writes into a page that others still read. In tests only.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PagePool, type PagePoolHandle } from '../../src/toolkit/pages/index.ts';

export interface PrematureWriterData {
  readonly handle: PagePoolHandle;
  /** Byte of the arena. */
  readonly at: number;
  readonly times: number;
}

function writeTooEarly(bytes: Uint8Array, at: number): void {
  bytes[at] = 0xbb; // the bug
}

if (parentPort !== null) {
  const { handle, at, times } = workerData as PrematureWriterData;
  const pool = new PagePool(handle);
  for (let time = 0; time < times; time++) writeTooEarly(pool.bytes, at);
  parentPort.postMessage(pool.bytes[at]);
}
