/**
 * Faults for tests: the typed face fails the n-th call of a function, without asking the kernel.
 *
 * WHY         Every error path of a caller can be walked: a full table of fds, a pipe that is
 *             refused, a connection that dies between two calls.
 * COST        None while no fault is set: the loaded addon is replaced by a copy of itself.
 */
import { native, replaceNative } from './load.ts';
import type { NativeFunctions } from './native-functions.ts';

export interface CallFault {
  readonly call: keyof NativeFunctions;
  /** The first call that fails, counted from 1 and from now. */
  readonly nth: number;
  /** Positive number of errno(3). */
  readonly errno: number;
  /** How many calls in a row fail; 1 when left out. */
  readonly count?: number;
}

export interface SetFault {
  /** Calls of the function since the fault was set, the failed ones included. */
  readonly calls: number;
  /** Puts back what was there before. */
  restore(): void;
}

/** Sets a fault in this thread. Several may be set; restore them in the opposite order. */
export function failCall({ call, nth, errno, count = 1 }: CallFault): SetFault {
  const before = native();
  const genuine = before[call] as (...parameters: unknown[]) => unknown;
  let calls = 0;
  const faulty = (...parameters: unknown[]): unknown => {
    calls += 1;
    if (calls >= nth && calls < nth + count) return -errno;
    return genuine(...parameters);
  };
  replaceNative({ ...before, [call]: faulty });
  return {
    get calls() {
      return calls;
    },
    restore() {
      replaceNative(before);
    },
  };
}
