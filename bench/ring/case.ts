/**
 * What a case of the JavaScript side is: threads, what they share, and what each does.
 */
import type { Transferable } from 'node:worker_threads';
import { sumBelow } from './section.ts';

/** What one thread of a case gets when it is started. */
export interface Share {
  readonly data: unknown;
  readonly transfer?: readonly Transferable[];
}

/** Sends or receives `items`; returns the sum of what it received. */
export type Run = (items: number) => number | Promise<number>;

export interface RingCase {
  readonly threads: number;
  /** In the main thread: what the threads have in common, one share a thread. */
  share(): readonly Share[];
  /** In thread `index`: what it does in a section. */
  start(index: number, data: unknown): Run;
  /** The sum over all threads. */
  expected(items: number): number;
}

/** A case of one sender and one receiver who share `data`. */
export function pairCase<Data>(
  makeData: () => Data,
  send: (data: Data) => Run,
  receive: (data: Data) => Run,
  expected: (items: number) => number = sumBelow,
): RingCase {
  return {
    threads: 2,
    share() {
      const data = makeData();
      return [{ data }, { data }];
    },
    start: (index, data) => (index === 0 ? send(data as Data) : receive(data as Data)),
    expected,
  };
}
