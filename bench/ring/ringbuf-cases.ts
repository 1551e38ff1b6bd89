/**
 * The package ringbuf.js (a development dependency), fed as SpscRing is.
 */
import { RingBuffer } from 'ringbuf.js';
import { pairCase, type RingCase, type Run } from './case.ts';
import { fill, sumOf } from './loops.ts';
import { CAPACITY } from './spsc-cases.ts';

function pushBatches(buffer: SharedArrayBuffer, batch: number): Run {
  const ring = new RingBuffer(buffer, Float64Array);
  const values = new Float64Array(batch);
  return (items) => {
    for (let done = 0; done < items; ) {
      const count = Math.min(batch, items - done);
      fill(values, 0, count, done);
      for (let sent = 0; sent < count; ) sent += ring.push(values, count - sent, sent);
      done += count;
    }
    return 0;
  };
}

function popBatches(buffer: SharedArrayBuffer, batch: number): Run {
  const ring = new RingBuffer(buffer, Float64Array);
  const values = new Float64Array(batch);
  return (items) => {
    let sum = 0;
    for (let done = 0; done < items; ) {
      const got = ring.pop(values, Math.min(batch, items - done));
      sum = sumOf(values, 0, got, sum);
      done += got;
    }
    return sum;
  };
}

function ringbufCase(batch: number): RingCase {
  return pairCase(
    () => RingBuffer.getStorageForCapacity(CAPACITY, Float64Array),
    (buffer) => pushBatches(buffer, batch),
    (buffer) => popBatches(buffer, batch),
  );
}

export const RINGBUF_CASES: Readonly<Record<string, RingCase>> = {
  'ringbuf-1': ringbufCase(1),
  'ringbuf-64': ringbufCase(64),
  'ringbuf-512': ringbufCase(512),
};
