/**
 * Door, on the worker's side: what the forwarder asks of the main thread, and hears from it.
 *
 * WHY        The forwarder sleeps in epoll_wait(2) and never returns to its event loop: it can
 *            neither resolve a name (getaddrinfo blocks) nor be sent a message. So it asks by
 *            `tell`; the main thread (forward-door.ts) answers over a MessagePort and then signals
 *            the eventfd, and the forwarder takes the answers by receiveMessageOnPort.
 * INVARIANTS 1. a name is asked for once until it is answered  2. an answer counts for
 *            ANSWER_MS and no longer: where a name points may change  3. no call blocks
 */
import { isIP } from 'node:net';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import type { Tell } from '../control.ts';
import type { ForwardSetup } from '../setup.ts';
import type { ForwardOptions } from './options.ts';

/** Age at which an answer is asked for again, when somebody connects. */
export const ANSWER_MS = 5_000;

/** What a name was resolved to. `error` is null, or why it was not (`ENOTFOUND`). */
export interface Resolved {
  readonly host: string;
  /** Literal addresses, in the order of the resolver; empty with an error. */
  readonly addresses: readonly string[];
  readonly error: string | null;
}

/** What the main thread sends. */
export type DoorMessage =
  | { readonly kind: 'addresses'; readonly resolved: Resolved }
  | {
      readonly kind: 'options';
      readonly options: ForwardOptions;
      readonly generation: number;
    };

export class Door {
  readonly #port: MessagePort;
  readonly #tell: Tell;
  readonly #asked = new Set<string>();
  readonly #answers = new Map<string, { readonly resolved: Resolved; readonly timeMs: number }>();
  #options: ForwardOptions | null = null;
  #generation: number;
  #newest: number;

  constructor({ port, generation }: ForwardSetup, tell: Tell) {
    this.#port = port;
    this.#tell = tell;
    this.#generation = generation;
    this.#newest = generation;
  }

  /** Of the options last taken: it belongs into the reports. */
  get generation(): number {
    return this.#generation;
  }

  /** Takes what has come; once after each wake-up: looking costs 3 us. */
  poll(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#take(received.message as DoorMessage);
    }
  }

  /**
   * The addresses of a host, or null while they are not known: then they are asked for, and the
   * eventfd is signalled when the answer is here. A literal address is its own answer.
   */
  resolve(host: string): Resolved | null {
    if (isIP(host) !== 0) return { host, addresses: [host], error: null };
    const answer = this.#answers.get(host);
    if (answer !== undefined) {
      if (monotonicMs() - answer.timeMs < ANSWER_MS) return answer.resolved;
      this.#answers.delete(host);
    }
    if (!this.#asked.has(host)) {
      this.#asked.add(host);
      this.#tell({ kind: 'resolve', host });
    }
    return null;
  }

  /** The options of a reload, once each; null when there are no new ones. The newest win. */
  takeOptions(): ForwardOptions | null {
    const options = this.#options;
    this.#options = null;
    this.#generation = this.#newest;
    return options;
  }

  close(): void {
    this.#port.close();
  }

  #take(message: DoorMessage): void {
    if (message.kind === 'options') {
      this.#options = message.options;
      this.#newest = message.generation;
      return;
    }
    const { resolved } = message;
    this.#asked.delete(resolved.host);
    this.#answers.set(resolved.host, { resolved, timeMs: monotonicMs() });
  }
}
