/**
 * Scenarios of IdleStrategy: a sleeper that parks when a ring is empty, and those who wake it.
 *
 * The sleeper's steps are those of IdleSleeper.park with a ring as its look for work, the waker's
 * those of IdleWaker.wake. Waits have no time limit here: a wake-up that is lost is a thread that
 * waits for ever, where the shipped one would be late by its timeout.
 */
import assert from 'node:assert/strict';
import { IDLE_ASLEEP_WORD } from '../../src/toolkit/ring/idle-layout.ts';
import {
  initSpsc,
  SPSC_CONTROL_BYTES,
  SPSC_SLOTS_WORD,
} from '../../src/toolkit/ring/spsc-layout.ts';
import { type Access, insist, NOTIFY, type Program, WAIT } from './access.ts';
import type { Scenario } from './machine.ts';
import type { KernelOptions, Kernels } from './rewrite.ts';

export const IDLE: KernelOptions = {
  modules: ['spsc-kernel', 'idle-kernel'],
  shared: ['words', 'slots'],
};

const CAPACITY = 2;
const IDLE_WORDS = 32;
const ASLEEP = 1;
const EMPTY = -1;

export interface IdleCase {
  /** Items of each producer; each has a ring of its own. */
  readonly items: readonly number[];
  /** A bug of the caller's: the look for work comes before the flag. */
  readonly looksFirst?: boolean;
  /** A bug of the caller's: the sleeper is woken before the item is published. */
  readonly wakesFirst?: boolean;
}

function* park(words: Int32Array): Program {
  const place = { where: 'IdleSleeper.park', text: 'Atomics.wait(words, IDLE_ASLEEP_WORD, 1)' };
  const wait: Access = {
    op: WAIT,
    array: words,
    index: IDLE_ASLEEP_WORD,
    value: ASLEEP,
    replacement: Number.POSITIVE_INFINITY,
    place,
  };
  yield wait;
}

function* wake(kernels: Kernels, words: Int32Array): Program {
  const isMine = (yield* kernels.idleClaimWake!(words)) as boolean;
  if (!isMine) return;
  const place = { where: 'IdleWaker.wake', text: 'Atomics.notify(words, IDLE_ASLEEP_WORD)' };
  const all = Number.POSITIVE_INFINITY;
  yield { op: NOTIFY, array: words, index: IDLE_ASLEEP_WORD, value: all, replacement: 0, place };
}

export function parking(kernels: Kernels, spec: IdleCase): Scenario {
  const { items, looksFirst = false, wakesFirst = false } = spec;
  const ringBytes = SPSC_CONTROL_BYTES + CAPACITY * 4;
  const memory = new ArrayBuffer(IDLE_WORDS * 4 + items.length * ringBytes);
  const idle = new Int32Array(memory, 0, IDLE_WORDS);
  const rings = items.map((_, i) => {
    const start = IDLE_WORDS * 4 + i * ringBytes;
    const words = new Int32Array(memory, start, SPSC_SLOTS_WORD);
    return { words, slots: new Int32Array(memory, start + SPSC_CONTROL_BYTES, CAPACITY) };
  });

  function* produce(index: number): Program {
    const { words, slots } = rings[index]!;
    for (let item = 1; item <= items[index]!; item++) {
      if (wakesFirst) yield* wake(kernels, idle);
      const pushed = item;
      yield* insist(() => kernels.spscPushInt!(words, slots, pushed), Boolean);
      if (!wakesFirst) yield* wake(kernels, idle);
    }
  }

  function* consume(): Program {
    const next = items.map(() => 1);
    let left = items.reduce((sum, count) => sum + count, 0);
    function* look(): Program<boolean> {
      for (const [i, { words, slots }] of rings.entries()) {
        const item: number = yield* kernels.spscPopInt!(words, slots, EMPTY);
        if (item === EMPTY) continue;
        assert.equal(item, next[i]!);
        next[i]! += 1;
        left -= 1;
        return true;
      }
      return false;
    }
    while (left > 0) {
      if (yield* look()) continue;
      yield* kernels.idleArm!(idle);
      const hasFound = !looksFirst && (yield* look());
      if (!hasFound) yield* park(idle);
      yield* kernels.idleDisarm!(idle);
    }
  }

  return () => {
    new Int32Array(memory).fill(0);
    const threads: Record<string, Program> = { sleeper: consume() };
    for (const [i, { words }] of rings.entries()) {
      initSpsc(words, { capacity: CAPACITY, publishEvery: 1, creditEvery: 1 }, 0);
      threads[`waker ${i}`] = produce(i);
    }
    return { memory, threads };
  };
}
