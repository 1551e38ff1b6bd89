/**
 * SpscEnds: what SpscRing and SpscByteRing are to those who hold no end of them.
 *
 * WHY        Both have one layout, one producer and one consumer; who looks at a ring from outside,
 *            and gives up the end of a thread that died, does the same to both.
 * LAYOUT     spsc-layout.ts.
 * OWNERSHIP  Nobody's: it looks. Roles change by compare-and-swap (roles.ts).
 * PROGRESS   every method is wait-free.
 */
import type { SharedMemory } from '../base/webassembly.ts';
import { abandonRole, type RoleState, roleState } from './roles.ts';
import {
  SPSC_CONSUMER_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_READ_WORD,
  SPSC_SLOTS_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';

export abstract class SpscEnds {
  readonly #words: Int32Array;

  constructor(memory: SharedMemory) {
    this.#words = new Int32Array(memory.buffer, 0, SPSC_SLOTS_WORD);
  }

  producerState(): RoleState {
    return roleState(this.#words, SPSC_PRODUCER_WORD);
  }

  consumerState(): RoleState {
    return roleState(this.#words, SPSC_CONSUMER_WORD);
  }

  /**
   * For who learns that the thread of the producer has ended (`exit` of its Worker). What it had
   * pushed or committed is not lost: the next producer publishes it. False: nobody held the role.
   */
  abandonProducer(): boolean {
    return abandonRole(this.#words, SPSC_PRODUCER_WORD);
  }

  /**
   * The same for the consumer. The next one goes on at the first slot, or message, that was not
   * popped or released.
   */
  abandonConsumer(): boolean {
    return abandonRole(this.#words, SPSC_CONSUMER_WORD);
  }

  /** What is published and not given back, in the unit of the sequences, as any thread sees it. */
  protected unread(): number {
    const readSeq = Atomics.load(this.#words, SPSC_READ_WORD);
    return (Atomics.load(this.#words, SPSC_WRITE_WORD) - readSeq) | 0;
  }
}
