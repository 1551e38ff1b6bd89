/**
 * Register: each worker says once which thread it is and what it does.
 *
 * WHY         `pin(worker)` needs the kernel's id of the worker's thread, `threads()` its role, and
 *             `confineHelperThreads` must know which threads are not ours.
 * HOW         The memory travels as environment data of node:worker_threads: importing this on the
 *             main thread, before the workers start, is enough. Layout and ownership: layout.ts.
 * REFUSED     Thread names (15 bytes, not unique, taken by others); messages (a thread that blocks
 *             in a system call never answers).
 */
import { getEnvironmentData, threadId as nodeId, setEnvironmentData } from 'node:worker_threads';
import { threadId } from '../sys/index.ts';
import { CpuError } from './cpu-error.ts';
import {
  BEING_WRITTEN,
  ENTRY_COUNT,
  ENTRY_WORDS,
  FREE,
  NODE_ID_WORD,
  REGISTER_BYTES,
  ROLE_BYTES_MAX,
  ROLE_LENGTH_WORD,
  ROLE_WORD,
  START_WORD,
  TID_WORD,
} from './layout.ts';
import type { SystemFiles } from './system-files.ts';
import { systemFiles } from './system-files.ts';
import { readTaskStat } from './task-files.ts';

const KEY = 'millrace/cpu register 1';

export interface Registered {
  /** As gettid(2) says it. */
  readonly threadId: number;
  /** `threadId` of node:worker_threads; 0 is the main thread. */
  readonly nodeId: number;
  readonly role: string;
}

const words = new Int32Array(sharedRegister());
const bytes = new Uint8Array(words.buffer);

/** Handed on to workers that start from now on; a worker takes what its parent had. */
function sharedRegister(): SharedArrayBuffer {
  const found: unknown = getEnvironmentData(KEY);
  if (found instanceof SharedArrayBuffer) return found;
  const made = new SharedArrayBuffer(REGISTER_BYTES);
  setEnvironmentData(KEY, made as unknown as Parameters<typeof setEnvironmentData>[1]);
  return made;
}

/**
 * Says what the calling thread does, in at most 48 bytes; again replaces what it said before. The
 * entry needs no end: one of a thread that has gone is taken by another. Returns the thread's id.
 * Throws MR_ADDON, and MR_CPU when 512 threads stand in the register.
 */
export function registerThread(role: string): number {
  const tid = threadId();
  const files = systemFiles();
  const entry = claimEntry(files, tid);
  const text = new TextEncoder().encode(role).subarray(0, ROLE_BYTES_MAX);
  words[entry + NODE_ID_WORD] = nodeId;
  words[entry + START_WORD] = startOf(files, tid) ?? 0;
  words[entry + ROLE_LENGTH_WORD] = text.length;
  bytes.set(text, 4 * (entry + ROLE_WORD));
  Atomics.store(words, entry + TID_WORD, tid);
  return tid;
}

function claimEntry(files: SystemFiles, tid: number): number {
  for (let entry = 0; entry < words.length; entry += ENTRY_WORDS) {
    if (Atomics.load(words, entry + TID_WORD) !== tid) continue;
    Atomics.store(words, entry + TID_WORD, BEING_WRITTEN);
    return entry;
  }
  for (let entry = 0; entry < words.length; entry += ENTRY_WORDS) {
    const seen = Atomics.load(words, entry + TID_WORD);
    const isFree = seen === FREE || (seen > 0 && !isAlive(files, entry, seen));
    if (!isFree) continue;
    const before = Atomics.compareExchange(words, entry + TID_WORD, seen, BEING_WRITTEN);
    if (before === seen) return entry;
  }
  throw new CpuError(
    'thread',
    `${ENTRY_COUNT} threads stand in the register`,
    'register only threads that are to be pinned or seen',
  );
}

function startOf(files: SystemFiles, tid: number): number | null {
  const stat = readTaskStat(files, 'self', tid);
  return stat === null ? null : stat.startTicks | 0;
}

function isAlive(files: SystemFiles, entry: number, tid: number): boolean {
  return startOf(files, tid) === words[entry + START_WORD];
}

/** All registered threads that are alive. */
export function registeredThreads(): readonly Registered[] {
  const files = systemFiles();
  const found: Registered[] = [];
  for (let entry = 0; entry < words.length; entry += ENTRY_WORDS) {
    const tid = Atomics.load(words, entry + TID_WORD);
    if (tid <= 0 || !isAlive(files, entry, tid)) continue;
    const start = 4 * (entry + ROLE_WORD);
    // A copy: text cannot be decoded from shared memory.
    const text = bytes.slice(start, start + words[entry + ROLE_LENGTH_WORD]!);
    const role = new TextDecoder().decode(text);
    found.push({ threadId: tid, nodeId: words[entry + NODE_ID_WORD]!, role });
  }
  return found;
}
