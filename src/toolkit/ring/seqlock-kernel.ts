/**
 * Kernels of the seqlock: a record of int32 words that one writer changes and anybody copies.
 *
 * WHY          Plain functions over views and numbers, at any place of any Int32Array: SeqlockCell
 *              is one user, a slab of counters another, and the schedule checker runs the same
 *              text one shared access at a time.
 * LAYOUT       seqlock-layout.ts; `base` is the word of the version.
 * OWNERSHIP    writer: seqlockBegin, seqlockPut, seqlockEnd, seqlockWrite. Readers write nothing.
 * INVARIANTS   1. the record changes only while the version is odd. 2. each change leaves another
 *              version behind: who found the same even one before and after copied a whole record.
 *              3. a version comes again after 2^31 writes: a reader that stands still for exactly
 *              so many (minutes at full speed), in the middle of a copy, is not protected.
 * MEMORY ORDER every word of the record goes through Atomics, on both sides. With plain accesses
 *              the model of ECMAScript allows the loads of the record behind the second load of
 *              the version (a sequentially consistent load keeps what follows behind it, not what
 *              precedes before it), and the stores of the record before the store of the odd
 *              version; arm64 does both (LDAR, STLR), x86-64 hides it. Atomics have one order for
 *              all threads: what was loaded between two equal even versions was stored before the
 *              first.
 * PROGRESS     every function is wait-free; a reader is answered SEQLOCK_BUSY, it does not wait.
 * REFUSED      plain accesses with a read-modify-write as a fence (readers would write, and the
 *              model knows no fence); a kernel in WebAssembly (its copy would have to go to a part
 *              of the shared memory for each reader, and out of it again); two copies of the
 *              record in turn, so that a dead writer leaves the last one readable (twice the
 *              stores for each write; a supervisor replaces a dead writer anyway).
 * SOURCE       the sequence counter of Linux; H. Boehm, Can seqlocks get along with programming
 *              language memory models? (MSPC 2012).
 */
import { SEQLOCK_RECORD } from './seqlock-layout.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const RECORD = SEQLOCK_RECORD;

/** In the place of a version: the record was being written. Versions of whole records are even. */
export const SEQLOCK_BUSY = -1;

/**
 * Writer: the record may be changed from here on. The version may be odd already: the last writer
 * died in the middle, and this one has to put every word.
 */
export function seqlockBegin(words: Int32Array, base: number): void {
  const version = words[base]!;
  Atomics.store(words, base, version | 1);
}

/** Writer: one word of the record, between begin and end. */
export function seqlockPut(words: Int32Array, base: number, index: number, value: number): void {
  Atomics.store(words, base + RECORD + index, value);
}

/** Writer: the record is whole. */
export function seqlockEnd(words: Int32Array, base: number): void {
  const version = words[base]!;
  Atomics.store(words, base, (version + 1) | 0);
}

/** Writer: the first `count` words of the record become values[from, from + count). */
export function seqlockWrite(
  words: Int32Array,
  base: number,
  values: Int32Array,
  from: number,
  count: number,
): void {
  seqlockBegin(words, base);
  for (let index = 0; index < count; index++) {
    const value = values[from + index]!;
    Atomics.store(words, base + RECORD + index, value);
  }
  seqlockEnd(words, base);
}

/**
 * Reader: one attempt to copy the first `count` words of the record to into[from, from + count).
 * Answers the version of the copy, or SEQLOCK_BUSY: then `into` holds anything.
 */
export function seqlockRead(
  words: Int32Array,
  base: number,
  into: Int32Array,
  from: number,
  count: number,
): number {
  const before = Atomics.load(words, base);
  if ((before & 1) !== 0) return SEQLOCK_BUSY;
  for (let index = 0; index < count; index++) {
    const value = Atomics.load(words, base + RECORD + index);
    into[from + index] = value;
  }
  const after = Atomics.load(words, base);
  return before === after ? before : SEQLOCK_BUSY;
}
