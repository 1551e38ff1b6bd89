/**
 * Log ring: the lines of one worker on their way to the logger of the main thread.
 *
 * WHY         A worker that blocks has no event loop, and one that dies has no time: what it wrote
 *             to shared memory is there, whatever becomes of it. A message needs the loop of its
 *             sender for nothing, but is lost when that thread is ended before it was read.
 * LAYOUT      a SpscByteRing per worker, for all its lives. A message is one line: its type is the
 *             level (index in LOG_LEVELS), its payload UTF-8 of the JSON {text, fields, dropped?}.
 * OWNERSHIP   producer: the worker (LogWriter); consumer: the main thread (LogReader).
 * INVARIANTS  1. a worker never waits for the main thread: a line that does not fit is dropped,
 *             and counted by its reason   2. lines of one worker keep their order   3. the next
 *             line that fits says in `dropped` how many before it did not, also when it is the line
 *             of the worker's successor: the count of those told is a counter too.
 * REFUSED     overwriting old lines (the first line of a storm is the one that explains it); one
 *             ring for all workers (a storm of one takes the room of the others).
 */
import { type CounterHandle, Counters, type CounterWriter } from '../toolkit/counters/index.ts';
import {
  NO_SLOT,
  type SpscByteConsumer,
  type SpscByteProducer,
  SpscByteRing,
  type SpscByteRingHandle,
} from '../toolkit/ring/index.ts';

/** The type of a message is the index of its level. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `told`: dropped lines that a later line has mentioned. */
export const LOG_COUNTERS = ['lines', 'droppedRingFull', 'droppedTooLong', 'told'] as const;
export type LogCounter = (typeof LOG_COUNTERS)[number];

/** Some 500 lines; the main thread comes by ten times a second. */
const LOG_RING_BYTES = 65_536;

export interface LogLine {
  readonly level: LogLevel;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Lines before this one that found no room. */
  readonly dropped: number;
}

/** What travels to a worker. */
export interface LogHandle {
  readonly ring: SpscByteRingHandle;
  readonly counters: CounterHandle<LogCounter>;
  /** Which writer of the counters. */
  readonly writer: number;
}

export function createLogRing(capacityBytes = LOG_RING_BYTES): SpscByteRingHandle {
  return SpscByteRing.create({ capacityBytes, creditEveryBytes: 1 }).handle;
}

/** JSON of a line; fields that have none are named instead. */
function encodeLine(text: string, fields: LogLine['fields'], dropped: number): Uint8Array {
  const mention = dropped > 0 ? { dropped } : {};
  let json: string;
  try {
    json = JSON.stringify({ text, fields, ...mention });
  } catch (error) {
    json = JSON.stringify({ text, fields: { unprintable: String(error) }, ...mention });
  }
  return new TextEncoder().encode(json);
}

/** A worker's end. */
export class LogWriter {
  readonly #producer: SpscByteProducer;
  readonly #counters: CounterWriter<LogCounter>;

  /** Takes the roles; what the worker's predecessor had written is read first. */
  constructor(handle: LogHandle) {
    this.#producer = SpscByteRing.producer(handle.ring);
    this.#counters = Counters.writer(handle.counters, handle.writer);
  }

  /** False: the line was dropped, and counted. Never waits, and never throws. */
  write(level: LogLevel, text: string, fields: LogLine['fields'] = {}): boolean {
    const counters = this.#counters;
    const dropped = counters.get('droppedRingFull') + counters.get('droppedTooLong');
    const line = encodeLine(text, fields, dropped - counters.get('told'));
    const isShort = line.length <= this.#producer.messageBytesMax;
    const type = LOG_LEVELS.indexOf(level);
    const isWritten = isShort && this.#producer.tryPush(line, 0, line.length, type);
    if (isWritten) counters.add('lines', 1);
    else counters.add(isShort ? 'droppedRingFull' : 'droppedTooLong', 1);
    if (isWritten) counters.set('told', dropped);
    counters.publish();
    return isWritten;
  }

  close(): void {
    this.#producer.close();
    this.#counters.close();
  }
}

/** The main thread's end. */
export class LogReader {
  readonly #consumer: SpscByteConsumer;
  readonly #decoder = new TextDecoder();

  constructor(ring: SpscByteRingHandle) {
    this.#consumer = SpscByteRing.consumer(ring);
  }

  /** Hands up to `limit` lines to `use`, oldest first. Returns how many. */
  read(limit: number, use: (line: LogLine) => void): number {
    const consumer = this.#consumer;
    let count = 0;
    while (count < limit) {
      const offset = consumer.peek();
      if (offset === NO_SLOT) break;
      // A copy: the decoder does not take shared memory.
      const bytes = consumer.bytes.slice(offset, offset + consumer.length);
      const level = LOG_LEVELS[consumer.type]!;
      consumer.release();
      count++;
      const line = JSON.parse(this.#decoder.decode(bytes)) as Omit<LogLine, 'level'>;
      use({ level, text: line.text, fields: line.fields, dropped: line.dropped ?? 0 });
    }
    return count;
  }

  close(): void {
    this.#consumer.close();
  }
}
