/**
 * Forward exporter: one simulated SCE that goes on over new connections, each with a mark of its
 * own, so that every record of a run has one name.
 */
import { connect, type Socket } from 'node:net';
import {
  ITEM_BYTES_MAX,
  namedMix,
  RecordStream,
  SubscriberPool,
} from '../../src/simulator/index.ts';
import { sleepMs } from './server-process.ts';

const PIECE_BYTES = 32 * 1024;
const RETRY_MS = 20;

/** Marks of a run; each is used once. */
export interface Marks {
  next: number;
}

export interface ExporterOptions {
  readonly address: string;
  readonly seed: number;
  readonly marks: Marks;
  readonly bytesPerSecond: number;
  readonly subscribers: number;
  readonly mix?: string;
}

export class ForwardExporter {
  readonly #options: ExporterOptions;
  readonly #subscribers: SubscriberPool;
  readonly #buffer = new Uint8Array(PIECE_BYTES + ITEM_BYTES_MAX);
  #socket: Socket | null = null;
  #isEnding = false;
  #wantsAnew = false;
  #running: Promise<void> = Promise.resolve();
  /** Bytes given to sockets, over all connections. */
  bytes = 0;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#subscribers = new SubscriberPool(options.subscribers);
  }

  /** Sends until end(); `port` is asked at each connect. */
  start(port: () => number): void {
    this.#running = this.#run(port);
  }

  /** Ends the connection behind a whole record and goes on over a new one. */
  reconnect(): void {
    this.#wantsAnew = true;
  }

  /** Ends behind a whole record. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#running;
  }

  /** At once, for the end of a failed test. */
  destroy(): void {
    this.#isEnding = true;
    this.#socket?.destroy();
  }

  async #run(port: () => number): Promise<void> {
    while (!this.#isEnding) {
      const socket = await this.#connect(port());
      if (socket === null) await sleepMs(RETRY_MS);
      else await this.#send(socket);
    }
  }

  async #connect(port: number): Promise<Socket | null> {
    const { address } = this.#options;
    const socket = connect({ host: '127.0.0.1', port, localAddress: address });
    this.#socket = socket;
    socket.on('error', () => {});
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(socket));
      socket.once('close', () => resolve(null));
    });
  }

  async #send(socket: Socket): Promise<void> {
    const { seed, marks, bytesPerSecond, mix = 'tur' } = this.#options;
    const stream = new RecordStream({
      seed,
      connection: marks.next++,
      mix: namedMix(mix),
      subscribers: this.#subscribers,
      hasMarks: true,
    });
    const startMs = Date.now();
    let sent = 0;
    this.#wantsAnew = false;
    while (!this.#isEnding && !this.#wantsAnew && !socket.destroyed) {
      const allowed = ((Date.now() - startMs) / 1000) * bytesPerSecond - sent;
      if (allowed < PIECE_BYTES / 8) {
        await sleepMs(2);
        continue;
      }
      const length = stream.fill(this.#buffer, 0, this.#buffer.length);
      sent += length;
      this.bytes += length;
      if (!(await written(socket, this.#buffer.slice(0, length)))) return;
    }
    if (socket.destroyed) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume().end();
    await closed;
  }
}

/** True when the kernel has it, false when the connection is gone. */
function written(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false);
    socket.once('close', onClose);
    socket.write(bytes, (error) => {
      socket.off('close', onClose);
      resolve(error === undefined || error === null);
    });
  });
}
