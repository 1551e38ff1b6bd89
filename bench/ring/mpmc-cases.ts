/**
 * MpmcRing: single items and batches, from one thread to one, and from two to two.
 *
 * Two to two are more threads than this bench takes CPUs: waiting.ts.
 */
import {
  type MpmcMember,
  MpmcRing,
  type MpmcRingHandle,
  type MpmcRingOptions,
} from '../../src/toolkit/ring/index.ts';
import type { RingCase, Run } from './case.ts';
import { fill, sumOf } from './loops.ts';
import { sumBelow } from './section.ts';
import { CAPACITY } from './spsc-cases.ts';
import { makeWaiting, type Waiting } from './waiting.ts';

type FloatMember = MpmcMember<'float64'>;

const BATCH = 32;

function pushEach(member: FloatMember, from: number, to: number, waiting: Waiting): number {
  for (let value = from; value < to; value++) {
    if (member.tryPush(value)) continue;
    do waiting.wait();
    while (!member.tryPush(value));
    waiting.done();
  }
  return 0;
}

function popEach(member: FloatMember, items: number, waiting: Waiting): number {
  let sum = 0;
  for (let count = 0; count < items; count++) {
    let value = member.tryPop(-1);
    if (value === -1) {
      for (; value === -1; value = member.tryPop(-1)) waiting.wait();
      waiting.done();
    }
    sum += value;
  }
  return sum;
}

const values = new Float64Array(BATCH);

function pushBatches(member: FloatMember, from: number, to: number, waiting: Waiting): number {
  for (let next = from; next < to; ) {
    const count = Math.min(BATCH, to - next);
    fill(values, 0, count, next);
    for (let sent = 0; sent < count; ) {
      const pushed = member.pushBatch(values, sent, count);
      if (pushed === 0) waiting.wait();
      else waiting.done();
      sent += pushed;
    }
    next += count;
  }
  return 0;
}

function popBatches(member: FloatMember, items: number, waiting: Waiting): number {
  let sum = 0;
  for (let done = 0; done < items; ) {
    const got = member.popBatch(values, 0, Math.min(BATCH, items - done));
    if (got === 0) waiting.wait();
    else waiting.done();
    sum = sumOf(values, 0, got, sum);
    done += got;
  }
  return sum;
}

/** `each` threads push, `each` pop. */
function mpmcCase(
  each: number,
  isBatch: boolean,
  options: Partial<MpmcRingOptions<'float64'>> = {},
): RingCase {
  const threads = 2 * each;
  const push = isBatch ? pushBatches : pushEach;
  const pop = isBatch ? popBatches : popEach;
  return {
    threads,
    share() {
      const ring = MpmcRing.create({ capacity: CAPACITY, item: 'float64', ...options });
      return Array.from({ length: threads }, () => ({ data: ring.handle }));
    },
    start(index, data): Run {
      const member = MpmcRing.member(data as MpmcRingHandle<'float64'>);
      const waiting = makeWaiting(each > 1);
      if (index >= each) return (items) => pop(member, items / each, waiting);
      return (items) => push(member, (index * items) / each, ((index + 1) * items) / each, waiting);
    },
    expected: sumBelow,
  };
}

export const MPMC_CASES: Readonly<Record<string, RingCase>> = {
  'mpmc-single-1x1': mpmcCase(1, false),
  'mpmc-single-atomics-1x1': mpmcCase(1, false, { backend: 'atomics' }),
  'mpmc-single-2x2': mpmcCase(2, false),
  'mpmc-batch-32-1x1': mpmcCase(1, true),
  'mpmc-batch-32-2x2': mpmcCase(2, true),
};
