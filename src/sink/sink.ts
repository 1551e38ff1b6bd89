/**
 * Sink: a destination of RDRv1 streams that counts, checks, keeps, dawdles or breaks off.
 *
 * WHY         Who forwards records needs an end that receives them: to see that they arrive, to
 *             prove that none is missing, and to be as bad a destination as real ones are. A plain
 *             receiver on node:net that shares no code with the server.
 * OWNERSHIP   One event loop; each connection belongs to one SinkConnection.
 * INVARIANTS  Memory does not grow with what is received: counters, one range per gapless stream,
 *             the summaries of the first LISTED_MAX connections. Sums count all connections.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  type ConnectionEnd,
  type ConnectionSummary,
  type SharedChecks,
  SinkConnection,
} from './connection.ts';
import { Pace, type Rate } from './pace.ts';
import { SequenceCheck, type SequenceTotals, type Strictness } from './sequence-check.ts';
import { TagCounts } from './tag-counts.ts';

const LISTED_MAX = 1_000;
const ANSWER = 'millrace sink: got it\n';

export interface SinkOptions {
  readonly host: string;
  /** 0: the kernel picks one. */
  readonly port: number;
  readonly verify: Strictness | null;
  /** Streams are told apart by the marks of `generate --mark`, not by connection. */
  readonly isMarked: boolean;
  readonly slow: Rate | null;
  /** The sink ends when so many records have come. */
  readonly stopAfterRecords: number;
  /** Each connection is reset when so many records have come over it. */
  readonly resetAfterRecords: number;
  /** Answers with text, as a destination should not. */
  readonly isTalkingBack: boolean;
  /** A file per connection with the bytes as they came; null: nothing is kept. */
  readonly outFolder: string | null;
}

/** Takes what comes on a port of the kernel's choice, and counts it. */
export const PLAIN_SINK: SinkOptions = {
  host: '127.0.0.1',
  port: 0,
  verify: null,
  isMarked: false,
  slow: null,
  stopAfterRecords: Number.POSITIVE_INFINITY,
  resetAfterRecords: Number.POSITIVE_INFINITY,
  isTalkingBack: false,
  outFolder: null,
};

export interface SinkSummary {
  readonly elapsedMs: number;
  readonly records: number;
  readonly bytes: number;
  readonly connections: { readonly accepted: number; readonly open: number };
  /** Connections that ended in half a record, and the bytes of it. */
  readonly cut: { readonly records: number; readonly bytes: number };
  /** Bytes that are no records. */
  readonly resync: { readonly runs: number; readonly bytes: number };
  /** Record type -> records. */
  readonly tags: Readonly<Record<string, number>>;
  /** Null without `verify`. */
  readonly sequences: SequenceTotals | null;
  /** What is wrong, in words. */
  readonly findings: readonly string[];
  /** The first 1,000, in the order in which they came. */
  readonly byConnection: readonly ConnectionSummary[];
}

interface Open {
  readonly connection: SinkConnection;
  readonly fd: number;
  timer: NodeJS.Timeout | null;
}

export class Sink {
  readonly #options: SinkOptions;
  readonly #checks: SharedChecks;
  readonly #sequences: SequenceCheck | null;
  readonly #tags = new TagCounts();
  readonly #pace: Pace | null;
  readonly #open = new Map<Socket, Open>();
  readonly #listed: SinkConnection[] = [];
  readonly #ended = { records: 0, bytes: 0, cut: 0, cutBytes: 0, resync: 0, resyncBytes: 0 };
  readonly #onFull: () => void;
  /** Resolves when `stopAfterRecords` have come. */
  readonly full: Promise<void>;
  #server: Server | null = null;
  #accepted = 0;
  #records = 0;
  #startMs = 0;
  #endMs = 0;

  constructor(options: SinkOptions) {
    this.#options = options;
    const { verify, isMarked, slow } = options;
    this.#sequences = verify === null ? null : new SequenceCheck(verify);
    this.#checks = { tags: this.#tags, sequences: this.#sequences, isMarked };
    this.#pace = slow === null ? null : new Pace(slow);
    let onFull = (): void => {};
    this.full = new Promise((resolve) => {
      onFull = resolve;
    });
    this.#onFull = onFull;
  }

  /** Resolves with the port. Throws MR_PORT_IN_USE, MR_LISTEN, MR_OUTPUT. */
  async start(): Promise<number> {
    const { host, port, outFolder } = this.#options;
    if (outFolder !== null) makeFolder(outFolder);
    const pauseOnConnect = this.#pace?.isStopped === true;
    const server = createServer({ pauseOnConnect }, (socket) => {
      this.#accept(socket);
    });
    await listen(server, host, port);
    this.#server = server;
    this.#startMs = monotonicMs();
    return (server.address() as { port: number }).port;
  }

  /** Ends every connection; summary() still tells what came. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#endMs = monotonicMs();
    const closed = new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
    for (const socket of this.#open.keys()) {
      this.#finish(socket, 'stopped');
      socket.destroy();
    }
    await closed;
  }

  get openConnections(): number {
    return this.#open.size;
  }

  get records(): number {
    return this.#records;
  }

  summary(): SinkSummary {
    const ended = this.#ended;
    let { bytes, resync, resyncBytes } = ended;
    for (const { connection } of this.#open.values()) {
      const now = connection.summary();
      bytes += now.bytes;
      resync += now.resyncRuns;
      resyncBytes += now.resyncBytes;
    }
    const findings = this.#sequences?.findings() ?? [];
    if (resyncBytes > 0) findings.unshift(`${resyncBytes} bytes that are no records`);
    const endMs = this.#endMs === 0 ? monotonicMs() : this.#endMs;
    return {
      elapsedMs: Math.round(endMs - this.#startMs),
      records: this.#records,
      bytes,
      connections: { accepted: this.#accepted, open: this.#open.size },
      cut: { records: ended.cut, bytes: ended.cutBytes },
      resync: { runs: resync, bytes: resyncBytes },
      tags: this.#tags.toJson(),
      sequences: this.#sequences?.totals() ?? null,
      findings,
      byConnection: this.#listed.map((connection) => connection.summary()),
    };
  }

  #accept(socket: Socket): void {
    const peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    const connection = new SinkConnection(peer, this.#accepted, this.#checks);
    this.#accepted++;
    if (this.#listed.length < LISTED_MAX) this.#listed.push(connection);
    const open: Open = { connection, fd: this.#openFile(peer), timer: null };
    this.#open.set(socket, open);
    let end: ConnectionEnd = 'closed';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') end = 'reset';
    });
    socket.on('close', () => {
      this.#finish(socket, end);
    });
    socket.on('data', (piece: Buffer) => {
      this.#take(socket, open, piece);
    });
    // A listener of 'data' makes a socket flow: one that never reads is stopped again.
    if (this.#pace?.isStopped === true) socket.pause();
  }

  #take(socket: Socket, open: Open, piece: Buffer): void {
    const { stopAfterRecords, resetAfterRecords, isTalkingBack } = this.#options;
    const { connection, fd } = open;
    if (connection.end !== 'open') return;
    if (fd >= 0) writeSync(fd, piece);
    const records = connection.push(piece);
    this.#records += records;
    if (isTalkingBack && !socket.writableNeedDrain) socket.write(ANSWER);
    if (connection.records >= resetAfterRecords) {
      this.#finish(socket, 'reset');
      socket.resetAndDestroy();
    } else if (this.#pace !== null) this.#wait(socket, open, records, piece.length);
    if (this.#records >= stopAfterRecords) this.#onFull();
  }

  #wait(socket: Socket, open: Open, records: number, bytes: number): void {
    const waitMs = this.#pace!.spend(records, bytes, monotonicMs());
    if (waitMs < 1) return;
    socket.pause();
    open.timer = setTimeout(() => socket.resume(), waitMs);
  }

  #finish(socket: Socket, end: ConnectionEnd): void {
    const open = this.#open.get(socket);
    if (open === undefined) return;
    this.#open.delete(socket);
    if (open.timer !== null) clearTimeout(open.timer);
    if (open.fd >= 0) closeSync(open.fd);
    open.connection.finish(end);
    const summary = open.connection.summary();
    const sums = this.#ended;
    sums.bytes += summary.bytes;
    sums.resync += summary.resyncRuns;
    sums.resyncBytes += summary.resyncBytes;
    if (summary.cutBytes === 0 || end === 'stopped') return;
    sums.cut++;
    sums.cutBytes += summary.cutBytes;
  }

  #openFile(peer: string): number {
    const folder = this.#options.outFolder;
    if (folder === null) return -1;
    const number = String(this.#accepted).padStart(4, '0');
    return openSync(join(folder, `${number}-${peer.replaceAll(':', '-')}.rdr`), 'w');
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new MillraceError(
      'MR_OUTPUT',
      `cannot make the folder ${folder}: ${(cause as Error).message}`,
      'give a folder that can be written',
      { cause },
    );
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      reject(
        new MillraceError(
          isTaken ? 'MR_PORT_IN_USE' : 'MR_LISTEN',
          `cannot listen on ${host} port ${port}: ${cause.message}`,
          isTaken ? 'stop the other program, or give another port; 0 picks a free one' : '',
          { cause },
        ),
      );
    });
    server.listen({ host, port }, () => {
      resolve();
    });
  });
}
