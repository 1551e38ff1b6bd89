/**
 * Roles: who holds an end of a ring, in one word each.
 *
 * WHY          A second producer of a ring for one producer breaks it silently; and who waits for a
 *              thread that has ended waits for ever.
 * LAYOUT       the word: 0 free; n > 0 held by the thread n - 1; ROLE_CLOSED; ROLE_ABANDONED.
 * OWNERSHIP    every change is a compare-and-swap. close: the holder. abandon: the supervisor of
 *              the holder's thread, when that has ended (a thread that is terminated can say
 *              nothing).
 * INVARIANTS   a role has one holder at any time; who takes it over starts after the last one
 *              ended.
 * MEMORY ORDER the compare-and-swap that takes a role acquires what the last holder had written.
 * PROGRESS     wait-free.
 * REFUSED      a heartbeat (a store for every turn, and a guess in the end).
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../base/assert.ts';

const ROLE_FREE = 0;
const ROLE_CLOSED = -1;
const ROLE_ABANDONED = -2;

/** free: nobody yet. closed: ended in order. abandoned: its thread died. */
export type RoleState = 'free' | 'held' | 'closed' | 'abandoned';

/** Takes the role for this thread; false when somebody has it. */
export function takeRole(words: Int32Array, word: number): boolean {
  const seen = Atomics.load(words, word);
  if (seen > 0) return false;
  return Atomics.compareExchange(words, word, seen, threadId + 1) === seen;
}

/** As takeRole, for callers to whom a second holder is a bug. */
export function claimRole(words: Int32Array, word: number): void {
  assert(takeRole(words, word), 'an end of a ring has one holder: this one is taken');
}

/**
 * Before an end gives up what it has in hand, to close: true when this thread holds it, false when
 * it is closed already. Another holder is asserted, before anything of his is touched.
 */
export function isClosable(words: Int32Array, word: number): boolean {
  const seen = Atomics.load(words, word);
  assert(seen === threadId + 1 || seen < 0, 'only the holder closes its end of a ring');
  return seen > 0;
}

export function closeRole(words: Int32Array, word: number): void {
  const mine = threadId + 1;
  const seen = Atomics.compareExchange(words, word, mine, ROLE_CLOSED);
  assert(seen === mine || seen < 0, 'only the holder closes its end of a ring');
}

/** The holder's thread has ended. False: nobody held the role. */
export function abandonRole(words: Int32Array, word: number): boolean {
  const seen = Atomics.load(words, word);
  if (seen <= 0) return false;
  return Atomics.compareExchange(words, word, seen, ROLE_ABANDONED) === seen;
}

/** Its last holder has closed it or died, and nobody has taken it over. */
export function isRoleGone(words: Int32Array, word: number): boolean {
  const seen = Atomics.load(words, word);
  return seen === ROLE_CLOSED || seen === ROLE_ABANDONED;
}

export function roleState(words: Int32Array, word: number): RoleState {
  const seen = Atomics.load(words, word);
  if (seen === ROLE_FREE) return 'free';
  if (seen === ROLE_CLOSED) return 'closed';
  return seen === ROLE_ABANDONED ? 'abandoned' : 'held';
}

/** threadId (node:worker_threads) of the holder; -1: nobody holds it. */
export function roleThread(words: Int32Array, word: number): number {
  return Math.max(-1, Atomics.load(words, word) - 1);
}
