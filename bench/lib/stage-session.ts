/**
 * One server process under measurement: warm up, run rounds, check that nothing is lost.
 *
 * A round: CPU before, the sender's run, wait until everything has arrived at the end of the
 * stages, CPU after. For the stages without a store the CPU is read as soon as the sender's
 * connections are closed, before the first question to the API: it must not measure itself.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { findLosses, isFinished } from './ledger-check.ts';
import { runSender, type SenderTotals } from './peers.ts';
import { cpuBetween, readPeakRssBytes, readProcessCpu } from './process-stats.ts';
import { type Server, type Stages, sleep, startServer } from './server.ts';
import type { StreamFile } from './stream-file.ts';

/** What the journal still appends after the last connection is closed. */
const TAIL_MS = 100;
/** The snapshot is made once a second. */
const POLL_MS = 250;
/** Without anything arriving for so long, what is missing is lost. */
const STANDSTILL_MS = 15_000;
const WARM_UP_RECORDS = 1_600_000;

export interface Load {
  readonly file: StreamFile;
  readonly connections: number;
  /** Records per second; 0 = flat out. */
  readonly rate: number;
  readonly seconds: number;
}

export interface StageRun {
  readonly records: number;
  readonly cpuUsPerRecord: number;
  readonly threadUsPerRecord: ReadonlyMap<string, number>;
  /** Records over the time until all had arrived at the end of the stages. */
  readonly recordsPerSecond: number;
  /** From the last byte sent until all had arrived. */
  readonly catchUpSeconds: number;
}

export interface SessionOptions {
  /** Further options of serve. */
  readonly more?: readonly string[];
  /** Stands in for the server in tests. */
  readonly program?: string;
  readonly standstillMs?: number;
  /** Options of Node.js. */
  readonly node?: readonly string[];
}

/** Changes as long as records arrive somewhere. */
function progressOf({ recordsTotal, intake, sinks, tables }: Snapshot): string {
  const delivered = sinks.map((sink) => sink.delivered);
  return JSON.stringify([recordsTotal, intake.inPages, delivered, tables]);
}

export class StageSession {
  readonly #server: Server;
  readonly #stages: Stages;
  readonly #load: Load;
  readonly #standstillMs: number;
  #sentRecords = 0;
  #sentBytes = 0;

  private constructor(server: Server, stages: Stages, load: Load, standstillMs: number) {
    this.#server = server;
    this.#stages = stages;
    this.#load = load;
    this.#standstillMs = standstillMs;
  }

  static async start(
    stages: Stages,
    load: Load,
    options: SessionOptions = {},
  ): Promise<StageSession> {
    const { more = [], program, standstillMs = STANDSTILL_MS, node = [] } = options;
    const server = await startServer(stages, more, program, {}, node);
    return new StageSession(server, stages, load, standstillMs);
  }

  /** Compiles the hot functions, fills the caches; not measured, but checked. */
  async warmUp(): Promise<void> {
    const { rate, seconds } = this.#load;
    const records = Math.min(WARM_UP_RECORDS, rate === 0 ? WARM_UP_RECORDS : rate * seconds);
    await this.#send({ records });
    await this.#finish();
  }

  async run(): Promise<StageRun> {
    const { seconds } = this.#load;
    const before = readProcessCpu(this.#server.pid);
    const sent = await this.#send({ seconds });
    const { records } = sent;
    // The sender first maps its file: its clock starts with the first byte.
    const firstByteMs = performance.now() - sent.settledSeconds * 1000;
    const hasStore = this.#stages === 'all' || this.#stages === 'decode';
    if (hasStore) await this.#finish();
    else await sleep(TAIL_MS);
    const used = cpuBetween(before, readProcessCpu(this.#server.pid));
    const elapsedSeconds = (performance.now() - firstByteMs) / 1000;
    if (!hasStore) await this.#finish();
    const threads = [...used.threadsUs].map(([name, us]) => [name, us / records] as const);
    return {
      records,
      cpuUsPerRecord: used.totalUs / records,
      threadUsPerRecord: new Map(threads),
      recordsPerSecond: records / elapsedSeconds,
      catchUpSeconds: elapsedSeconds - sent.seconds,
    };
  }

  peakRssBytes(): number {
    return readPeakRssBytes(this.#server.pid);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #send(much: { records: number } | { seconds: number }): Promise<SenderTotals> {
    const { file, connections, rate } = this.#load;
    const { port } = this.#server;
    const totals = await runSender({ file: file.path, port, connections, rate, ...much });
    if (!totals.settled) {
      throw new MillraceError('MR_CONNECT', 'the server did not close its connections in 30 s');
    }
    this.#sentRecords += totals.records;
    this.#sentBytes += totals.bytes;
    return totals;
  }

  /** Waits until everything that was ever sent has arrived; throws when something is missing. */
  async #finish(): Promise<void> {
    const expected = { records: this.#sentRecords, bytes: this.#sentBytes };
    let snapshot = await this.#server.status();
    let progress = '';
    let progressMs = performance.now();
    while (!isFinished(snapshot, this.#stages, expected)) {
      if (performance.now() - progressMs > this.#standstillMs) break;
      await sleep(POLL_MS);
      snapshot = await this.#server.status();
      const now = progressOf(snapshot);
      if (now !== progress) progressMs = performance.now();
      progress = now;
    }
    const losses = findLosses(snapshot, this.#stages, expected);
    if (losses.length > 0) {
      throw new MillraceError('MR_INPUT', `stages ${this.#stages}: ${losses.join('; ')}`);
    }
  }
}
