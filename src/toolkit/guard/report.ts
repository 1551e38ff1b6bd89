/**
 * Reports of the guard: the type of one, and the reader of the JSON lines that native/guard writes.
 *
 * LAYOUT      One line, one object, with these fields under these names; in a line a field that is
 *             not there is null here. docs/reference/guard-report.md has the table.
 * INVARIANTS  Numbers that may exceed 2^53 (addresses, arguments) are texts in hex; all others are
 *             exact. What is not known is null, or '' where it is text; nothing is guessed.
 */

/** How exact a frame is, and how it ran. */
export type GuardFrameNote =
  /** JavaScript, by V8's interpreter, by its baseline compiler, by its optimising compiler. */
  | 'interpreted'
  | 'baseline'
  | 'optimized'
  /** This function was inlined into that of the next frame. */
  | 'inlined'
  /** Line and column are where the function begins, not where it wrote. */
  | 'function-line'
  /** Functions that were inlined into this one are not shown: it may have been one of them. */
  | 'may-hide-inlined'
  /** Named from V8's perf map, not from its own structures. */
  | 'perf-map';

export interface GuardFrame {
  /** `builtin`: part of V8 itself. */
  readonly kind: 'native' | 'builtin' | 'js' | 'wasm';
  /** '' when not known; of a JavaScript function: anonymous. */
  readonly function: string;
  /** Path or URL of the source; '' when not known. */
  readonly file: string;
  /** From 1. */
  readonly line: number | null;
  /** From 1; native frames have none. */
  readonly column: number | null;
  /** Path of the program or library; '' for code made at run time. */
  readonly module: string;
  /** Where in the module, as `addr2line -e MODULE` wants it: '0x4005d'. */
  readonly moduleOffset: string;
  readonly pc: string;
  readonly notes: readonly GuardFrameNote[];
}

export interface GuardReport {
  /** Number of the report in its process, from 1. */
  readonly seq: number;
  /** `watch`: a hardware watchpoint; `syscall`: the kernel wrote; `canary`: found damaged later. */
  readonly kind: 'write' | 'read' | 'watch' | 'syscall' | 'canary';
  /** RFC 3339 in UTC, to the nanosecond. */
  readonly time: string;
  readonly pid: number;
  /** The thread that wrote: its kernel id, and the name and role that it has in Millrace. */
  readonly tid: number;
  readonly threadName: string;
  readonly threadRole: string;
  readonly label: string;
  /** First byte that was written. */
  readonly address: string;
  /** The same in bytes from the start of what was protected, watched or allocated. */
  readonly offset: number;
  /** Bytes written (or read). */
  readonly width: number | null;
  /** Bytes past the end, or before the start, of a guarded allocation; 0: inside. */
  readonly beyond: number;
  /** Bytes in hex from `address` on, as many as are known, 64 at most. */
  readonly old: string;
  readonly new: string;
  /** The instruction's bytes in hex, and its address. */
  readonly code: string;
  readonly pc: string;
  /** A locked instruction: Atomics, or C's atomics. */
  readonly isAtomic: boolean;
  /** What lies there: protected memory, a page before or after an allocation, freed memory. */
  readonly place: 'view' | 'guard-before' | 'guard-after' | 'freed' | null;
  /** Index of the OS page in its region. */
  readonly page: number | null;
  /** The owner's generation, and the pages of its last protect() that covered this one. */
  readonly generation: number | null;
  readonly slicePage: number | null;
  readonly slicePages: number | null;
  /** Last protect (allocation, release) and last unprotect of the page: when, by which thread. */
  readonly protectTime: string | null;
  readonly protectTid: number | null;
  readonly unprotectTime: string | null;
  readonly unprotectTid: number | null;
  /** Number, name and first three arguments of the system call, where `kind` is `syscall`. */
  readonly syscall: number | null;
  readonly syscallName: string | null;
  readonly syscallArgs: readonly string[] | null;
  /** Whether the process dies of it, and what happens next otherwise. */
  readonly isFatal: boolean;
  readonly end: string;
  /**
   * Where names of JavaScript come from: V8's structures, its perf map, nowhere (this version of
   * Node.js is not known), or there is no JavaScript in the process.
   */
  readonly names: 'v8' | 'perf-map' | 'none' | 'native';
  /** Index into `frames`; null: none of them is to blame. */
  readonly culprit: number | null;
  /** Innermost first. */
  readonly frames: readonly GuardFrame[];
  /** Outermost frames that found no room. */
  readonly framesCut: number;
}

const NOT_THERE = {
  place: null,
  page: null,
  generation: null,
  slicePage: null,
  slicePages: null,
  protectTime: null,
  protectTid: null,
  unprotectTime: null,
  unprotectTid: null,
  syscall: null,
  syscallName: null,
  syscallArgs: null,
} as const;

/** The report of one JSON line; null: not a whole one (the last line of a disk that was full). */
export function parseReport(line: string): GuardReport | null {
  try {
    const report = JSON.parse(line) as GuardReport | null;
    if (typeof report?.seq !== 'number' || !Array.isArray(report.frames)) return null;
    return { ...NOT_THERE, ...report };
  } catch {
    return null;
  }
}

/** All whole reports of a report file's text, in their order. */
export function parseReports(text: string): GuardReport[] {
  return text
    .split('\n')
    .map(parseReport)
    .filter((report) => report !== null);
}

/** The frame to blame, if there is one. */
export function culpritOf(report: GuardReport): GuardFrame | null {
  return report.culprit === null ? null : (report.frames[report.culprit] ?? null);
}
