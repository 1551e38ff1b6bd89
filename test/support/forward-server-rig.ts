/**
 * Forward rig: exporters, a real server that forwards, destinations; each of them may die.
 *
 * WHY        What forwarding promises holds across processes and sockets, so the server runs as an
 *            operator runs it, with a configuration file, and is killed as a machine kills it. The
 *            other ends run in the test, where every byte they saw can be judged.
 * LIFE       open -> start -> (kill, startServer)* -> finish: exporters end, everything pending is
 *            delivered, the server drains, what is in flight is read; then judge.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ConfigInput } from '../../src/server/config.ts';
import type { ChannelReport, ForwardReport } from '../../src/server/forward/report.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { type Clock, ForwardDestination } from './forward-destination.ts';
import { ForwardExporter, type Marks } from './forward-exporter.ts';
import { type JudgeOptions, judge, type Verdict } from './forward-judge.ts';
import { type ForwardTruth, truthOfJournal } from './forward-truth.ts';
import { ServerProcess, sleepMs } from './server-process.ts';

const SETTLE_MS = 60_000;
const TURN_MS = 1;
const FINDINGS_SHOWN = 5;

type ForwardInput = NonNullable<ConfigInput['forward']>;
export type DestinationInput = NonNullable<ForwardInput['destinations']>[number];

export interface ForwardRigOptions {
  readonly destinations: readonly string[];
  /** Keys below `forward:`; hosts and ports of destinations are filled in by name. */
  readonly forward: (
    to: (name: string, keys?: Partial<DestinationInput>) => DestinationInput,
  ) => ForwardInput;
  readonly seed: number;
  readonly exporters?: number;
  /** Of each exporter. */
  readonly bytesPerSecond?: number;
  readonly subscribers?: number;
  readonly mix?: string;
  readonly config?: ConfigInput;
  readonly receiveBufferBytes?: number;
  /** Where a destination listens; 127.0.0.1 where it is not named. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** What a destination reads at most of a connection in one turn. */
  readonly readBytes?: number;
  /** Where the data folder is made; a temporary folder of its own where it is left out. */
  readonly folder?: string;
}

/** Journal files of a size that a short run fills, and no store beside it. */
const CONFIG: ConfigInput = {
  journal: { segmentBytes: 4 * 1024 * 1024 },
  sink: 'null',
  pages: { arenaBytes: 32 * 1024 * 1024 },
  log: { level: 'warn' },
};

/** A seed for a run: MILLRACE_TEST_SEED, or of the clock; it is told. */
export function chooseSeed(context: TestContext): number {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000);
  context.diagnostic(`seed ${seed}: MILLRACE_TEST_SEED=${seed} makes it again`);
  return seed;
}

export class ForwardRig {
  readonly destinations = new Map<string, ForwardDestination>();
  readonly exporters: ForwardExporter[] = [];
  readonly marks: Marks = { next: 1 };
  readonly dataDir: string;
  readonly #folder: string;
  #config: ConfigInput;
  #server: ServerProcess | null = null;
  #port = 0;
  #isOpen = true;
  #pumping: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  readonly #hosts: Readonly<Record<string, string>>;

  private constructor(options: ForwardRigOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), 'millrace-forward-'));
    this.dataDir = join(options.folder ?? this.#folder, 'data');
    this.#hosts = options.hosts ?? {};
    const clock: Clock = { next: 0 };
    for (const name of options.destinations) {
      const destination = new ForwardDestination(
        name,
        clock,
        options.receiveBufferBytes,
        options.readBytes,
        options.hosts?.[name],
      );
      destination.start();
      this.destinations.set(name, destination);
    }
    this.#config = { ...CONFIG, ...options.config, forward: this.#forward(options.forward) };
  }

  /** Destinations listen, the server runs, exporters wait for start(). */
  static async open(context: TestContext, options: ForwardRigOptions): Promise<ForwardRig> {
    const rig = new ForwardRig(options);
    context.after(() => rig.close());
    rig.#pumping = rig.#pump();
    const { exporters = 2, bytesPerSecond = 400_000, subscribers = 200, seed } = options;
    for (let i = 0; i < exporters; i++) {
      const address = `127.0.0.${2 + i}`;
      const { marks } = rig;
      const mix = options.mix ?? 'tur';
      rig.exporters.push(
        new ForwardExporter({ address, seed, marks, bytesPerSecond, subscribers, mix }),
      );
    }
    await rig.startServer();
    return rig;
  }

  destination(name: string): ForwardDestination {
    const found = this.destinations.get(name);
    assert.ok(found, `there is a destination ${name}`);
    return found;
  }

  get server(): ServerProcess {
    assert.ok(this.#server, 'the server runs');
    return this.#server;
  }

  get isServerUp(): boolean {
    return this.#server !== null;
  }

  startExporters(): void {
    for (const exporter of this.exporters) exporter.start(() => this.#port);
  }

  async startServer(): Promise<void> {
    this.#server = await ServerProcess.start(this.dataDir, this.#config);
    this.#port = this.#server.port;
  }

  /** kill -9: connections to destinations may end in the midst of a record. */
  async killServer(): Promise<void> {
    const { server } = this;
    this.#server = null;
    for (const destination of this.destinations.values()) destination.isServerKilled = true;
    await server.kill();
    // Connections of the last moment wait in the backlog: they are orphans, too.
    for (const destination of this.destinations.values()) {
      destination.turn();
      destination.isServerKilled = false;
    }
  }

  /** Changes the keys below `forward:` and has the server read them. */
  reload(forward: ForwardRigOptions['forward']): void {
    this.#config = { ...this.#config, forward: this.#forward(forward) };
    ServerProcess.writeConfig(this.dataDir, this.#config);
    this.server.reload();
  }

  async report(): Promise<ForwardReport> {
    for (;;) {
      const { forward } = await this.server.status();
      if (forward !== null) return forward;
      await sleepMs(20);
    }
  }

  async channel(name: string): Promise<ChannelReport> {
    const { channels } = await this.report();
    const found = channels.find((channel) => channel.name === name);
    assert.ok(found, `there is a channel ${name}: ${channels.map((one) => one.name).join()}`);
    return found;
  }

  /** Waits for a condition that the pump, an exporter or the server brings about. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = Date.now() + SETTLE_MS;
    while (!(await condition())) {
      if (this.#failure !== null) throw this.#failure;
      assert.ok(Date.now() < endMs, `${what}: not reached; ${await this.#describe()}`);
      await sleepMs(20);
    }
  }

  /**
   * Every exporter has ended, the journal has all of it, and nothing is pending but at `except`.
   */
  async settle(except: readonly string[] = []): Promise<Snapshot> {
    await Promise.all(this.exporters.map((exporter) => exporter.end()));
    const endedMs = Date.now();
    // A snapshot is made once a second: one of before would find everything at rest.
    await this.until('the intake is empty', async () => {
      const { timeMs, exporters, intake } = await this.server.status();
      if (timeMs <= endedMs || intake.inPages > 0) return false;
      return exporters.every(({ connections }) => connections === 0);
    });
    let last: Snapshot | null = null;
    await this.until('nothing is pending', async () => {
      const status = await this.server.status();
      // The forwarder's report may be older than the rest of the snapshot.
      const { position: end } = status.journal;
      const isDone = ({ name, pending, position }: ChannelReport): boolean =>
        except.includes(name) || (pending === 0 && position >= end);
      if (status.forward?.channels.every(isDone) === true) last = status;
      return last !== null;
    });
    return last!;
  }

  /** Settles, drains the server, reads what is on its way; the ledgers are checked. */
  async finish(except: readonly string[] = []): Promise<ForwardReport> {
    const { forward } = await this.settle(except);
    assert.ok(forward, 'the forwarder reports');
    checkLedgers(forward);
    const { server } = this;
    const code = await server.drain();
    this.#server = null;
    assert.equal(code, 0, server.stderr);
    await this.until('every connection has ended', () => {
      return [...this.destinations.values()].every((one) => one.openCount === 0 || !one.isReading);
    });
    return forward;
  }

  /** What the journal holds; behind finish() or killServer(). */
  truth(withKeys = false, hasHoles = false): ForwardTruth {
    return truthOfJournal(join(this.dataDir, 'journal'), withKeys, hasHoles);
  }

  /** Judges the named destinations together; findings fail the test. */
  judge(
    names: readonly string[],
    options: Omit<JudgeOptions, 'members'>,
    context?: TestContext,
  ): Verdict {
    const members = names.map((name) => this.destination(name));
    const verdict = judge({ members, ...options });
    const { received, doubles, missing, missingBytes, cut } = verdict;
    context?.diagnostic(
      `${names.join(', ')}: ${received} records over ` +
        `${members.reduce((sum, one) => sum + one.connections.length, 0)} connections, ` +
        `${doubles} doubles, ${missing} missing (${missingBytes} bytes), ${cut} cut`,
    );
    const shown = verdict.findings
      .slice(0, FINDINGS_SHOWN)
      .map(({ kind, text }) => `${kind}: ${text}`);
    assert.deepEqual(shown, [], `${names.join(', ')}: ${verdict.findings.length} findings`);
    return verdict;
  }

  async close(): Promise<void> {
    for (const exporter of this.exporters) exporter.destroy();
    await this.#server?.kill();
    this.#server = null;
    this.#isOpen = false;
    await this.#pumping;
    for (const destination of this.destinations.values()) destination.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #forward(make: ForwardRigOptions['forward']): ForwardInput {
    return make((name, keys = {}) => ({
      name,
      host: this.#hosts[name] ?? '127.0.0.1',
      port: this.destination(name).port,
      from: 'journal-start',
      reconnectMsMin: 20,
      reconnectMsMax: 200,
      ...keys,
    }));
  }

  async #pump(): Promise<void> {
    while (this.#isOpen) {
      try {
        for (const destination of this.destinations.values()) destination.turn();
      } catch (error) {
        this.#failure = error;
        return;
      }
      await sleepMs(TURN_MS);
    }
  }

  async #describe(): Promise<string> {
    if (this.#server === null) return 'the server is down';
    try {
      const { channels } = await this.report();
      const lines = channels.map(({ name, state, received, delivered, pending }) => {
        return `${name} ${state} ${delivered}/${received} pending ${pending}`;
      });
      return `${lines.join('; ')}\n${this.#server.stderr.slice(-2_000)}`;
    } catch {
      return this.#server.stderr.slice(-2_000);
    }
  }
}

/** received = delivered + filtered + dropped + pending, for each channel. */
export function checkLedgers({ channels }: ForwardReport): void {
  for (const channel of channels) {
    const { name, received, delivered, filtered, pending, dropped } = channel;
    const sum = Object.values(dropped).reduce((total, count) => total + count, 0);
    assert.equal(received, delivered + filtered + sum + pending, `the ledger of ${name} closes`);
  }
}
