/**
 * Worker logs: brings the lines of all workers from their rings to the logger.
 *
 * WHY         The lines of a worker that ends, however it ends, are read before anything is said of
 *             its end: a log tells what happened in its order.
 * OWNERSHIP   The main thread: the consumers of all log rings.
 */
import type { Logger } from './log.ts';
import { LogReader } from './log-ring.ts';
import type { Role } from './setup.ts';

/** A line is seen so late at most; ten looks at a few words a second. */
const POLL_MS = 100;
/** Of one worker in one look, so that a storm of lines does not hold up the main thread. */
const LINES_MAX = 1_000;

export interface LogSource {
  readonly role: Role;
  readonly ring: ConstructorParameters<typeof LogReader>[0];
}

export class WorkerLogs {
  readonly #log: Logger;
  readonly #readers: readonly { readonly role: Role; readonly reader: LogReader }[];
  #timer: NodeJS.Timeout | null = null;

  constructor(sources: readonly LogSource[], log: Logger) {
    this.#log = log;
    this.#readers = sources.map(({ role, ring }) => ({ role, reader: new LogReader(ring) }));
  }

  start(): void {
    this.#timer = setInterval(() => this.drain(), POLL_MS);
    this.#timer.unref();
  }

  /** Logs what has been written. */
  drain(): void {
    for (const { role, reader } of this.#readers) {
      reader.read(LINES_MAX, ({ level, text, fields, dropped }) => {
        const mention = dropped > 0 ? { droppedLines: dropped } : {};
        this.#log[level]({ stage: role, ...fields, ...mention }, text);
      });
    }
  }

  /** The last look. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.drain();
  }
}
