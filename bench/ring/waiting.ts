/**
 * Waiting: what a thread does when a ring is full or empty.
 *
 * With a CPU for each thread: nothing, it looks again. With more threads than CPUs: the ladder of
 * IdleStrategy, whose sleeps let the ring fill, or empty, before the next look; ring.cpp climbs
 * the same one. Yielding alone is 20 times slower (measured, Linux 6.18): readers that find the
 * ring all but empty again and again change places for one item each.
 */
import { IdleStrategy } from '../../src/toolkit/ring/index.ts';
import { yieldCpu } from '../../src/toolkit/sys/index.ts';

export interface Waiting {
  /** After a look that found nothing. */
  wait(): void;
  /** After one that did, where there was a wait before. */
  done(): void;
}

const LOOK_AGAIN: Waiting = { wait: () => undefined, done: () => undefined };

const SPIN_COUNT = 50;
const YIELD_COUNT = 50;
const SLEEP_MS = 0.05;

function climb(): Waiting {
  const { handle } = IdleStrategy.create({
    kind: 'backoff',
    spinCount: SPIN_COUNT,
    yieldCount: YIELD_COUNT,
    backoffMs: SLEEP_MS,
    backoffMsMax: SLEEP_MS,
  });
  const sleeper = IdleStrategy.sleeper(handle, { yieldCpu });
  return { wait: () => sleeper.idle(0), done: () => sleeper.reset() };
}

/** For one thread of a case that has as many as CPUs, or more (`isCrowd`). */
export function makeWaiting(isCrowd: boolean): Waiting {
  return isCrowd ? climb() : LOOK_AGAIN;
}
