/**
 * Stream: the events of /api/v1/events as one current snapshot, and whether it is still fresh.
 *
 * WHY      A panel that shows old numbers as if they were new is worse than a blank one. So silence
 *          is noticed within STALE_MS, whatever its cause, and the connection is made again without
 *          end. A page that nobody sees lets go of its stream after a while: a browser keeps only
 *          six connections to one server, and a seventh tab would wait for ever.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';

export type StreamState = 'waiting' | 'live' | 'stale';

export interface StreamListener {
  /** A new snapshot; `isFirst` after every (re)connect, when the history has to be asked again. */
  snapshot(snapshot: Snapshot, isFirst: boolean): void;
  /** `reason` is a sentence for people, or empty. */
  state(state: StreamState, reason: string): void;
}

const STALE_MS = 3_500;
const REOPEN_MS = 2_000;
const CHECK_MS = 500;
const HIDDEN_MS_MAX = 60_000;

export class Stream {
  readonly #listener: StreamListener;
  #source: EventSource | null = null;
  #snapshot: Snapshot | null = null;
  #heardMs = performance.now();
  #state: StreamState = 'waiting';
  #reason = '';
  #isPaused = false;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  start(): void {
    this.#open();
    setInterval(() => this.#check(), CHECK_MS);
    let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hiddenTimer);
      if (document.hidden) hiddenTimer = setTimeout(() => this.#pause(), HIDDEN_MS_MAX);
      // Paused, or a laptop that wakes up: its socket is dead, and only an attempt finds out.
      else if (this.#state !== 'live') this.#open();
    });
  }

  #open(): void {
    this.#source?.close();
    if (this.#isPaused) this.#heardMs = performance.now();
    this.#isPaused = false;
    const source = new EventSource('./api/v1/events');
    this.#source = source;
    source.addEventListener('snapshot', (event) => {
      this.#snapshot = JSON.parse(event.data);
      this.#heard(true);
    });
    source.addEventListener('delta', (event) => {
      if (this.#snapshot === null) return;
      this.#snapshot = { ...this.#snapshot, ...JSON.parse(event.data) };
      this.#heard(false);
    });
    source.addEventListener('bye', () => {
      this.#reason = 'The server has stopped.';
      this.#setState('stale');
    });
    source.addEventListener('error', () => {
      // CONNECTING: the browser tries again by itself. CLOSED: it was answered with an error.
      if (source.readyState === EventSource.CLOSED) void this.#explain();
    });
  }

  #pause(): void {
    this.#source?.close();
    this.#isPaused = true;
    this.#setState('waiting');
  }

  #heard(isFirst: boolean): void {
    this.#heardMs = performance.now();
    this.#reason = '';
    this.#listener.snapshot(this.#snapshot!, isFirst);
    this.#setState('live');
  }

  #check(): void {
    if (this.#isPaused) return;
    if (performance.now() - this.#heardMs > STALE_MS) this.#setState('stale');
  }

  async #explain(): Promise<void> {
    try {
      const answer = await fetch('./api/v1/events', { signal: AbortSignal.timeout(REOPEN_MS) });
      if (!answer.ok) {
        const { message, remedy } = await answer.json();
        this.#reason = `The server says: ${message}; ${remedy}.`;
      } else {
        await answer.body?.cancel();
      }
    } catch {
      this.#reason = 'The server cannot be reached.';
    }
    this.#listener.state(this.#state, this.#reason);
    setTimeout(() => {
      if (!this.#isPaused) this.#open();
    }, REOPEN_MS);
  }

  #setState(state: StreamState): void {
    if (state === this.#state && state !== 'stale') return;
    this.#state = state;
    this.#listener.state(state, this.#reason);
  }
}
