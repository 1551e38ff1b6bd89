/**
 * Machine: the threads of one scenario and the memory that they share, one access at a time.
 *
 * WHY        Whoever explores schedules only says which thread is next; here an access is
 *            performed, recorded, looked at for races, and its result handed to the thread.
 * INVARIANTS 1. A thread that is not finished has a pending access  2. `step` performs it, and the
 *            accesses behind it as long as they are of words that no two threads contend for
 *            (`contended` is empty at first; who explores starts anew when it has grown, so in the
 *            end every schedule of accesses that matter is seen: up to the first access that would
 *            make a word contended, all others commute with everything)  3. memory lies in one
 *            buffer, and a word is accessed in one width.
 * DEATH      A thread may be told to die before its access number n: it is never resumed again.
 */
import {
  type Access,
  hasWritten,
  JOIN,
  LOAD,
  MARK,
  NOTIFY,
  type Program,
  perform,
  READ,
  RETRY,
  STORE,
  WAIT,
  WAKE,
  type Words,
  WRITE,
} from './access.ts';
import { Races } from './races.ts';

const ACCESSES_MAX = 20_000;

/** One run of a scenario, from the start. */
export interface Run {
  readonly memory: ArrayBuffer;
  readonly threads: Readonly<Record<string, Program<unknown>>>;
  /** Looks at the outcome when all threads have ended; throws. */
  readonly check?: () => void;
}

export type Scenario = () => Run;

/** `thread` dies before its access number `access` (from 0). */
export interface Death {
  readonly thread: number;
  readonly access: number;
}

export interface TraceEntry {
  readonly thread: string;
  readonly access: Access;
  readonly result: unknown;
}

/** What a schedule has shown to be wrong. */
export class Violation extends Error {
  readonly trace: readonly TraceEntry[];

  constructor(message: string, trace: readonly TraceEntry[]) {
    super(message);
    this.trace = trace;
  }
}

interface Thread {
  readonly name: string;
  readonly program: Program<unknown>;
  pending: Access;
  isFinished: boolean;
  isWoken: boolean;
  accesses: number;
  /** What was read since the last step forward: who tries again waits for a change of it. */
  readonly reads: Access[];
  readonly seen: number[];
}

export class Machine {
  /** Words for which threads contend, over all runs so far. */
  readonly contended: Uint8Array;
  hasGrown = false;
  readonly threadCount: number;
  threads: Thread[] = [];
  readonly trace: TraceEntry[] = [];
  /** Numbers of the words that the last step read or wrote, of contended ones. */
  readonly footprint: number[] = [];
  isFootprintWritten = false;
  /** Threads that died before their end, in any run. */
  readonly diedEarly = new Set<number>();
  readonly #scenario: Scenario;
  readonly #deaths: readonly Death[];
  readonly #readers: Uint32Array;
  readonly #writers: Uint32Array;
  readonly #widths: Uint8Array;
  readonly #isHint: (access: Access) => boolean;
  readonly #races: Races;
  #run: Run;
  /** Threads that sleep, in the order of their waits. */
  #sleepers: Thread[] = [];

  constructor(
    scenario: Scenario,
    deaths: readonly Death[] = [],
    isHint: (access: Access) => boolean = () => false,
  ) {
    this.#scenario = scenario;
    this.#deaths = deaths;
    this.#isHint = isHint;
    this.#run = scenario();
    const words = this.#run.memory.byteLength >> 2;
    this.contended = new Uint8Array(words);
    this.#readers = new Uint32Array(words);
    this.#writers = new Uint32Array(words);
    this.#widths = new Uint8Array(words);
    this.threadCount = Object.keys(this.#run.threads).length;
    this.#races = new Races(this.threadCount, words);
  }

  /** A new run, up to each thread's first access that matters. */
  start(): void {
    this.#run = this.#scenario();
    this.#races.reset();
    this.trace.length = 0;
    this.#sleepers = [];
    this.threads = Object.entries(this.#run.threads).map(([name, program]) => ({
      name,
      program,
      pending: undefined as unknown as Access,
      isFinished: false,
      isWoken: false,
      accesses: 0,
      reads: [],
      seen: [],
    }));
    this.threads.forEach((thread, index) => {
      this.#resume(thread, undefined);
      this.#runOwn(thread, index);
    });
  }

  /** Bit i: thread i can step. */
  enabled(): number {
    let mask = 0;
    for (let i = 0; i < this.threads.length; i++) {
      if (this.#isEnabled(this.threads[i]!)) mask |= 1 << i;
    }
    return mask;
  }

  isOver(): boolean {
    return this.threads.every((thread) => thread.isFinished);
  }

  /** After the last step: nobody is left waiting, and the scenario's own check holds. */
  finish(): void {
    const stuck = this.threads.filter((thread) => !thread.isFinished);
    if (stuck.length > 0) {
      const names = stuck.map((thread) => thread.name).join(', ');
      throw new Violation(`waits for ever: ${names}`, [...this.trace]);
    }
    try {
      this.#run.check?.();
    } catch (error) {
      throw new Violation(messageOf(error), [...this.trace]);
    }
  }

  /** Performs the pending access of thread `index`, and what follows that is nobody else's. */
  step(index: number): void {
    const thread = this.threads[index]!;
    this.footprint.length = 0;
    this.isFootprintWritten = false;
    this.#perform(thread, index, true);
    this.#runOwn(thread, index);
  }

  /** Whether the pending access of thread `index` may depend on the step that was made last. */
  isPendingDependent(index: number, stepped: number): boolean {
    const { pending } = this.threads[index]!;
    if (pending.op === JOIN) return pending.value === stepped;
    if (pending.op === RETRY) return this.isFootprintWritten && this.#retryMeets(index);
    const isWrite = pending.op !== READ && pending.op !== LOAD;
    if (!isWrite && !this.isFootprintWritten) return false;
    return this.footprint.includes(wordOf(pending.array, pending.index));
  }

  #retryMeets(index: number): boolean {
    const { reads } = this.threads[index]!;
    return reads.some((read) => this.footprint.includes(wordOf(read.array, read.index)));
  }

  #isEnabled(thread: Thread): boolean {
    if (thread.isFinished) return false;
    const { op, value, replacement } = thread.pending;
    if (op === JOIN) return this.threads[value]!.isFinished;
    if (op === WAKE) return thread.isWoken || replacement !== Number.POSITIVE_INFINITY;
    if (op !== RETRY) return true;
    return thread.reads.some((read, i) => read.array[read.index] !== thread.seen[i]);
  }

  #runOwn(thread: Thread, index: number): void {
    while (!thread.isFinished) {
      const { op, array, index: at } = thread.pending;
      if (op >= WAIT || this.contended[wordOf(array, at)] === 1) return;
      this.#perform(thread, index, false);
    }
  }

  #perform(thread: Thread, index: number, isStep: boolean): void {
    for (const death of this.#deaths) {
      if (death.thread !== index || death.access !== thread.accesses) continue;
      this.diedEarly.add(index);
      thread.isFinished = true;
      return;
    }
    thread.accesses += 1;
    const access = thread.pending;
    if (this.trace.length > ACCESSES_MAX) throw this.#violation('no end in sight');
    if (access.op === RETRY || access.op === JOIN) this.#performWait(thread, index, access);
    else this.#performAccess(thread, index, access, isStep);
  }

  #performWait(thread: Thread, index: number, access: Access): void {
    this.trace.push({ thread: thread.name, access, result: undefined });
    if (access.op === JOIN) this.#races.join(index, access.value);
    else
      for (const read of thread.reads) this.#noteFootprint(wordOf(read.array, read.index), false);
    forget(thread);
    this.#resume(thread, undefined);
  }

  #performAccess(thread: Thread, index: number, access: Access, isStep: boolean): void {
    const { array, op } = access;
    if (!(access.index >= 0 && access.index < array.length)) {
      throw this.#violation(`outside of the array at ${access.index}: ${textOf(thread, access)}`);
    }
    const word = wordOf(array, access.index);
    this.#checkMemory(array, word);
    const result = this.#apply(thread, access);
    this.trace.push({ thread: thread.name, access, result });
    const written = hasWritten(access, result);
    this.#noteContention(index, word, written);
    if (isStep) this.#noteFootprint(word, written || op >= WAIT);
    if (op <= WAIT) this.#lookForRace(thread, index, word, access, written);
    if (op !== WRITE && op !== STORE && op <= WAIT) {
      thread.reads.push(access);
      thread.seen.push(array[access.index]!);
    }
    const sleeps = op === WAIT && result === 'ok';
    if (sleeps) thread.pending = { ...access, op: WAKE };
    else this.#resume(thread, result);
  }

  #lookForRace(
    thread: Thread,
    index: number,
    word: number,
    access: Access,
    written: boolean,
  ): void {
    if (this.#isHint(access)) return;
    const op = access.op === WAIT ? LOAD : access.op;
    const other = this.#races.access(index, word, op, written, this.trace.length);
    if (other === 0) return;
    const first = this.trace[other - 1]!;
    throw this.#violation(
      `race: ${first.thread} ${first.access.place.where} ${first.access.place.text} ` +
        `and ${textOf(thread, access)}`,
    );
  }

  #apply(thread: Thread, access: Access): unknown {
    const { op, array, index, value } = access;
    if (op === WAIT) return this.#sleep(thread, array as Int32Array, index, value);
    if (op === NOTIFY) return this.#notify(array as Int32Array, index, value);
    if (op === WAKE) return this.#wake(thread);
    return perform(access);
  }

  #sleep(thread: Thread, words: Int32Array, index: number, expected: number): string {
    if (Atomics.load(words, index) !== expected) return 'not-equal';
    thread.isWoken = false;
    this.#sleepers.push(thread);
    return 'ok';
  }

  #notify(words: Int32Array, index: number, count: number): number {
    const word = wordOf(words, index);
    const here = this.#sleepers.filter(
      ({ pending }) => wordOf(pending.array, pending.index) === word,
    );
    const woken = here.slice(0, count);
    for (const thread of woken) thread.isWoken = true;
    this.#sleepers = this.#sleepers.filter((thread) => !woken.includes(thread));
    return woken.length;
  }

  #wake(thread: Thread): string {
    this.#sleepers = this.#sleepers.filter((other) => other !== thread);
    return thread.isWoken ? 'ok' : 'timed-out';
  }

  #resume(thread: Thread, result: unknown): void {
    let next: IteratorResult<Access>;
    try {
      next = thread.program.next(result);
      while (next.done !== true && next.value.op === MARK) {
        forget(thread);
        next = thread.program.next();
      }
    } catch (error) {
      throw this.#violation(`${thread.name}: ${messageOf(error)}`);
    }
    if (next.done === true) thread.isFinished = true;
    else thread.pending = next.value;
  }

  #checkMemory(array: Words, word: number): void {
    if (array.buffer !== this.#run.memory) throw new Error('a scenario has one memory');
    const width = array.BYTES_PER_ELEMENT;
    const known = this.#widths[word]!;
    if (known !== 0 && known !== width) throw new Error(`word ${word} is accessed in two widths`);
    this.#widths[word] = width;
  }

  #noteContention(index: number, word: number, written: boolean): void {
    const bit = 1 << index;
    this.#readers[word]! |= bit;
    if (written) this.#writers[word]! |= bit;
    if (this.contended[word] === 1 || this.#writers[word] === 0) return;
    if (this.#readers[word] === bit) return;
    this.contended[word] = 1;
    this.hasGrown = true;
  }

  #noteFootprint(word: number, isWritten: boolean): void {
    this.footprint.push(word);
    this.isFootprintWritten ||= isWritten;
  }

  #violation(message: string): Violation {
    return new Violation(message, [...this.trace]);
  }
}

function forget(thread: Thread): void {
  thread.reads.length = 0;
  thread.seen.length = 0;
}

export function wordOf(array: Words, index: number): number {
  return (array.byteOffset + index * array.BYTES_PER_ELEMENT) >> 2;
}

function textOf(thread: Thread, { place }: Access): string {
  return `${thread.name} ${place.where} ${place.text}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
