/**
 * Kernels of IdleStrategy: the flag by which a sleeper and its wakers do not miss each other.
 *
 * WHY          A wake-up costs the waker microseconds; one atomic load tells whether it is needed.
 *              Plain functions over words, so that the schedule checker runs the shipped text.
 * LAYOUT       idle-layout.ts; `words` begins with it.
 * OWNERSHIP    sleeper: idleArm, idleDisarm. Wakers, any number: idleClaimWake.
 * MEMORY ORDER the sleeper stores the flag, then looks for work once more, then waits for the flag
 *              to change. The waker publishes its work, then loads the flag. In the single order of
 *              Atomics either the waker sees the flag, or the sleeper sees the work. The flag is
 *              also the word that is waited for: cleared between look and wait, it ends the wait.
 * INVARIANTS   a flag that is set is taken back by one waker alone: it notifies, others need not.
 * PROGRESS     wait-free.
 * REFUSED      a count of wake-ups beside the flag (every waker would notify, until the sleeper
 *              runs again); notifying always (70 ns for a call that finds nobody).
 */
import { IDLE_ASLEEP_WORD } from './idle-layout.ts';

/** What the flag holds while its sleeper sleeps, or is about to. */
export const IDLE_ASLEEP = 1;
const IDLE_AWAKE = 0;

/** Sleeper: says that it will sleep. It looks for work after this, and then waits. */
export function idleArm(words: Int32Array): void {
  Atomics.store(words, IDLE_ASLEEP_WORD, IDLE_ASLEEP);
}

/** Sleeper: says that it is awake. */
export function idleDisarm(words: Int32Array): void {
  Atomics.store(words, IDLE_ASLEEP_WORD, IDLE_AWAKE);
}

/**
 * Waker, after its work was published. True: the sleeper was asleep, or about to be, and it is this
 * waker who has to notify it.
 */
export function idleClaimWake(words: Int32Array): boolean {
  const seen = Atomics.load(words, IDLE_ASLEEP_WORD);
  if (seen !== IDLE_ASLEEP) return false;
  const taken = Atomics.exchange(words, IDLE_ASLEEP_WORD, IDLE_AWAKE);
  return taken === IDLE_ASLEEP;
}
