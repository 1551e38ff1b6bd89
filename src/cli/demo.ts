/**
 * `millrace demo`: the whole way in one command: a server, a simulated SCE that feeds it over TCP,
 * a destination that it forwards to, a live page, a line a second; at the end tops, ledgers and a
 * comparison of sent with stored.
 *
 * The server runs in this process with its embedded defaults; the simulated SCE is a process of its
 * own (`millrace generate`), as a real one would be. The destination is in this process, so that it
 * cannot outlive it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { parseEndpoint } from '../server/address.ts';
import { channelDifference } from '../server/forward/health.ts';
import type { Server, Snapshot } from '../server/index.ts';
import { PLAIN_SINK, Sink } from '../sink/index.ts';
import { describeError, EXIT_FAILED, EXIT_OK, MillraceError } from '../toolkit/base/errors.ts';
import { exitNow } from '../toolkit/sys/index.ts';
import { catchDrainSignals } from './drain-signals.ts';
import { parsePositive } from './option-values.ts';
import { ledgerLines } from './status-text.ts';
import { bytesText, countText, spanText, table } from './text-table.ts';

interface DemoOptions {
  readonly seconds?: number;
  readonly rate: number;
  readonly data: string;
}

const HOST = '127.0.0.1';
const LISTEN_PORT = 33_000;
const HTTP_PORT = 8033;
const PORTS_TRIED = 100;
const DESTINATION = 'demo';
const FLUSH_MS = 1_000;
/** The longest that the end waits for the store to have everything. */
const SETTLE_MS_MAX = 15_000;
const TOP_ROWS = 5;

const HELP = `
Data goes to ./millrace-demo, which may be removed afterwards. Where a port is taken, the next free
one is used. While it runs, other commands work on it:
  $ millrace query "SHOW TABLES" --data millrace-demo
  $ millrace status

Examples:
  $ millrace demo
  $ millrace demo --seconds 20 --rate 50000`;

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .summary('see it work: server, simulated SCE, live page')
    .description('Starts a server and a simulated SCE that feeds it over TCP.')
    .option('--seconds <n>', 'stop after n seconds (default: until Ctrl-C)', parsePositive)
    .option('--rate <r>', 'records a second', parsePositive, 10_000)
    .option('--data <dir>', 'data folder', './millrace-demo')
    .addHelpText('after', HELP)
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const { makeConfig, startServer } = await import('../server/index.ts');
  const destination = new Sink({ ...PLAIN_SINK, host: HOST });
  const destinationPort = await destination.start();
  const config = makeConfig(
    {
      data: options.data,
      listen: [`${HOST}:${await freePort(LISTEN_PORT)}`],
      http: `${HOST}:${await freePort(HTTP_PORT)}`,
      store: { flushMs: FLUSH_MS },
      cpu: { pin: 'off' },
      forward: {
        destinations: [{ name: DESTINATION, host: HOST, port: destinationPort, from: 'now' }],
      },
      log: { level: 'warn' },
    },
    'demo',
  );
  const server = await startServer(config).catch(async (error: unknown) => {
    await destination.stop();
    throw error;
  });
  const signals = catchDrainSignals();
  const [target] = server.ports.listen;
  const page = server.ports.http;
  process.stdout.write(`server listening on ${target}, data in ${options.data}\n`);
  process.stdout.write(`forwards to ${HOST}:${destinationPort}, a destination of the demo\n`);
  process.stdout.write(`live page  http://${page}/\n`);
  const exporter = new SimulatedExporter(target!, options);
  const timer = setInterval(() => process.stdout.write(`${lineOf(server.snapshot())}\n`), 1000);
  let exitCode: number = EXIT_OK;
  try {
    await Promise.race([exporter.ended, signals.first, server.closed]);
    const sent = await exporter.stop();
    await settle(server, sent.records);
    clearInterval(timer);
    await printTops(page!);
    const last = await server.drain();
    await destination.stop();
    printEnd(last, sent, destination.records);
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    exitCode = exitCodeOf(error);
    exporter.kill();
  }
  // As `serve` ends: what is to be kept is on the disk, whatever DuckDB still does.
  exitNow(exitCode);
}

function exitCodeOf(error: unknown): number {
  return error instanceof MillraceError ? error.exitCode : EXIT_FAILED;
}

/** `port`, or the next one above it that nobody listens on. */
async function freePort(port: number): Promise<number> {
  for (let candidate = port; candidate < port + PORTS_TRIED; candidate++) {
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(candidate, HOST, () => resolve(true));
    });
    if (isFree) {
      probe.close();
      await once(probe, 'close');
      return candidate;
    }
  }
  throw new MillraceError(
    'MR_PORT_IN_USE',
    `the ports ${port} to ${port + PORTS_TRIED - 1} of ${HOST} are taken`,
    'stop one of the programs that use them (ss -ltnp shows which)',
  );
}

/** What `millrace generate --json` prints at its end, as far as it is used here. */
interface Sent {
  readonly records: number;
  readonly bytes: number;
  readonly tables: Readonly<Record<string, number>>;
}

/** A simulated SCE in a process of its own. */
class SimulatedExporter {
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #output = '';
  #hasEnded = false;

  constructor(target: string, { rate, seconds }: DemoOptions) {
    const { host, port } = parseEndpoint(target);
    const parameters = ['generate', `${host}:${port}`, '--rate', String(rate), '--start', 'now'];
    parameters.push('--connections', '2', '--exporters', '2', '--json');
    if (seconds !== undefined) parameters.push('--seconds', String(seconds));
    this.#child = spawn(process.execPath, [process.argv[1]!, ...parameters], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A group of its own: Ctrl-C reaches us alone, and we end it in order.
      detached: true,
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    this.ended = once(this.#child, 'close').then(() => {
      this.#hasEnded = true;
    });
  }

  kill(): void {
    if (!this.#hasEnded) this.#child.kill('SIGKILL');
  }

  /** Ends it behind a whole record; what it has sent. */
  async stop(): Promise<Sent> {
    if (!this.#hasEnded) this.#child.kill('SIGINT');
    await this.ended;
    if (this.#child.exitCode !== EXIT_OK || this.#output === '') {
      throw new MillraceError(
        'MR_CONNECT',
        `the simulated SCE ended with code ${this.#child.exitCode}`,
        'its own message is above',
      );
    }
    return JSON.parse(this.#output) as Sent;
  }
}

function lineOf(snapshot: Snapshot): string {
  const differences = [snapshot.intake, ...snapshot.sinks].map(({ difference }) => difference);
  for (const channel of snapshot.forward?.channels ?? []) {
    differences.push(channelDifference(channel));
  }
  const isClosed = differences.every((difference) => difference === 0);
  const [sink] = snapshot.sinks;
  const lag =
    sink === undefined ? '-' : `${countText(sink.pending)} records, ${spanText(sink.lagMs)}`;
  const ledgers = isClosed ? 'ledgers close' : `LEDGERS DIFFER BY ${differences.join(' / ')}`;
  return [
    `${countText(snapshot.recordsPerSecond).padStart(9)} records/s`,
    `${bytesText(snapshot.bytesPerSecond).padStart(9)}/s`,
    `${countText(snapshot.recordsTotal).padStart(12)} records`,
    `lag ${lag}`,
    ledgers,
  ].join('  ');
}

/** Waits until all that was sent has arrived, is committed and forwarded, within reason. */
async function settle(server: Server, records: number): Promise<void> {
  const endMs = performance.now() + SETTLE_MS_MAX;
  while (performance.now() < endMs) {
    const { recordsTotal, sinks, forward } = server.snapshot();
    const ends = [...sinks, ...(forward?.channels ?? [])];
    if (recordsTotal >= records && ends.every(({ pending }) => pending === 0)) return;
    await sleep(200);
  }
}

interface TopAnswer {
  readonly rows: readonly { name: string; bytes: number; sessions: number; records: number }[];
}

async function printTops(page: string): Promise<void> {
  for (const by of ['subscribers', 'services']) {
    const answer = await fetch(`http://${page}/api/v1/top/${by}?window=1h&n=${TOP_ROWS}`);
    if (!answer.ok) {
      process.stderr.write(`millrace demo: no top ${by}: ${await answer.text()}\n`);
      continue;
    }
    const { rows } = (await answer.json()) as TopAnswer;
    const cells = rows.map((row) => [row.name, bytesText(row.bytes), countText(row.sessions)]);
    const lines = table([`top ${by}`, 'bytes', 'sessions'], cells, [1, 2]);
    process.stdout.write(`\n${lines.join('\n')}\n`);
  }
}

function printEnd(snapshot: Snapshot, sent: Sent, forwarded: number): void {
  process.stdout.write(`\n${ledgerLines(snapshot).join('\n')}\n\n`);
  const arrived = snapshot.recordsTotal;
  const verdict =
    arrived === sent.records ? 'all of them arrived' : `${countText(arrived)} ARRIVED`;
  process.stdout.write(
    `the simulated SCE sent ${countText(sent.records)} records, ` +
      `${bytesText(sent.bytes)}: ${verdict}\n` +
      `the destination got ${countText(forwarded)} of them, over connections of its own\n`,
  );
}
