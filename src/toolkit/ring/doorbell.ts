/**
 * Doorbell: one thread sleeps, others wake it; a ring without a sleeper costs one atomic load.
 *
 * WHY          The journal sleeps when no collector has anything; a futex wake-up costs
 *              microseconds and is saved while the sleeper is awake.
 * OWNERSHIP    `parked`: the sleeper sets and clears it; `rings`: ringers add to it.
 * MEMORY ORDER the sleeper sets `parked`, then looks for work once more, then waits for `rings` to
 *              change from the value it read before it looked; the ringer publishes its work, then
 *              reads `parked`. In the single order of Atomics one of them sees the other.
 * PROGRESS     ring: wait-free. wait: blocking, at most `timeoutMs`.
 */
import { CONTROL_WORDS, DOORBELL_PARKED_WORD, DOORBELL_RINGS_WORD } from './layout.ts';

export class Doorbell {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** Nobody ever notifies on these. */
  readonly #deaf = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(CONTROL_WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** After work was published. */
  ring(): void {
    if (Atomics.load(this.#words, DOORBELL_PARKED_WORD) === 0) return;
    Atomics.add(this.#words, DOORBELL_RINGS_WORD, 1);
    Atomics.notify(this.#words, DOORBELL_RINGS_WORD);
  }

  /**
   * Sleeps for the time, deaf to the bell: for a sleeper that expects work soon and would rather
   * find several pieces of it than be woken for each. Ringers then pay one load.
   */
  doze(timeoutMs: number): void {
    Atomics.wait(this.#deaf, DOORBELL_RINGS_WORD, 0, timeoutMs);
  }

  /** Sleeps until the bell rings or the time is over, unless `hasWork` answers true. */
  wait(timeoutMs: number, hasWork: () => boolean): void {
    const seen = Atomics.load(this.#words, DOORBELL_RINGS_WORD);
    Atomics.store(this.#words, DOORBELL_PARKED_WORD, 1);
    if (!hasWork()) Atomics.wait(this.#words, DOORBELL_RINGS_WORD, seen, timeoutMs);
    Atomics.store(this.#words, DOORBELL_PARKED_WORD, 0);
  }
}
