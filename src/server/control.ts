/**
 * Control: how the supervisor speaks to workers, and how workers answer.
 *
 * WHY        A worker in epoll_wait(2) or Atomics.wait never returns to its event loop, so it
 *            cannot be sent messages: it looks into a ring of commands once a turn, which is an
 *            atomic load while there is none. What blocks it is woken by what wakes it for work
 *            (eventfd, IdleStrategy); a worker on an event loop looks every few milliseconds.
 * LAYOUT     a SpscRing of int32 for each worker, for all its lives: one command, one item.
 * OWNERSHIP  producer: the supervisor (Commands); consumer: the worker (Control).
 * INVARIANTS A command stays in the ring until it is carried out: who takes over from a worker that
 *            died in the middle of it finds it again.
 * MESSAGES   Log lines go by rings (log-ring.ts). By postMessage go, still: what a worker says of
 *            itself (started, failed, drained), its reports (exporters, sink, forward: a few a
 *            second at most, nested, of any length, and only the newest matters), and questions to
 *            the store with their replies. Their receiver is the event loop of the main thread, and
 *            the asked worker is on one; there are a few in a second, with nested data that would
 *            have to be encoded and decoded; and posting never blocks the sender, which is what
 *            rings are for.
 * REFUSED    one word that holds the newest command (a second command hides a first one).
 */

import { assert } from '../toolkit/base/assert.ts';
import {
  NO_SLOT,
  type SpscConsumer,
  type SpscProducer,
  SpscRing,
  type SpscRingHandle,
} from '../toolkit/ring/index.ts';
import type { ForwardReport } from './forward/report.ts';
import type { LogLevel } from './log-ring.ts';

/** Finish what is begun, then end. */
export const COMMAND_DRAIN = 1;

/** Commands that may wait; there is one kind, and it is the last that a worker is told. */
const COMMAND_SLOTS = 16;

/** The supervisor's end of a worker's commands. */
export class Commands {
  readonly handle: SpscRingHandle;
  readonly #producer: SpscProducer;

  constructor() {
    const ring = SpscRing.create({ capacity: COMMAND_SLOTS, creditEvery: 1, backend: 'atomics' });
    this.handle = ring.handle;
    this.#producer = SpscRing.producer(ring.handle);
  }

  /** The worker finds it with its next look; whoever sends wakes it. */
  send(command: number): void {
    assert(this.#producer.tryPush(command), 'a worker has fewer commands than slots');
  }

  /** The worker's thread has ended: the next one finds what it had not carried out. */
  abandon(): void {
    new SpscRing(this.handle).abandonConsumer();
  }
}

/** A worker's end of its commands. */
export class Control {
  readonly #consumer: SpscConsumer;
  #isDraining = false;

  constructor(handle: SpscRingHandle) {
    this.#consumer = SpscRing.consumer(handle);
  }

  /** The worker has been told to drain; once true it stays so. */
  get isDraining(): boolean {
    return this.#isDraining || this.#look();
  }

  /** The worker has drained: what it was told is carried out. */
  close(): void {
    if (this.#isDraining) this.#consumer.release();
    this.#consumer.close();
  }

  #look(): boolean {
    const slot = this.#consumer.peek();
    if (slot === NO_SLOT) return false;
    assert(this.#consumer.slots[slot] === COMMAND_DRAIN, 'a worker is told what it knows');
    this.#isDraining = true;
    return true;
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

/** A line for the log; the runner of the worker writes it to the ring. */
export interface LogMessage {
  readonly kind: 'log';
  readonly level: LogLevel;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** How a stage speaks: worker.ts knows which way each kind takes. */
export type Tell = (message: WorkerMessage | LogMessage) => void;

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
  | { readonly kind: 'exporters'; readonly rows: readonly ExporterTotals[] }
  | { readonly kind: 'sink'; readonly report: SinkReport }
  | { readonly kind: 'forward'; readonly report: ForwardReport }
  /** A question of the forwarder; the answer goes over the port of forward/door.ts. */
  | { readonly kind: 'resolve'; readonly host: string }
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
