/**
 * Control: how the supervisor speaks to workers that block, and how workers answer.
 *
 * WHY        A worker in epoll_wait(2) or Atomics.wait never returns to its event loop, so it
 *            cannot be sent messages; it reads one shared word per turn. Towards the supervisor
 *            messages work.
 * LAYOUT     one int32 word per worker, in a SharedArrayBuffer of its own; writer: the supervisor.
 */

export const COMMAND_RUN = 0;
export const COMMAND_DRAIN = 1;
export const COMMAND_STOP = 2;

/** The one word of a control block. */
const COMMAND_WORD = 0;

export class Control {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.#word = new Int32Array(buffer);
  }

  get command(): number {
    return Atomics.load(this.#word, COMMAND_WORD);
  }

  /** Supervisor only; a worker that sleeps on the word is woken. */
  send(command: number): void {
    Atomics.store(this.#word, COMMAND_WORD, command);
    Atomics.notify(this.#word, COMMAND_WORD);
  }

  /** Worker without anything else to wait for: sleeps until a command comes or the time is over. */
  wait(timeoutMs: number): void {
    Atomics.wait(this.#word, COMMAND_WORD, COMMAND_RUN, timeoutMs);
  }
}

/** Totals of one exporter, this process life; changed once per receive, not per record. */
export interface ExporterTotals {
  readonly address: string;
  connections: number;
  records: number;
  bytes: number;
  resyncBytes: number;
  truncatedBytes: number;
  lastSeenMs: number;
}

/** What a sink says of itself: consistent in itself, as it is one message. Records, unless said. */
export interface SinkReport {
  /** Published by the journal when this was said, since the first record ever. */
  readonly received: number;
  /** Received, and neither committed nor dropped yet. */
  readonly pending: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly malformed: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** Of this process life, by reason and by table. */
  readonly malformedByReason: Readonly<Record<string, number>>;
  readonly tables: Readonly<Record<string, number>>;
  /** Journal position behind the last committed block. */
  readonly committedPosition: number;
  /** Wall time of the oldest record held, ms since 1970; 0 = none. */
  readonly oldestHeldMs: number;
  readonly source: 'ring' | 'segments';
  readonly evictions: number;
  readonly commits: number;
  readonly flushMs: number;
  readonly files: number;
  readonly invalidText: number;
  readonly misfits: number;
  readonly errors: number;
}

/** What a worker says to the supervisor: plain messages, never per record. */
export type WorkerMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'drained' }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
    }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly text: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'exporters'; readonly rows: readonly ExporterTotals[] }
  | { readonly kind: 'sink'; readonly report: SinkReport }
  | {
      readonly kind: 'reply';
      readonly id: number;
      readonly value: unknown;
      readonly error: string | null;
    };

/** What the supervisor asks of a worker on an event loop (the store). */
export interface WorkerRequest {
  readonly kind: 'topLive';
  readonly id: number;
  readonly by: string;
  readonly count: number;
}
