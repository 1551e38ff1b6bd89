/**
 * Forward door, on the main side: resolves names for the forwarder and hands it new options.
 *
 * WHY        The forwarder blocks in epoll_wait(2): see forward/door.ts, its other side. A name is
 *            resolved by getaddrinfo(3), as everything else on the machine does, on a thread of
 *            libuv's pool.
 * OWNERSHIP  Outlives the worker: one that is restarted gets a new port, the newest options, and
 *            asks again for what it had asked.
 */
import { lookup } from 'node:dns/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { eventfdSignal } from '../toolkit/sys/index.ts';
import type { DoorMessage, Resolved } from './forward/door.ts';
import type { ForwardOptions } from './forward/options.ts';
import type { ForwardSetup } from './setup.ts';

/** All addresses of a host; rejects with an error that has a code. */
export type Lookup = (host: string) => Promise<readonly string[]>;

async function lookupAll(host: string): Promise<readonly string[]> {
  const all = await lookup(host, { all: true, verbatim: true });
  return all.map(({ address }) => address);
}

export class ForwardDoor {
  readonly #positionsFolder: string;
  readonly #wakeFd: number;
  readonly #lookup: Lookup;
  #options: ForwardOptions;
  #generation = 0;
  #port: MessagePort | null = null;

  constructor(
    options: ForwardOptions,
    positionsFolder: string,
    wakeFd: number,
    lookup: Lookup = lookupAll,
  ) {
    this.#options = options;
    this.#positionsFolder = positionsFolder;
    this.#wakeFd = wakeFd;
    this.#lookup = lookup;
  }

  /** Those that the worker has, or gets when it starts. */
  get options(): ForwardOptions {
    return this.#options;
  }

  get generation(): number {
    return this.#generation;
  }

  /** For the next life of the worker; the port of the one before is closed. */
  connect(): ForwardSetup {
    this.#port?.close();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // Nothing comes from there: it must not keep the process alive.
    port1.unref();
    return {
      options: this.#options,
      generation: this.#generation,
      positionsFolder: this.#positionsFolder,
      port: port2,
    };
  }

  /** A reload: the worker takes them with its next turn. The generation that reports then have. */
  handOver(options: ForwardOptions): number {
    this.#options = options;
    this.#generation++;
    this.#send({ kind: 'options', options, generation: this.#generation });
    return this.#generation;
  }

  /** Answers `host` to whoever is the worker when the answer is known. */
  async resolve(host: string): Promise<void> {
    const port = this.#port;
    const resolved = await this.#resolved(host);
    // A worker that was started meanwhile did not ask.
    if (port === this.#port) this.#send({ kind: 'addresses', resolved });
  }

  close(): void {
    this.#port?.close();
    this.#port = null;
  }

  async #resolved(host: string): Promise<Resolved> {
    try {
      const addresses = await this.#lookup(host);
      const error = addresses.length === 0 ? 'ENODATA' : null;
      return { host, addresses: [...addresses], error };
    } catch (problem) {
      const { code, message } = problem as NodeJS.ErrnoException;
      return { host, addresses: [], error: code ?? message };
    }
  }

  #send(message: DoorMessage): void {
    if (this.#port === null) return;
    this.#port.postMessage(message);
    eventfdSignal(this.#wakeFd);
  }
}
