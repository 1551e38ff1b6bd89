/**
 * Sender: streams records over TCP connections, as one or more simulated SCEs.
 *
 * WHY        One program for tests, benchmarks and the demo: records are divided over the
 *            connections by count, every connection has its own stream, and what each one sent can
 *            be compared with what a collector counted.
 * ORDER      All connections are open before the first byte is sent. Each then runs by itself: fill
 *            a buffer, write it, wait until the kernel has it (back-pressure), count it.
 * INVARIANTS `result()` counts only whole buffers that the kernel has taken. stop() ends every
 *            connection behind a whole record.
 * REFUSED    Connecting again after a loss (see connection.ts); worker threads (one core makes more
 *            records than a collector is meant to take).
 */
import { createHash, type Hash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { Connection } from './connection.ts';
import { Pacer } from './pacer.ts';
import { Pieces } from './pieces.ts';
import { DEFAULT_START_SECONDS, ITEM_BYTES_MAX, RecordStream } from './record-stream.ts';
import { checkSendOptions, localAddress, type SendOptions, shareOf } from './send-options.ts';
import { Totals, type TotalsJson } from './totals.ts';

const BUFFER_BYTES = 128 * 1024;

export interface ConnectionTotals {
  readonly localAddress: string;
  readonly localPort: number;
  readonly records: number;
  readonly bytes: number;
  /** Of the bytes sent; null where hashing was turned off. */
  readonly sha256: string | null;
}

export interface SendResult extends TotalsJson {
  readonly seed: number;
  readonly startSeconds: number;
  /** False when a connection was lost or stop() came before the end. */
  readonly complete: boolean;
  readonly elapsedMs: number;
  readonly connections: readonly ConnectionTotals[];
}

/** One connection with its stream. */
interface Lane {
  readonly connection: Connection;
  readonly stream: RecordStream;
  readonly share: number;
  readonly buffer: Uint8Array;
  readonly hash: Hash | null;
  readonly pieces: Pieces | null;
  /** Totals up to the last buffer that the kernel has taken. */
  readonly sent: Totals;
}

/** What a progress line shows. */
export interface SendProgress {
  readonly records: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

export class Sender {
  readonly #options: SendOptions;
  #lanes: readonly Lane[] = [];
  #startMs = 0;
  #endMs = 0;
  #isStopped = false;
  #isComplete = false;
  readonly #abort = new AbortController();

  constructor(options: SendOptions) {
    checkSendOptions(options);
    this.#options = options;
    // Each paced connection listens while it waits; Node.js warns of more than ten.
    setMaxListeners(options.connections ?? 1, this.#abort.signal);
  }

  /** Sends everything; rejects with MR_CONNECT, and result() still tells what was sent. */
  async run(): Promise<SendResult> {
    this.#lanes = await this.#open();
    this.#startMs = monotonicMs();
    try {
      await Promise.all(this.#lanes.map((lane) => this.#runLane(lane)));
      this.#isComplete = !this.#isStopped;
    } catch (error) {
      this.stop();
      for (const lane of this.#lanes) lane.connection.destroy();
      throw error;
    } finally {
      this.#endMs = monotonicMs();
    }
    return this.result();
  }

  /** Ends every connection behind the record it is in; run() then resolves. */
  stop(): void {
    this.#isStopped = true;
    this.#abort.abort();
  }

  progress(): SendProgress {
    let records = 0;
    let bytes = 0;
    for (const lane of this.#lanes) {
      records += lane.sent.records;
      bytes += lane.sent.bytes;
    }
    return { records, bytes, elapsedMs: this.#elapsedMs() };
  }

  result(): SendResult {
    const totals = new Totals();
    for (const lane of this.#lanes) totals.add(lane.sent);
    const { seed, startSeconds = DEFAULT_START_SECONDS } = this.#options.stream;
    return {
      seed,
      startSeconds,
      complete: this.#isComplete,
      elapsedMs: Math.round(this.#elapsedMs()),
      ...totals.toJson(),
      connections: this.#lanes.map(({ connection, sent, hash }) => ({
        localAddress: connection.localAddress,
        localPort: connection.localPort,
        records: sent.records,
        bytes: sent.bytes,
        sha256: hash === null ? null : hash.copy().digest('hex'),
      })),
    };
  }

  #elapsedMs(): number {
    if (this.#startMs === 0) return 0;
    return (this.#endMs === 0 ? monotonicMs() : this.#endMs) - this.#startMs;
  }

  async #open(): Promise<readonly Lane[]> {
    const { host, port, connections = 1, exporters, stream, records, onSocket } = this.#options;
    const opened = await Promise.allSettled(
      Array.from({ length: connections }, (_, index) => {
        const from = localAddress(index, exporters);
        return Connection.open({ host, port, localAddress: from, onSocket });
      }),
    );
    const failed = opened.find((outcome) => outcome.status === 'rejected');
    const open = opened.flatMap((outcome) => {
      return outcome.status === 'fulfilled' ? [outcome.value] : [];
    });
    if (failed !== undefined) {
      for (const connection of open) connection.destroy();
      throw failed.reason;
    }
    return open.map((connection, index) => ({
      connection,
      stream: new RecordStream({ ...stream, connection: index }),
      share: shareOf(records, index, connections),
      buffer: new Uint8Array(BUFFER_BYTES),
      hash: this.#options.hash === false ? null : createHash('sha256'),
      pieces: this.#options.chunk === 'random' ? new Pieces(stream.seed, index) : null,
      sent: new Totals(),
    }));
  }

  async #runLane(lane: Lane): Promise<void> {
    const { rate, seconds = Number.POSITIVE_INFINITY, connections = 1 } = this.#options;
    const { stream, share, buffer } = lane;
    const endMs = this.#startMs + seconds * 1000;
    const pacer = new Pacer((rate ?? Number.POSITIVE_INFINITY) / connections, this.#startMs);
    while (!this.#isStopped && stream.totals.records < share) {
      const nowMs = monotonicMs();
      if (nowMs >= endMs) break;
      const allowed = pacer.allowed(nowMs);
      if (allowed === 0) {
        await this.#sleep(Math.min(pacer.waitMs(nowMs), endMs - nowMs));
        continue;
      }
      const before = stream.totals.records;
      const limit = Math.min(allowed, share - before);
      const made = stream.fill(buffer, 0, buffer.length, limit);
      pacer.count(stream.totals.records - before);
      await this.#write(lane, made);
    }
    await this.#finish(lane);
  }

  async #finish(lane: Lane): Promise<void> {
    const { halfRecordAtEnd, stream: options } = this.#options;
    const wantsHalf = halfRecordAtEnd ?? (options.malformedRatio ?? 0) > 0;
    if (wantsHalf && !this.#isStopped) {
      await this.#write(lane, lane.stream.fillTruncated(lane.buffer));
    }
    await lane.connection.end();
  }

  async #write(lane: Lane, length: number): Promise<void> {
    const bytes = lane.buffer.subarray(0, length);
    lane.hash?.update(bytes);
    if (lane.pieces === null) await lane.connection.write(bytes);
    else {
      for (let at = 0; at < length; ) {
        const end = Math.min(length, at + lane.pieces.next());
        await lane.connection.write(bytes.subarray(at, end));
        at = end;
      }
    }
    lane.sent.copyFrom(lane.stream.totals);
    // A write that the kernel takes at once settles before the event loop turns: without this,
    // timers, signals and the other connections would starve.
    await turn();
  }

  /** Ends early when stop() is called. */
  async #sleep(ms: number): Promise<void> {
    try {
      await sleep(Math.max(0, ms), undefined, { signal: this.#abort.signal });
    } catch (error) {
      if ((error as Error).name !== 'AbortError') throw error;
    }
  }
}

/** Sends everything that the options ask for; see Sender for stopping early. */
export function sendStreams(options: SendOptions): Promise<SendResult> {
  return new Sender(options).run();
}

/** Room that a buffer for RecordStream.fill() needs at least, and a good size for one. */
export const STREAM_BUFFER_BYTES: number = Math.max(BUFFER_BYTES, ITEM_BYTES_MAX);
