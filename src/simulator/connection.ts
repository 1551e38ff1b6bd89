/**
 * Connection: one TCP connection to a collector, written to with back-pressure.
 *
 * WHY       A simulated SCE never connects again by itself: bytes that were accepted by the kernel
 *           and then lost would make its totals wrong. What fails is reported, with the address.
 * OWNERSHIP A buffer given to write() belongs to the kernel's queue until the promise is settled.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { MillraceError } from '../toolkit/base/errors.ts';

/** After the last byte: how long the collector may take to close its side. */
const CLOSE_MS_MAX = 5000;

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly onSocket: ((socket: Socket) => void) | undefined;
}

export class Connection {
  readonly #socket: Socket;
  readonly #target: string;
  readonly localAddress: string;
  readonly localPort: number;
  #cause: Error | null = null;

  private constructor(socket: Socket, target: string) {
    this.#socket = socket;
    this.#target = target;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    // A collector sends nothing; whatever comes is read and forgotten, so that its end is seen.
    socket.resume();
    socket.on('error', (error) => {
      this.#cause ??= error;
    });
  }

  static async open(options: ConnectOptions): Promise<Connection> {
    const target = `${options.host}:${options.port}`;
    const from = options.localAddress;
    const socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      ...(from === undefined ? {} : { localAddress: from, family: 4 }),
    });
    try {
      await once(socket, 'connect');
    } catch (cause) {
      socket.destroy();
      throw new MillraceError(
        'MR_CONNECT',
        `cannot connect to ${target}${from === undefined ? '' : ` from ${from}`}: ${reason(cause)}`,
        'start the server, or give the address that it listens on',
        { cause },
      );
    }
    options.onSocket?.(socket);
    return new Connection(socket, target);
  }

  /** Resolves when the kernel has taken all bytes. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(this.#lost(error));
      });
    });
  }

  /** Sends the end of the stream and waits for the other side to close. */
  async end(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) throw this.#lost(this.#cause ?? new Error('closed by the other side'));
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(CLOSE_MS_MAX) });
    socket.end();
    try {
      await closed;
    } catch (error) {
      // Everything was sent and the end announced: a receiver that keeps its side open loses
      // nothing.
      if ((error as Error).name !== 'AbortError') throw this.#lost(error as Error);
    } finally {
      socket.destroy();
    }
    if (this.#cause !== null) throw this.#lost(this.#cause);
  }

  /** Gives up at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #lost(error: Error): MillraceError {
    const cause = this.#cause ?? error;
    return new MillraceError(
      'MR_CONNECT',
      `lost the connection ${this.localAddress}:${this.localPort} to ${this.#target}: ` +
        reason(cause),
      'look into the log of the server; the totals so far are of what the kernel had taken',
      { cause },
    );
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join('; ');
  return error instanceof Error ? error.message : String(error);
}
