/**
 * `millrace replay`: sends the records of files to a collector, over one TCP connection.
 *
 * Whole records only, in order; what is no record (garbage, a half record at the end) is left out
 * and told. With --rate the records are paced in small steps, otherwise the socket sets the pace.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { frameLength } from '../rdr/index.ts';
import { parseEndpoint } from '../server/address.ts';
import type { RecordRun } from '../server/record-json.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { parsePositive } from './option-values.ts';
import { type Progress, startProgress } from './progress.ts';
import { describeNotes, inputBytes, makeNotes, recordsOf } from './record-input.ts';

interface ReplayOptions {
  readonly rate?: number;
  readonly json?: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** A paced run is sent in steps of this time at most. */
const STEP_MS = 20;

const HELP = `
FILE is raw RDRv1 bytes, a journal segment, a journal folder or a data folder; - is standard input.
Arrival times and exporter addresses of segments are not replayed: records arrive now, from here.

Examples:
  $ millrace replay capture.rdr 127.0.0.1:33000
  $ millrace replay --rate 5000 old/*.seg 192.0.2.7:33000`;

export function registerReplay(program: Command): void {
  program
    .command('replay')
    .summary('send records of files to a collector')
    .description('Sends raw RDR bytes or journal segments to a collector, whole records only.')
    .argument('<file...>', 'files or folders, then HOST:PORT of the collector')
    .option(
      '--rate <r>',
      'records a second (default: as fast as the collector takes them)',
      parsePositive,
    )
    .option('--json', 'print the totals as JSON')
    .addHelpText('after', HELP)
    .action(replay);
}

async function replay(parameters: readonly string[], options: ReplayOptions): Promise<void> {
  const target = parameters.at(-1)!;
  const files = parameters.slice(0, -1);
  if (files.length === 0) {
    throw new MillraceError(
      'MR_USAGE',
      'replay needs files and, as its last argument, HOST:PORT',
      'for example: millrace replay capture.rdr 127.0.0.1:33000',
    );
  }
  const endpoint = parseEndpoint(target);
  const total = files.reduce((sum, file) => sum + inputBytes(file), 0);
  const socket = await open(endpoint.host, endpoint.port, target);
  const sender = new Sender(socket, target, options.rate ?? 0);
  const progress = startProgress('replay', total, 'MB');
  const notes = makeNotes();
  try {
    for (const file of files) {
      for await (const run of recordsOf(file, notes)) {
        await sender.send(run, progress, notes.bytesRead);
      }
    }
    await sender.end();
  } finally {
    progress.stop();
    socket.destroy();
  }
  const totals = { records: sender.records, bytes: sender.bytes, seconds: sender.seconds() };
  const text = `${totals.records} records, ${totals.bytes} bytes in ${totals.seconds.toFixed(1)} s`;
  process.stdout.write(options.json === true ? `${JSON.stringify(totals)}\n` : `${text}\n`);
  const remark = describeNotes(notes);
  if (remark !== null) process.stderr.write(`millrace replay: ${remark}\n`);
}

async function open(host: string, port: number, target: string): Promise<Socket> {
  const socket = connect({ host, port });
  socket.setNoDelay(true);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new MillraceError(
      'MR_CONNECT',
      `no connection to ${target}: ${(error as Error).message}`,
      'is the collector running, on this address? millrace status tells',
      { cause: error },
    );
  }
}

class Sender {
  readonly #socket: Socket;
  readonly #target: string;
  readonly #rate: number;
  readonly #startedMs = performance.now();
  #failure: Error | null = null;
  records = 0;
  bytes = 0;

  constructor(socket: Socket, target: string, rate: number) {
    this.#socket = socket;
    this.#target = target;
    this.#rate = rate;
    socket.on('error', (error) => {
      this.#failure ??= error;
    });
    socket.on('close', () => {
      this.#failure ??= new Error('the collector closed the connection');
    });
    socket.resume();
  }

  seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  async send(run: RecordRun, progress: Progress, bytesRead: number): Promise<void> {
    const end = run.offset + run.length;
    const stepRecords =
      this.#rate === 0 ? Number.POSITIVE_INFINITY : Math.max(1, (this.#rate * STEP_MS) / 1000);
    for (let at = run.offset; at < end; ) {
      let to = at;
      let count = 0;
      while (to < end && count < stepRecords) {
        to += frameLength(run.bytes, to);
        count++;
      }
      await this.#pace();
      await this.#write(run.bytes.slice(at, to));
      this.records += count;
      this.bytes += to - at;
      at = to;
      progress.update(bytesRead - (end - to), `${this.records} records`);
    }
  }

  /** Ends our side and waits until everything was handed over. */
  async end(): Promise<void> {
    this.#check();
    const finished = this.#eventOrClose('finish');
    this.#socket.end();
    await finished;
    if (!this.#socket.writableFinished) this.#check();
  }

  /** Sleeps until the records sent so far are due. */
  async #pace(): Promise<void> {
    if (this.#rate === 0) return;
    const aheadMs = (this.records / this.#rate) * 1000 - (performance.now() - this.#startedMs);
    if (aheadMs > 1) await sleep(aheadMs);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#check();
    if (this.#socket.write(bytes)) return;
    await this.#eventOrClose('drain');
    this.#check();
  }

  /** An error is followed by close; what it was is kept in #failure. */
  async #eventOrClose(event: 'drain' | 'finish'): Promise<void> {
    const socket = this.#socket;
    if (socket.closed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off(event, done);
        socket.off('close', done);
        resolve();
      };
      socket.on(event, done);
      socket.on('close', done);
    });
  }

  #check(): void {
    if (this.#failure === null) return;
    throw new MillraceError(
      'MR_CONNECT',
      `the connection to ${this.#target} was lost after ${this.records} records:` +
        ` ${this.#failure.message}`,
      'see the log of the collector; records that were sent last may not have arrived',
      { cause: this.#failure },
    );
  }
}
