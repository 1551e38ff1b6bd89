/**
 * The guard's native functions: the one list, the type of each, and who loads them.
 *
 * WHY         A test compares GUARD_FUNCTION_NAMES with what build/millrace-guard.node exports, the
 *             compiler compares it with the interface, both ways.
 * LOADING     At the first call, in each thread: the addon installs the signal handlers, and gives
 *             the thread an alternate stack until its environment ends. MR_ADDON says what was
 *             tried; MR_GUARD_CPU that there is no guard for this processor.
 * RESULTS     Every number is a value >= 0 or -errno; problem() is the sentence of the last
 *             failure in this thread. Wrong arguments throw TypeError or RangeError from C.
 * REFUSED     addresses as numbers: typed array, offset and length instead, checked in C.
 */
import { isMainThread, threadId } from 'node:worker_threads';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { type LoadOptions, loadNativeFile } from '../sys/index.ts';
import { GuardError } from './guard-error.ts';
import { checkNames, type NamedFrame } from './js-names.ts';
import { checkReportFile } from './report-file.ts';

/** `mode` of region(): enum mg_mode. */
export const GUARD_MODES = { report: 0, continue: 1, divert: 2, throw: 3 } as const;
/** `flags` of region(): enum mg_flags. */
export const GUARD_ALIAS = 1;
export const GUARD_SYSCALLS = 2;
export const GUARD_NO_READ = 4;
export const GUARD_ONCE = 8;

export interface GuardFunctions {
  /**
   * Registers the whole pages inside the slice: a region id. `extent` receives the offset of these
   * pages from the slice's start, and their bytes. Nothing is protected yet. -EINVAL: no whole
   * page, or options that exclude each other; -EEXIST: overlaps a region; -ENOSPC, -ENOMEM.
   */
  region(
    bytes: Uint8Array,
    offset: number,
    length: number,
    label: string,
    mode: number,
    flags: number,
    allow: string,
    extent: Float64Array,
  ): number;
  /** Offset from the start of the slice that was given to region(). mprotect(2); -ENOENT. */
  protect(id: number, offset: number, bytes: number, generation: number): number;
  unprotect(id: number, offset: number, bytes: number): number;
  /** Unprotects and forgets. */
  regionEnd(id: number): number;
  /** `counts` receives the faults that were reported, and the writes that `allow` let pass. */
  regionCounts(id: number, counts: Float64Array): number;
  problem(): string;

  /**
   * Copies the JSON line of report `seq` into the slice: its bytes; 0: not written yet; -ENOENT:
   * no longer kept; -ENOSPC: the slice is too short for it (32 KiB are enough for all).
   */
  takeReport(bytes: Uint8Array, offset: number, length: number, seq: number): number;
  /** seq of the newest report; 0: none. */
  lastReport(): number;
  /** Appends reports to this file from now on; '': to none. open(2), the path's errors. */
  reportFile(path: string): number;

  /** This thread's name and role in reports: at most 31 bytes each; '' leaves what is there. */
  nameThread(name: string, role: string): number;

  /** Culprit number 0 to 1023: label, function, file, line, column, count; null: none there. */
  seen(index: number): readonly [string, string, string, number, number, number] | null;
  /** A bug on purpose, for the demonstration and for tests: up to 4096 bytes, unchecked. */
  scribble(bytes: Uint8Array, offset: number, count: number, value: number): number;
  /**
   * Memory between two inaccessible pages, its end at the second one as far as `align` (2^n)
   * allows; 0: its start at the first one. Freed when it is collected. -EINVAL, -ENOMEM, -ENOSPC.
   */
  alloc(bytes: number, align: number, label: string): ArrayBuffer | number;
  /** Detaches, closes the memory: the number of broken canaries. -EALREADY, -EEXIST. */
  free(buffer: ArrayBuffer): number;
  /**
   * Closes the first and the last of these whole pages of a buffer of V8: the offset of `bytes`
   * bytes between them, as by alloc(). The buffer must live until check(.., 2).
   */
  close(
    pages: Uint8Array,
    offset: number,
    length: number,
    bytes: number,
    align: number,
    label: string,
  ): number;
  /**
   * Broken canaries of the allocation that begins here; `what` 1 closes its data, between the pages
   * of close(); 2 opens all of these, which are the slice.
   */
  check(view: Uint8Array, offset: number, length: number, what: 0 | 1 | 2): number;
  /** Writes a pattern into the first and last bytes of a slice, or counts the broken ends. */
  canary(
    bytes: Uint8Array,
    offset: number,
    length: number,
    before: number,
    after: number,
    isNew: 0 | 1,
    label: string,
  ): number;
  /** perf_event_open(2): an id; -ENOSPC: no slot is free; -EACCES, -EPERM, -ENOENT, -ENOSYS. */
  watch(
    bytes: Uint8Array,
    offset: number,
    length: number,
    reads: 0 | 1,
    mode: number,
    label: string,
  ): number;
  watchEnd(id: number): number;

  /**
   * The JavaScript frames of the caller as the signal handler would name them; 1: all frames of
   * this thread's last fault, as it did.
   */
  captureStack(isFault: 0 | 1): NamedFrame[];
  /** Reads V8's heap in way 0 (as it is), 1 .. from now on: 1, or 0: there is no such way. */
  tryV8(variant: number): number;
}

export type GuardFunctionName = keyof GuardFunctions;

const NAMES: Readonly<Record<GuardFunctionName, true>> = {
  region: true,
  protect: true,
  unprotect: true,
  regionEnd: true,
  regionCounts: true,
  problem: true,
  takeReport: true,
  lastReport: true,
  reportFile: true,
  nameThread: true,
  seen: true,
  scribble: true,
  alloc: true,
  free: true,
  close: true,
  check: true,
  canary: true,
  watch: true,
  watchEnd: true,
  captureStack: true,
  tryV8: true,
};
export const GUARD_FUNCTION_NAMES = Object.keys(NAMES) as readonly GuardFunctionName[];

let loaded: GuardFunctions | undefined;

/**
 * The guard's functions in this thread, which is named by its threadId. Errors: MR_ADDON,
 * MR_GUARD_CPU, MR_GUARD_FILE.
 */
export function guardNative(): GuardFunctions {
  if (loaded === undefined) {
    const { MILLRACE_GUARD_REPORT = '' } = process.env;
    if (MILLRACE_GUARD_REPORT !== '') {
      checkReportFile(MILLRACE_GUARD_REPORT, 'MILLRACE_GUARD_REPORT');
    }
    loaded = loadGuard();
    loaded.nameThread(isMainThread ? 'main' : `worker ${threadId}`, '');
    checkNames(loaded);
    if (isMainThread) stayOnTop(loaded);
  }
  return loaded;
}

const OUR_SIGNALS: readonly unknown[] = ['SIGSEGV', 'SIGBUS', 'SIGTRAP'];

/**
 * process.on('SIGSEGV') puts libuv's handler above ours, off() the default: a write into a guarded
 * page would fault for ever, or die without a report. Registering a region puts ours on top again.
 */
function stayOnTop(native: GuardFunctions): void {
  const pages = new Uint8Array(
    new SharedArrayBuffer(OS_PAGE_BYTES, { maxByteLength: OS_PAGE_BYTES }),
  );
  const put = (name: string | symbol): void => {
    if (!OUR_SIGNALS.includes(name)) return;
    const id = native.region(pages, 0, OS_PAGE_BYTES, '', 0, 0, '', new Float64Array(2));
    if (id > 0) native.regionEnd(id);
  };
  process.on('newListener', put).on('removeListener', put);
}

/** Loads without the cache of guardNative(). */
export function loadGuard(options: LoadOptions & { readonly arch?: string } = {}): GuardFunctions {
  const { arch = process.arch } = options;
  if (arch !== 'x64') {
    throw new GuardError(
      'MR_GUARD_CPU',
      `the memory-corruption guard needs an x86-64 processor, found ${arch}`,
      'run the program on x86-64 Linux; elsewhere AddressSanitizer and valgrind may help',
    );
  }
  return loadNativeFile('millrace-guard.node', GUARD_FUNCTION_NAMES, options) as GuardFunctions;
}
