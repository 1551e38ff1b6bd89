/**
 * Layout of a slab set: one slab for each writer, all in one shared memory.
 *
 *   slab w, at byte w * slab bytes
 *     0    live       writer      `names.length` float64, in the order of the names; plain adds
 *     L    role       by compare-and-swap (ring/roles.ts), who writes the rest of this slab
 *     L+128 version   writer      of the published copy: even, it is whole; odd, it is written
 *          (4 bytes unused)
 *     L+136 published writer      the live words as they were at the last publish()
 *     ...             up to the next multiple of 128: slab w + 1
 *
 * L is the length of the live words, rounded up to 128 bytes. So no line of one writer is touched
 * by another writer, and the live lines are read by nobody else while the writer lives: an add is
 * a load and a store of a line that stays in the writer's cache. Readers fetch published lines
 * only, and the writer pays for that once for each publish().
 * Version and published copy are a seqlock as ring/seqlock-layout.ts has it; a float64 is two of
 * its int32 words, low half first on every machine that Node.js runs on.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';
import type { SharedMemory } from '../base/webassembly.ts';
import { type Backend, SEQLOCK_RECORD } from '../ring/index.ts';

/** What travels to workers, by workerData or postMessage. */
export interface CounterHandle<Name extends string = string> {
  readonly names: readonly Name[];
  readonly writerCount: number;
  readonly memory: SharedMemory;
  readonly backend: Backend;
}

/** int32 words between what different writers write. */
const LINE_WORDS = CACHE_LINE_PAIR_BYTES / 4;
/** int32 words of one counter. */
export const COUNTER_WORDS = 2;

function roundUp(words: number): number {
  return Math.ceil(words / LINE_WORDS) * LINE_WORDS;
}

/** Where the parts of a slab are, in int32 words from the start of the memory. */
export interface SlabPlace {
  readonly liveWord: number;
  readonly roleWord: number;
  /** The version; the published copy stands SEQLOCK_RECORD words behind it. */
  readonly baseWord: number;
  /** int32 words of the live part, and of the published one. */
  readonly wordCount: number;
}

function slabWords(nameCount: number): number {
  const values = nameCount * COUNTER_WORDS;
  return roundUp(values) + LINE_WORDS + roundUp(SEQLOCK_RECORD + values);
}

export function slabPlace(nameCount: number, writer: number): SlabPlace {
  const liveWord = writer * slabWords(nameCount);
  const wordCount = nameCount * COUNTER_WORDS;
  const roleWord = liveWord + roundUp(wordCount);
  return { liveWord, roleWord, baseWord: roleWord + LINE_WORDS, wordCount };
}

/** Bytes of `writerCount` slabs. */
export function slabSetBytes(nameCount: number, writerCount: number): number {
  return writerCount * slabWords(nameCount) * 4;
}
