/**
 * Accesses: what a thread of the schedule checker is about to do to shared memory, one at a time.
 *
 * WHY        A thread is a generator that yields an Access before each touch of shared memory; the
 *            machine performs it when the schedule says so and hands the result back. Rewritten
 *            kernels (rewrite.ts) yield these, and so do scenarios, by the functions below.
 * INVARIANTS Between two yields a thread touches nothing that another thread may touch.
 */

export const READ = 0;
export const WRITE = 1;
export const LOAD = 2;
export const STORE = 3;
export const ADD = 4;
export const SUB = 5;
export const AND = 6;
export const OR = 7;
export const XOR = 8;
export const EXCHANGE = 9;
export const COMPARE_EXCHANGE = 10;
export const WAIT = 11;
export const NOTIFY = 12;
/** Behind a WAIT that found its value: the thread sleeps until it is notified. */
export const WAKE = 13;
/** Blocked until something that was read since the last step forward has another value. */
export const RETRY = 14;
/** Blocked until another thread has ended, or died. */
export const JOIN = 15;
/** No access: an attempt begins here. */
export const MARK = 16;

/** `Atomics.<name>` -> operation and the count of its arguments. */
export const ATOMICS: Readonly<Record<string, readonly [op: number, most: number]>> = {
  load: [LOAD, 2],
  store: [STORE, 3],
  add: [ADD, 3],
  sub: [SUB, 3],
  and: [AND, 3],
  or: [OR, 3],
  xor: [XOR, 3],
  exchange: [EXCHANGE, 3],
  compareExchange: [COMPARE_EXCHANGE, 4],
  wait: [WAIT, 4],
  notify: [NOTIFY, 3],
};

export type Words = Int32Array | Float64Array;

/** Where an access stands in the source. */
export interface Place {
  readonly where: string;
  readonly text: string;
}

export interface Access {
  readonly op: number;
  readonly array: Words;
  readonly index: number;
  /** To write, to add, expected by a wait; the thread to join. */
  readonly value: number;
  /** compareExchange: what replaces `value`. wait: the timeout. */
  readonly replacement: number;
  readonly place: Place;
}

// biome-ignore lint/suspicious/noExplicitAny: the result depends on what was yielded
export type Program<T = void> = Generator<Access, T, any>;

const NO_WORDS = new Int32Array(0);
const MARK_PLACE: Place = { where: 'scenario', text: 'begins' };
const RETRY_PLACE: Place = { where: 'scenario', text: 'waits for a change of what it has read' };
const JOIN_PLACE: Place = { where: 'scenario', text: 'waits for the end of a thread' };

function place(text: string): Place {
  return { where: 'scenario', text };
}

/** A plain read of the scenario's own: `const value = yield* read(slots, 1, 'first slot')`. */
export function* read(array: Words, index: number, text = 'reads'): Program<number> {
  return yield { op: READ, array, index, value: 0, replacement: 0, place: place(text) };
}

export function* write(array: Words, index: number, value: number, text = 'writes'): Program<void> {
  yield { op: WRITE, array, index, value, replacement: 0, place: place(text) };
}

export function* load(array: Words, index: number, text = 'loads'): Program<number> {
  return yield { op: LOAD, array, index, value: 0, replacement: 0, place: place(text) };
}

export function* store(array: Words, index: number, value: number, text = 'stores'): Program<void> {
  yield { op: STORE, array, index, value, replacement: 0, place: place(text) };
}

/**
 * Attempts until an answer will do. In between the thread is blocked until an attempt can end
 * otherwise, which is when a word that it has read holds another value than was read: a loop that
 * tries again at once would only repeat the same reads, for ever.
 */
export function* insist<T>(attempt: () => Program<T>, willDo: (answer: T) => boolean): Program<T> {
  const none = { array: NO_WORDS, index: 0, value: 0, replacement: 0 };
  yield { op: MARK, ...none, place: MARK_PLACE };
  for (;;) {
    const answer = yield* attempt();
    if (willDo(answer)) return answer;
    yield { op: RETRY, ...none, place: RETRY_PLACE };
  }
}

/** Waits until the thread with this number has ended or died, as a supervisor does. */
export function* join(thread: number): Program<void> {
  const words = NO_WORDS;
  yield { op: JOIN, array: words, index: 0, value: thread, replacement: 0, place: JOIN_PLACE };
}

/** Whether the access may change memory, as far as is known before it is performed. */
export function mayWrite(op: number): boolean {
  return op !== READ && op !== LOAD && op !== RETRY && op !== JOIN;
}

export function isPlain(op: number): boolean {
  return op === READ || op === WRITE;
}

/** Performs an access of memory; sleeping and waiting are the machine's. */
export function perform({ op, array, index, value, replacement }: Access): number {
  const words = array as Int32Array;
  if (op === READ) return array[index]!;
  if (op === WRITE) {
    array[index] = value;
    return value;
  }
  if (op === LOAD) return Atomics.load(words, index);
  if (op === STORE) return Atomics.store(words, index, value);
  if (op === COMPARE_EXCHANGE) return Atomics.compareExchange(words, index, value, replacement);
  if (op === ADD) return Atomics.add(words, index, value);
  if (op === SUB) return Atomics.sub(words, index, value);
  if (op === AND) return Atomics.and(words, index, value);
  if (op === OR) return Atomics.or(words, index, value);
  if (op === XOR) return Atomics.xor(words, index, value);
  if (op === EXCHANGE) return Atomics.exchange(words, index, value);
  throw new Error(`operation ${op} is none of memory`);
}

/** Runs a program to its end, alone: before the threads start, or after their end. */
export function runAlone<T>(program: Program<T>): T {
  let next = program.next();
  for (let accesses = 0; next.done !== true; accesses++) {
    if (accesses > 10_000) throw new Error('alone, and no end in sight');
    next = program.next(next.value.op === MARK ? undefined : perform(next.value));
  }
  return next.value;
}

/** Whether it has changed memory, now that its result is known. */
export function hasWritten(access: Access, result: unknown): boolean {
  const { op } = access;
  if (op === COMPARE_EXCHANGE) return result === access.value;
  return op === WRITE || (op >= STORE && op <= EXCHANGE);
}
