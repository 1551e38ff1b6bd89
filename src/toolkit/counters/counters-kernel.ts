/**
 * Kernel of Counters: from the live words of a writer to the copy that others read.
 *
 * WHY          A plain function over words and numbers: CounterWriter calls it, and the schedule
 *              checker runs the same text one shared access at a time. counters-wasm.ts does the
 *              same in WebAssembly. Reading is seqlockRead of the ring's seqlock kernel.
 * LAYOUT       counters-layout.ts; a counter is two int32 words.
 * OWNERSHIP    the writer of the slab; after its thread has ended, who buries it.
 * INVARIANTS   1. the published copy changes only while the version is odd. 2. afterwards it equals
 *              the live words as they were during the call, which nobody else writes: counters that
 *              were changed together are published together.
 * MEMORY ORDER live words are read plainly by the thread that wrote them. The stores of published
 *              words and of the version are Atomics, as ring/seqlock-kernel.ts explains; loads of
 *              published words by their only writer need no order.
 * PROGRESS     wait-free: one look at each word, two stores and one for each word that changed.
 * REFUSED      storing all words every time (24 counters: five times the cost of the five that
 *              change in a turn); a list of changed counters (an add would cost twice as much).
 */
import { SEQLOCK_RECORD, seqlockBegin, seqlockEnd, seqlockPut } from '../ring/index.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const RECORD = SEQLOCK_RECORD;

/**
 * Publishes words[live, live + count) as the record of the seqlock at `base`. False: nothing had
 * changed. A copy that was left in the middle by a thread that died is made whole.
 */
export function counterPublish(
  words: Int32Array,
  live: number,
  base: number,
  count: number,
): boolean {
  let isOpen = (words[base]! & 1) !== 0;
  for (let index = 0; index < count; index++) {
    const value = words[live + index]!;
    const published = words[base + RECORD + index]!;
    if (value === published) continue;
    if (!isOpen) seqlockBegin(words, base);
    isOpen = true;
    seqlockPut(words, base, index, value);
  }
  if (isOpen) seqlockEnd(words, base);
  return isOpen;
}
