/**
 * BroadcastRing: int32 slots from one writer to one and to two readers, none of them lost.
 *
 * The ring's writer never waits and would evict a slow reader; this one looks for room first.
 */
import { BroadcastRing, type BroadcastRingHandle } from '../../src/toolkit/ring/index.ts';
import type { RingCase, Run } from './case.ts';
import { sumBelow } from './section.ts';
import { CAPACITY } from './spsc-cases.ts';
import { makeWaiting, type Waiting } from './waiting.ts';

const BATCH = 64;

function write(handle: BroadcastRingHandle, waiting: Waiting): Run {
  const ring = new BroadcastRing(handle);
  const writer = BroadcastRing.writer(handle);
  const slot = new Int32Array(1);
  const isJoined = (reader: number): boolean => ring.readerPlace(reader) === 'joined';
  return (items) => {
    for (let reader = 0; reader < handle.readerCount; reader++) {
      while (!isJoined(reader)) writer.poll();
    }
    for (let value = 0; value < items; value++) {
      while (writer.unreleased === CAPACITY) {
        writer.poll();
        if (writer.unreleased === CAPACITY) waiting.wait();
        else waiting.done();
      }
      slot[0] = value;
      writer.push(slot);
    }
    return 0;
  };
}

function sumOf(items: Int32Array, count: number): number {
  let sum = 0;
  for (let at = 0; at < count; at++) sum += items[at]!;
  return sum;
}

function read(handle: BroadcastRingHandle, index: number, isBatch: boolean, waiting: Waiting): Run {
  const reader = BroadcastRing.reader(handle, index);
  const into = new Int32Array(isBatch ? BATCH : 1);
  reader.join();
  return (items) => {
    let sum = 0;
    for (let done = 0; done < items; ) {
      const got = reader.readBatch(into);
      // An eviction would show in the sum, and never end; so it ends here.
      if (got < 0 && done > 0) return -1;
      if (got <= 0) {
        waiting.wait();
        continue;
      }
      waiting.done();
      sum += sumOf(into, got);
      done += got;
    }
    return sum;
  };
}

function broadcastCase(readers: number, isBatch: boolean): RingCase {
  return {
    threads: 1 + readers,
    share() {
      const { handle } = BroadcastRing.create({ capacity: CAPACITY, readerCount: readers });
      return Array.from({ length: 1 + readers }, () => ({ data: handle }));
    },
    start(index, data) {
      const handle = data as BroadcastRingHandle;
      const waiting = makeWaiting(readers > 1);
      return index === 0 ? write(handle, waiting) : read(handle, index - 1, isBatch, waiting);
    },
    expected: (items) => readers * sumBelow(items),
  };
}

export const BROADCAST_CASES: Readonly<Record<string, RingCase>> = {
  'broadcast-single-1x1': broadcastCase(1, false),
  'broadcast-1x1': broadcastCase(1, true),
  'broadcast-1x2': broadcastCase(2, true),
};
