/**
 * Workers that write at once, or toggle the protection meanwhile. They begin together.
 */
import { workerData } from 'node:worker_threads';
import { Guard, type GuardHandle, nameThread } from '../../src/toolkit/guard/index.ts';

interface Setup {
  readonly work: keyof typeof WORK;
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly count: number;
  /** How many have begun; whose turn it is. */
  readonly start: Int32Array;
  readonly handle?: GuardHandle;
}

const PAGE_BYTES = 4096;

/** Words of `start`. */
const BEGUN = 0;
const TURN = 1;

const WORK = {
  /** Every fourth byte, each worker its own. */
  alternate: ({ bytes, index }: Setup) => {
    for (let i = 0; i < 500; i++) bytes[4 * i + index]! += index + 1;
  },
  /** The same, one after the other: a write begins when the other's has ended. */
  takeTurns: ({ bytes, index, start, count }: Setup) => {
    for (let i = 0; i < 500; i++) {
      for (let turn = Atomics.load(start, TURN); turn % count !== index; ) {
        Atomics.wait(start, TURN, turn, 1000);
        turn = Atomics.load(start, TURN);
      }
      bytes[4 * i + index]! += index + 1;
      Atomics.add(start, TURN, 1);
      Atomics.notify(start, TURN);
    }
  },
  forever: ({ bytes, index }: Setup) => {
    for (;;) bytes[index] = 1;
  },
  /** Two toggle pages, the third writes into them. */
  toggle: ({ bytes, index, handle }: Setup) => {
    const guard = Guard.attach(handle!);
    for (let i = 0; index < 2 && i < 3000; i++) {
      guard.unprotectSlice(PAGE_BYTES * (i & 7), PAGE_BYTES);
      guard.protectSlice(PAGE_BYTES * (i & 7), PAGE_BYTES, i);
    }
    for (let i = 0; index === 2 && i < 800; i++) bytes[PAGE_BYTES * (i & 7) + (i >> 3)] = 1;
  },
};

const setup = workerData as Setup;
const { start, count } = setup;
nameThread(`scribbler ${setup.index}`);
Atomics.add(start, BEGUN, 1);
Atomics.notify(start, BEGUN);
for (let here = 0; here < count; here = Atomics.load(start, BEGUN))
  Atomics.wait(start, BEGUN, here, 1000);
WORK[setup.work](setup);
