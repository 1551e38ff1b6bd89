/**
 * Kernels of the SPSC rings: what touches the words that both sides share, and nothing else.
 *
 * WHY          Plain functions over a view and numbers: the classes call them, and the schedule
 *              checker runs the same text one shared access at a time. spsc-wasm.ts does the same
 *              for single items in WebAssembly.
 * LAYOUT       spsc-layout.ts; `words` begins with the ring. `capacity` is in the unit of the
 *              sequences: slots or bytes.
 * OWNERSHIP    writer: spscRoom, spscCommit, spscPublish. Reader: spscAvailable, spscRelease,
 *              spscCredit.
 * INVARIANTS   readSeq <= nextReadSeq <= writeSeq <= nextWriteSeq <= readSeq + capacity, by
 *              wrapping arithmetic.
 * MEMORY ORDER the store of writeSeq publishes what was written before it; the load of writeSeq in
 *              spscAvailable acquires it. The store of readSeq gives room back; the load of readSeq
 *              in spscRoom takes it. Own notes and payload are plain.
 * PROGRESS     wait-free: no loop, at most two atomic operations.
 * REFUSED      reading the opposite sequence for every item (5 times slower); BigInt64 sequences
 *              (boxed by V8).
 */
import {
  SPSC_CACHED_READ_WORD,
  SPSC_CACHED_WRITE_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_READ_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';

/**
 * Writer: how much may be written at nextWriteSeq; at least `wanted` if there is so much. When
 * there is not, all that was written is published, so that the reader can make room.
 */
export function spscRoom(words: Int32Array, capacity: number, wanted: number): number {
  const nextWriteSeq = words[SPSC_NEXT_WRITE_WORD]!;
  const cachedReadSeq = words[SPSC_CACHED_READ_WORD]!;
  const cachedRoom = (capacity - ((nextWriteSeq - cachedReadSeq) | 0)) | 0;
  if (cachedRoom >= wanted) return cachedRoom;
  const readSeq = Atomics.load(words, SPSC_READ_WORD);
  words[SPSC_CACHED_READ_WORD] = readSeq;
  const room = (capacity - ((nextWriteSeq - readSeq) | 0)) | 0;
  if (room < wanted) spscPublish(words);
  return room;
}

/** Writer: `count` more are written; published when `publishEvery` are not. */
export function spscCommit(words: Int32Array, count: number, publishEvery: number): void {
  const nextWriteSeq = (words[SPSC_NEXT_WRITE_WORD]! + count) | 0;
  words[SPSC_NEXT_WRITE_WORD] = nextWriteSeq;
  const unpublished = (nextWriteSeq - words[SPSC_WRITE_WORD]!) | 0;
  if (unpublished >= publishEvery) Atomics.store(words, SPSC_WRITE_WORD, nextWriteSeq);
}

/** Writer: publishes all that is written. False: all was published before. */
export function spscPublish(words: Int32Array): boolean {
  const nextWriteSeq = words[SPSC_NEXT_WRITE_WORD]!;
  if (nextWriteSeq === words[SPSC_WRITE_WORD]!) return false;
  Atomics.store(words, SPSC_WRITE_WORD, nextWriteSeq);
  return true;
}

/**
 * Reader: how much may be read at nextReadSeq; at least `wanted` if there is so much. When there is
 * nothing, all that was read is given back.
 */
export function spscAvailable(words: Int32Array, wanted: number): number {
  const nextReadSeq = words[SPSC_NEXT_READ_WORD]!;
  const cached = (words[SPSC_CACHED_WRITE_WORD]! - nextReadSeq) | 0;
  if (cached >= wanted) return cached;
  const writeSeq = Atomics.load(words, SPSC_WRITE_WORD);
  words[SPSC_CACHED_WRITE_WORD] = writeSeq;
  const available = (writeSeq - nextReadSeq) | 0;
  if (available === 0) spscCredit(words);
  return available;
}

/** Reader: `count` more are read; given back when `creditEvery` are not. */
export function spscRelease(words: Int32Array, count: number, creditEvery: number): void {
  const nextReadSeq = (words[SPSC_NEXT_READ_WORD]! + count) | 0;
  words[SPSC_NEXT_READ_WORD] = nextReadSeq;
  const owed = (nextReadSeq - words[SPSC_READ_WORD]!) | 0;
  if (owed >= creditEvery) Atomics.store(words, SPSC_READ_WORD, nextReadSeq);
}

/** Reader: gives all that is read back. False: all was given back before. */
export function spscCredit(words: Int32Array): boolean {
  const nextReadSeq = words[SPSC_NEXT_READ_WORD]!;
  if (nextReadSeq === words[SPSC_READ_WORD]!) return false;
  Atomics.store(words, SPSC_READ_WORD, nextReadSeq);
  return true;
}
