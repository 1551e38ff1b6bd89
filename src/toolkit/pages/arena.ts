/**
 * Arena: the memory of a pool's pages.
 *
 * WHY         Pages are shared by all threads, start on an OS page, and are handed to the kernel;
 *             what the kernel still refers to must be replaceable under it.
 * LAYOUT      one shared WebAssembly.Memory: private anonymous memory of the process, whose buffer
 *             travels to workers. With `huge`, 2 MiB more, so that page 0 starts on a boundary:
 *               [ up to 2 MiB untouched | page 0 | page 1 | ...... | rest ]
 *             from the start of the memory to page 0: `offset`.
 * OWNERSHIP   The creator asks the kernel; everybody else sees the answers (ArenaReport). The
 *             memory goes when nobody refers to its buffer any more.
 * INVARIANTS  1. a refusal is an answer in the report, and the arena works without what was refused
 *             2. memory is only renewed when it was seen to work at creation: a kernel, or a
 *             WebAssembly of the future with memory from a file, would give the old bytes back
 *             3. no address leaves this file (the mapping is looked up for its distance to the next
 *             boundary and for what became huge).
 * REFUSED     A SharedArrayBuffer (starts behind the header of an allocator, not on an OS page); a
 *             mapped memory file behind external buffers (docs/decisions/0008-anonymous-arena.md).
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { type SharedMemory, SharedWasmMemory, WASM_PAGE_BYTES } from '../base/webassembly.ts';
import { ENOMEM, errnoName, type MemoryAdvice, madvise } from '../sys/index.ts';
import { findNewMapping, type Mapping, readMappingDetail, readMappings } from './mappings.ts';

/** WebAssembly addresses are 32 bits. */
export const ARENA_BYTES_MAX = 65_536 * WASM_PAGE_BYTES;
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

export interface ArenaOptions {
  /** Have all memory at once, not as it is first touched. */
  readonly prefault?: boolean;
  /** Ask for huge pages. */
  readonly huge?: boolean;
}

/** What the kernel said to one wish. */
export interface ArenaAnswer {
  readonly state: 'granted' | 'refused' | 'notAsked';
  /** For people; empty when granted as asked. */
  readonly reason: string;
}

export interface ArenaReport {
  /** Bytes of all pages. */
  readonly bytes: number;
  /** A child process does not get the memory: pages in flight stay the parent's own. */
  readonly dontFork: ArenaAnswer;
  readonly huge: ArenaAnswer;
  /** Bytes in huge pages when the arena was made; null: not asked, or the kernel does not say. */
  readonly hugeBytes: number | null;
  readonly prefault: ArenaAnswer;
  /** The memory of a page can be replaced under the kernel: what a stale page needs. */
  readonly renewal: ArenaAnswer;
}

export interface Arena {
  readonly memory: SharedMemory;
  /** Where page 0 starts in it. */
  readonly offset: number;
  readonly report: ArenaReport;
}

const GRANTED: ArenaAnswer = { state: 'granted', reason: '' };
const NOT_ASKED: ArenaAnswer = { state: 'notAsked', reason: '' };

/** Throws MR_ARENA when the memory cannot be had at all. */
export function createArena(bytes: number, options: ArenaOptions = {}): Arena {
  assert(bytes > 0 && bytes % OS_PAGE_BYTES === 0, 'an arena is made of whole OS pages');
  const { huge = false, prefault = false } = options;
  const slack = huge && bytes + HUGE_PAGE_BYTES <= ARENA_BYTES_MAX ? HUGE_PAGE_BYTES : 0;
  const before = huge ? mappings() : null;
  const memory = reserve(bytes + slack);
  const whole = new Uint8Array(memory.buffer);
  const mapping = before === null ? null : newMapping(before, whole.length);
  const offset = slack === 0 || mapping === null ? 0 : toBoundary(mapping.start);
  const pages = new Uint8Array(memory.buffer, offset, bytes);
  const dontFork = answerOf(tryAdvise(whole, 'dontFork'));
  const hugeAnswer = huge ? answerOf(tryAdvise(whole, 'hugePage')) : NOT_ASKED;
  const renewal = tryRenewal(whole);
  const prefaultAnswer = prefault ? populate(pages) : NOT_ASKED;
  const hugeBytes = mapping === null ? null : (readMappingDetail(mapping.start)?.hugeBytes ?? null);
  return {
    memory,
    offset,
    report: { bytes, dontFork, huge: hugeAnswer, hugeBytes, prefault: prefaultAnswer, renewal },
  };
}

/**
 * Replaces the memory of a range: it reads as zeros, and whoever outside refers to the old memory
 * keeps that. False where the kernel refuses: nothing has changed.
 */
export function renewMemory(
  bytes: Uint8Array,
  offset: number,
  length: number,
  report: ArenaReport,
): boolean {
  if (report.renewal.state !== 'granted') return false;
  if (madvise(bytes, offset, length, 'dontNeed') !== length) return false;
  // Refused, memory comes as it is touched.
  if (report.prefault.state === 'granted') madvise(bytes, offset, length, 'populateWrite');
  return true;
}

function reserve(bytes: number): SharedMemory {
  const wasmPages = Math.ceil(bytes / WASM_PAGE_BYTES);
  try {
    return new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
  } catch (error) {
    throw new MillraceError(
      'MR_ARENA',
      `${bytes} bytes of memory for pages cannot be had: ${(error as Error).message}`,
      `ask for less (at most ${ARENA_BYTES_MAX}), or free memory and address space (ulimit -v)`,
      { cause: error },
    );
  }
}

/** madvise of all of `bytes`: its result, or null without the addon. */
function tryAdvise(bytes: Uint8Array, advice: MemoryAdvice): number | null {
  try {
    return madvise(bytes, 0, bytes.length, advice);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_ADDON') return null;
    throw error;
  }
}

function answerOf(result: number | null): ArenaAnswer {
  if (result === null) return refused('needs the native addon');
  return result < 0 ? refused(`madvise: ${errnoName(result)}`) : GRANTED;
}

function refused(reason: string): ArenaAnswer {
  return { state: 'refused', reason };
}

/**
 * Nobody refers to the memory yet: a byte that was written must be gone. All of the memory is given
 * up, for what is left of a range with a single OS page cannot become a huge page any more.
 */
function tryRenewal(whole: Uint8Array): ArenaAnswer {
  whole[0] = 1;
  const result = tryAdvise(whole, 'dontNeed');
  const isOldBack = whole[0] !== 0;
  if (isOldBack) whole[0] = 0;
  return result !== null && result >= 0 && isOldBack
    ? refused('the old memory came back')
    : answerOf(result);
}

/** Where the kernel does not know the advice, one byte of each OS page is written instead. */
function populate(pages: Uint8Array): ArenaAnswer {
  const result = tryAdvise(pages, 'populateWrite');
  const answer = answerOf(result);
  if (result === -ENOMEM || answer.state === 'granted') return answer;
  for (let at = 0; at < pages.length; at += OS_PAGE_BYTES) pages[at] = 0;
  return { state: 'granted', reason: `by writing (${answer.reason})` };
}

function toBoundary(start: number): number {
  return (HUGE_PAGE_BYTES - (start % HUGE_PAGE_BYTES)) % HUGE_PAGE_BYTES;
}

/** Null where /proc cannot be read: then nothing is known about huge pages. */
function mappings(): Mapping[] | null {
  try {
    return readMappings();
  } catch {
    return null;
  }
}

function newMapping(before: readonly Mapping[], bytes: number): Mapping | null {
  const after = mappings();
  return after === null ? null : findNewMapping(before, after, bytes);
}
