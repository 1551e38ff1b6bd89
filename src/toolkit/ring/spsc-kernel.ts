/**
 * Kernels of the SPSC rings: what touches the words that both sides share, and nothing else.
 *
 * WHY          Plain functions over views and numbers: the classes call them, and the schedule
 *              checker runs the same text one shared access at a time. spsc-wasm.ts does the same
 *              for single items in WebAssembly.
 * LAYOUT       spsc-layout.ts; `words` begins with the ring. Counts are in the unit of the
 *              sequences: slots or bytes.
 * OWNERSHIP    writer: spscRoom, spscCommit, spscPublish, spscPush*. Reader: spscAvailable,
 *              spscRelease, spscCredit, spscPop*.
 * INVARIANTS   readSeq <= nextReadSeq <= readLimitSeq <= writeSeq <= nextWriteSeq <= writeLimitSeq
 *              <= readSeq + capacity, by wrapping arithmetic.
 * MEMORY ORDER the store of writeSeq publishes what was written before it; the load of writeSeq in
 *              spscAvailable acquires it. The store of readSeq gives room back; the load of readSeq
 *              in spscRoom takes it. Own notes and payload are plain.
 * PROGRESS     wait-free: no loop, at most two atomic operations.
 * REFUSED      reading the opposite sequence for every item (5 times slower); BigInt64 sequences
 *              (boxed by V8); own notes as differences (three loads for an item where one does).
 */
import {
  SPSC_CREDIT_AT_WORD,
  SPSC_CREDIT_EVERY_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_PUBLISH_AT_WORD,
  SPSC_PUBLISH_EVERY_WORD,
  SPSC_READ_LIMIT_WORD,
  SPSC_READ_WORD,
  SPSC_WRITE_LIMIT_WORD,
  SPSC_WRITE_WORD,
  SPSC_WRITER_CAPACITY_WORD,
} from './spsc-layout.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const WRITE = SPSC_WRITE_WORD;
const NEXT_WRITE = SPSC_NEXT_WRITE_WORD;
const WRITE_LIMIT = SPSC_WRITE_LIMIT_WORD;
const PUBLISH_AT = SPSC_PUBLISH_AT_WORD;
const READ = SPSC_READ_WORD;
const NEXT_READ = SPSC_NEXT_READ_WORD;
const READ_LIMIT = SPSC_READ_LIMIT_WORD;
const CREDIT_AT = SPSC_CREDIT_AT_WORD;

/**
 * Writer: how much may be written at nextWriteSeq; at least `wanted` if there is so much. When
 * there is not, all that was written is published, so that the reader can make room.
 */
export function spscRoom(words: Int32Array, wanted: number): number {
  const nextWriteSeq = words[NEXT_WRITE]!;
  const noted = (words[WRITE_LIMIT]! - nextWriteSeq) | 0;
  if (noted >= wanted) return noted;
  const readSeq = Atomics.load(words, READ);
  const writeLimitSeq = (readSeq + words[SPSC_WRITER_CAPACITY_WORD]!) | 0;
  words[WRITE_LIMIT] = writeLimitSeq;
  const room = (writeLimitSeq - nextWriteSeq) | 0;
  if (room < wanted) spscPublish(words);
  return room;
}

/** Writer: `count` more are written; published when `publishEvery` are not. */
export function spscCommit(words: Int32Array, count: number): void {
  const nextWriteSeq = (words[NEXT_WRITE]! + count) | 0;
  words[NEXT_WRITE] = nextWriteSeq;
  if (((nextWriteSeq - words[PUBLISH_AT]!) | 0) >= 0) spscPublish(words);
}

/** Writer: publishes all that is written. False: all was published before. */
export function spscPublish(words: Int32Array): boolean {
  const nextWriteSeq = words[NEXT_WRITE]!;
  if (nextWriteSeq === words[WRITE]!) return false;
  words[PUBLISH_AT] = nextWriteSeq + words[SPSC_PUBLISH_EVERY_WORD]!;
  Atomics.store(words, WRITE, nextWriteSeq);
  return true;
}

/**
 * Reader: how much may be read at nextReadSeq; at least `wanted` if there is so much. When there is
 * nothing, all that was read is given back.
 */
export function spscAvailable(words: Int32Array, wanted: number): number {
  const nextReadSeq = words[NEXT_READ]!;
  const noted = (words[READ_LIMIT]! - nextReadSeq) | 0;
  if (noted >= wanted) return noted;
  const writeSeq = Atomics.load(words, WRITE);
  words[READ_LIMIT] = writeSeq;
  const available = (writeSeq - nextReadSeq) | 0;
  if (available === 0) spscCredit(words);
  return available;
}

/** Reader: `count` more are read; given back when `creditEvery` are not. */
export function spscRelease(words: Int32Array, count: number): void {
  const nextReadSeq = (words[NEXT_READ]! + count) | 0;
  words[NEXT_READ] = nextReadSeq;
  if (((nextReadSeq - words[CREDIT_AT]!) | 0) >= 0) spscCredit(words);
}

/** Reader: gives all that is read back. False: all was given back before. */
export function spscCredit(words: Int32Array): boolean {
  const nextReadSeq = words[NEXT_READ]!;
  if (nextReadSeq === words[READ]!) return false;
  words[CREDIT_AT] = nextReadSeq + words[SPSC_CREDIT_EVERY_WORD]!;
  Atomics.store(words, READ, nextReadSeq);
  return true;
}

/** Writer: room, item and commit in one, for slots of one float64. False: full. */
export function spscPushFloat(words: Int32Array, slots: Float64Array, value: number): boolean {
  const nextWriteSeq = words[NEXT_WRITE]!;
  if (nextWriteSeq === words[WRITE_LIMIT]!) {
    const room = spscRoom(words, 1);
    if (room < 1) return false;
  }
  slots[nextWriteSeq & (slots.length - 1)] = value;
  const endSeq = (nextWriteSeq + 1) | 0;
  words[NEXT_WRITE] = endSeq;
  if (endSeq === words[PUBLISH_AT]!) spscPublish(words);
  return true;
}

/** The same for slots of one int32: a function of its own, as V8 compiles for one kind of view. */
export function spscPushInt(words: Int32Array, slots: Int32Array, value: number): boolean {
  const nextWriteSeq = words[NEXT_WRITE]!;
  if (nextWriteSeq === words[WRITE_LIMIT]!) {
    const room = spscRoom(words, 1);
    if (room < 1) return false;
  }
  slots[nextWriteSeq & (slots.length - 1)] = value;
  const endSeq = (nextWriteSeq + 1) | 0;
  words[NEXT_WRITE] = endSeq;
  if (endSeq === words[PUBLISH_AT]!) spscPublish(words);
  return true;
}

/** Reader: the next item, for slots of one float64; `whenEmpty` when there is none. */
export function spscPopFloat(words: Int32Array, slots: Float64Array, whenEmpty: number): number {
  const nextReadSeq = words[NEXT_READ]!;
  if (nextReadSeq === words[READ_LIMIT]!) {
    const available = spscAvailable(words, 1);
    if (available < 1) return whenEmpty;
  }
  const value = slots[nextReadSeq & (slots.length - 1)]!;
  const endSeq = (nextReadSeq + 1) | 0;
  words[NEXT_READ] = endSeq;
  if (endSeq === words[CREDIT_AT]!) spscCredit(words);
  return value;
}

/** The same for slots of one int32. */
export function spscPopInt(words: Int32Array, slots: Int32Array, whenEmpty: number): number {
  const nextReadSeq = words[NEXT_READ]!;
  if (nextReadSeq === words[READ_LIMIT]!) {
    const available = spscAvailable(words, 1);
    if (available < 1) return whenEmpty;
  }
  const value = slots[nextReadSeq & (slots.length - 1)]!;
  const endSeq = (nextReadSeq + 1) | 0;
  words[NEXT_READ] = endSeq;
  if (endSeq === words[CREDIT_AT]!) spscCredit(words);
  return value;
}
