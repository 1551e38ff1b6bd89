/**
 * Event hub: one server-sent event a second to every open page, and nothing that waits for a page.
 *
 * WHY        A viewer costs nothing when nobody watches and never back-pressures the flow: an event
 *            is offered, or dropped; a client that stays behind is closed (its browser reconnects).
 * PROTOCOL   `snapshot` = all keys of the Snapshot; `delta` = the keys that changed since the event
 *            before; `bye` = the server stops. A client that missed an event gets a `snapshot`
 *            next.
 * INVARIANTS 1. at most `clientsMax` clients
 *            2. per client at most `backlogBytesMax` + one event waits
 *            3. a `delta` is only sent to a client that got every event since its last `snapshot`
 * REFUSED    Last-Event-ID and replay (the newest state is all that a page needs); one timer and
 *            one JSON.stringify per client (the text is made once for all).
 */
import type { ServerResponse } from 'node:http';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import type { Snapshot } from '../snapshot.ts';

/** What the hub needs of a response: less than a ServerResponse, so that a test can stand in. */
export type EventTarget = Pick<
  ServerResponse,
  'write' | 'end' | 'destroy' | 'writableLength' | 'on'
>;

export interface EventHubOptions {
  readonly clientsMax: number;
  readonly backlogBytesMax: number;
  /** Events in a row that a client may miss before it is closed. */
  readonly missedMax: number;
  readonly heartbeatMs: number;
}

export const EVENT_HUB_DEFAULTS: EventHubOptions = {
  clientsMax: 32,
  backlogBytesMax: 128 * 1024,
  missedMax: 10,
  heartbeatMs: 10_000,
};

interface Client {
  readonly target: EventTarget;
  needsSnapshot: boolean;
  missed: number;
  writtenMs: number;
}

const RETRY_MS = 1_000;

export class EventHub {
  readonly #options: EventHubOptions;
  readonly #clients = new Set<Client>();
  /** Top-level key -> its JSON, as last published; empty while nobody looks. */
  #parts = new Map<string, string>();
  #eventId = 0;
  rejected = 0;
  droppedEvents = 0;
  closedSlow = 0;

  constructor(options: EventHubOptions) {
    this.#options = options;
  }

  get clients(): number {
    return this.#clients.size;
  }

  get clientsMax(): number {
    return this.#options.clientsMax;
  }

  get isFull(): boolean {
    return this.#clients.size >= this.#options.clientsMax;
  }

  /** Takes a response whose head is written; it gets the whole snapshot at once. */
  add(target: EventTarget, snapshot: Snapshot): void {
    if (this.#parts.size === 0) this.#parts = partsOf(snapshot);
    const client: Client = { target, needsSnapshot: true, missed: 0, writtenMs: monotonicMs() };
    this.#clients.add(client);
    target.on('close', () => this.#clients.delete(client));
    target.on('error', () => this.#clients.delete(client));
    target.write(`retry: ${RETRY_MS}\n\n`);
    this.#offer(client, frame('snapshot', this.#eventId, joinParts(this.#parts)));
  }

  /** Sends what changed to every client; costs nothing when there is none. */
  publish(snapshot: Snapshot): void {
    if (this.#clients.size === 0) {
      this.#parts.clear();
      return;
    }
    const before = this.#parts;
    this.#parts = partsOf(snapshot);
    this.#eventId += 1;
    const changed = new Map([...this.#parts].filter(([key, json]) => before.get(key) !== json));
    const delta = frame('delta', this.#eventId, joinParts(changed));
    let whole: string | null = null;
    for (const client of this.#clients) {
      if (client.needsSnapshot && whole === null) {
        whole = frame('snapshot', this.#eventId, joinParts(this.#parts));
      }
      this.#offer(client, client.needsSnapshot ? whole! : delta);
    }
  }

  /** Keeps quiet connections open; called now and then. */
  heartbeat(): void {
    const nowMs = monotonicMs();
    for (const client of this.#clients) {
      if (nowMs - client.writtenMs >= this.#options.heartbeatMs) {
        this.#offer(client, ': heartbeat\n\n');
      }
    }
  }

  /** Says good-bye to everybody; nothing waits for a client that does not read. */
  close(): void {
    const bye = frame('bye', this.#eventId + 1, '{"reason":"the server stops"}');
    for (const client of this.#clients) client.target.end(bye);
    this.#clients.clear();
    this.#parts.clear();
  }

  #offer(client: Client, text: string): void {
    if (client.target.writableLength > this.#options.backlogBytesMax) {
      client.needsSnapshot = true;
      client.missed += 1;
      this.droppedEvents += 1;
      if (client.missed > this.#options.missedMax) {
        this.closedSlow += 1;
        this.#clients.delete(client);
        client.target.destroy();
      }
      return;
    }
    client.target.write(text);
    client.missed = 0;
    client.writtenMs = monotonicMs();
    if (!text.startsWith(':')) client.needsSnapshot = false;
  }
}

/**
 * One event in the text of the HTML standard; JSON has no line breaks, so one data line is enough.
 */
function frame(event: string, id: number, json: string): string {
  return `event: ${event}\nid: ${id}\ndata: ${json}\n\n`;
}

function partsOf(snapshot: Snapshot): Map<string, string> {
  return new Map(Object.entries(snapshot).map(([key, value]) => [key, JSON.stringify(value)]));
}

function joinParts(parts: ReadonlyMap<string, string>): string {
  return `{${[...parts].map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(',')}}`;
}
