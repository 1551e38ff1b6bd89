/**
 * One flow: a server that forwards to N sinks, beside the C relay that does the same, in turn.
 *
 * CPU        Of the server: the threads `forward` and `catchup`, all that they do, by
 *            /proc/<pid>/task. Of the relay: its thread within write(2) alone, and for a filter
 *            also within parsing, filtering and gathering; never its reads.
 * CHECKED    After each round every channel has delivered what the filter is to pass, dropped
 *            nothing and sent nothing twice; the relay and the server have sent what they should;
 *            and each connection of the sink has got it, to the byte (expected.ts). Else there is
 *            no figure.
 */
import { join } from 'node:path';
import type { ConfigInput } from '../../src/server/config.ts';
import type { ChannelReport } from '../../src/server/forward/report.ts';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { runSender, type SenderTotals } from '../lib/peers.ts';
import { cpuBetween, readProcessCpu } from '../lib/process-stats.ts';
import { type Server, sleep, startServer } from '../lib/server.ts';
import type { StreamFile } from '../lib/stream-file.ts';
import { newestBlockBytes } from './block-sizes.ts';
import { ExpectedOutput, findMissing, type Output } from './expected.ts';
import { LineChild } from './line-child.ts';

export interface FlowCase {
  readonly destinations: number;
  /** Empty: everything. */
  readonly filter: string;
  readonly file: StreamFile;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** What one side did in a round. */
export interface FlowSide {
  /** Bytes to all destinations together. */
  readonly bytesOut: number;
  /** CPU of forwarding alone, µs. */
  readonly cpuUs: number;
  /** Without what chose the records, and with all that the thread did. */
  readonly writeUs: number;
  readonly allUs: number;
}

interface SinkTotals {
  readonly bytes: number;
  /** Of each connection, in the order in which they came. */
  readonly each: readonly number[];
}

interface RelayTotals {
  readonly bytes: number;
  readonly records: number;
  readonly chosen: number;
  readonly sentBytes: number;
  readonly writes: number;
  readonly writeUs: number;
  readonly chooseUs: number;
  readonly cpuUs: number;
}

const FORWARD_THREADS = ['forward', 'catchup'];
/** A rate: as fast as TCP takes it. */
export const FLAT_OUT = 0;
const POLL_MS = 50;
const STANDSTILL_MS = 20_000;
/** What is acknowledged lies in the sink's socket: it only has to read it. */
const RECEIVE_MS = 5_000;
const MIB = 1024 * 1024;

/** What is not as it should be of a channel that got `records` and chose `chosen` of them. */
export function findGaps(
  channel: ChannelReport,
  records: number,
  chosen: number,
): readonly string[] {
  const { name, received, delivered, filtered, dropped, resent, pending } = channel;
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const gaps: string[] = [];
  const compare = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) gaps.push(`${name}: ${what} ${found}, expected ${wanted}`);
  };
  compare('received', received, records);
  compare('delivered', delivered, chosen);
  compare('filtered', filtered, records - chosen);
  compare('dropped', lost, 0);
  compare('resent', resent, 0);
  compare('pending', pending, 0);
  return gaps;
}

interface Said {
  readonly bytes: number;
  readonly sentBytes: number;
  /** Null: not counted here. */
  readonly records: number | null;
  readonly chosen: number | null;
}

/** What a side says of a round, where it is not what it was `sent` and should have sent on. */
export function findWrong(
  said: Said,
  sent: Output,
  { records, bytes }: Output,
  destinations: number,
): readonly string[] {
  const wanted: [string, number | null, number][] = [
    ['bytes in', said.bytes, sent.bytes],
    ['bytes out', said.sentBytes, bytes * destinations],
    ['records', said.records, sent.records],
    ['records chosen', said.chosen, records],
  ];
  return wanted
    .filter(([, found, due]) => found !== null && found !== due)
    .map(([what, found, due]) => `${what}: ${found}, expected ${due}`);
}

/** CPU ms per GB (10^9 bytes) sent. */
export function msPerGb(cpuUs: number, bytes: number): number {
  return (cpuUs * 1e6) / bytes;
}

/** A round in which anything is missing gives no figure. */
function refuse(who: string, found: readonly string[]): void {
  if (found.length === 0) return;
  throw new MillraceError('MR_INPUT', `${who}: ${found.join('; ')}`);
}

function configOf({ destinations, filter }: FlowCase, port: number): ConfigInput {
  return {
    // No fdatasync(2): who waits for the disk forwards in bursts.
    journal: { sync: 'none', segmentBytes: 64 * MIB, retentionBytes: 1024 * MIB },
    forward: {
      destinations: Array.from({ length: destinations }, (_, index) => ({
        name: `d${index}`,
        host: '127.0.0.1',
        port,
        filter,
      })),
    },
  };
}

export class Flow {
  readonly #case: FlowCase;
  readonly #sink: LineChild;
  readonly #server: Server;
  readonly #expected: ExpectedOutput;
  #sentRecords = 0;
  #chosenRecords = 0;
  /** Bytes of each connection of the sink, as of the last round. */
  #got: readonly number[] = [];

  private constructor(flow: FlowCase, sink: LineChild, server: Server) {
    this.#case = flow;
    this.#sink = sink;
    this.#server = server;
    this.#expected = ExpectedOutput.ofFile(flow.file.path, flow.filter === '' ? 1 : 2);
  }

  static async start(flow: FlowCase): Promise<Flow> {
    const sink = await LineChild.start('sink');
    const keys = configOf(flow, sink.port);
    const server = await startServer('journal', [], undefined, keys).catch((error: unknown) => {
      sink.stop();
      throw error;
    });
    return new Flow(flow, sink, server);
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** Flat out, as the compiler takes thousands of blocks to come to its best; checked likewise. */
  async warmUp(): Promise<void> {
    await this.#forward(this.#case.warmUpSeconds, FLAT_OUT);
  }

  /** `rate`: records per second. */
  async round(rate: number): Promise<{ readonly relay: FlowSide; readonly server: FlowSide }> {
    const relay = await this.#relay(rate);
    const server = await this.#forward(this.#case.seconds, rate);
    return { relay, server };
  }

  /** Payload bytes of blocks, the newest that are there. */
  blockBytes(): readonly number[] {
    return newestBlockBytes(join(this.#server.dataFolder, 'journal'));
  }

  async stop(): Promise<void> {
    this.#sink.stop();
    await this.#server.stop();
  }

  /** After a failure. */
  async abandon(): Promise<void> {
    this.#sink.stop();
    await this.#server.stop();
  }

  async #relay(rate: number): Promise<FlowSide> {
    const { destinations, filter } = this.#case;
    const mode = filter === '' ? 'forward' : 'filter';
    const parameters = [mode, '--to', `${this.#sink.port}`, '--destinations', `${destinations}`];
    const relay = await LineChild.start('relay', parameters);
    const totals = relay.next<RelayTotals>();
    const sending = this.#send(relay.port, this.#case.seconds, rate);
    const [found, sent] = await Promise.all([totals, sending]);
    const output = this.#expected.of(sent.records);
    // Without a filter it does not look for records.
    const said = filter === '' ? { ...found, records: null, chosen: null } : found;
    refuse('the relay', findWrong(said, sent, output, destinations));
    await this.#receive('the relay', output);
    const { writeUs, chooseUs, cpuUs, sentBytes } = found;
    return { bytesOut: sentBytes, cpuUs: writeUs + chooseUs, writeUs, allUs: cpuUs };
  }

  async #forward(seconds: number, rate: number): Promise<FlowSide> {
    const sentBefore = await this.#sentBytes();
    const before = readProcessCpu(this.#server.pid);
    const sent = await this.#send(this.#server.port, seconds, rate);
    const output = this.#expected.of(sent.records);
    this.#sentRecords += sent.records;
    this.#chosenRecords += output.records;
    await this.#settle();
    const used = cpuBetween(before, readProcessCpu(this.#server.pid));
    const bytesOut = (await this.#sentBytes()) - sentBefore;
    const said = { bytes: sent.bytes, sentBytes: bytesOut, records: null, chosen: null };
    refuse('the server', findWrong(said, sent, output, this.#case.destinations));
    await this.#receive('the server', output);
    let cpuUs = 0;
    for (const name of FORWARD_THREADS) cpuUs += used.threadsUs.get(name) ?? 0;
    return { bytesOut, cpuUs, writeUs: cpuUs, allUs: cpuUs };
  }

  /** Waits until each destination has got this round's bytes; throws when one does not. */
  async #receive(who: string, output: Output): Promise<void> {
    let last = -1;
    let progressMs = performance.now();
    for (;;) {
      const { bytes, each } = await this.#sink.ask<SinkTotals>('how much');
      const missing = findMissing(this.#got, each, output, this.#case.destinations);
      if (missing.length === 0) {
        this.#got = each;
        return;
      }
      if (bytes !== last) progressMs = performance.now();
      last = bytes;
      if (performance.now() - progressMs > RECEIVE_MS) refuse(`what came from ${who}`, missing);
      await sleep(POLL_MS);
    }
  }

  async #send(port: number, seconds: number, rate: number): Promise<SenderTotals> {
    const { path: file } = this.#case.file;
    const sent = await runSender({ file, port, connections: 1, rate, seconds });
    if (sent.settled) return sent;
    throw new MillraceError('MR_CONNECT', 'the receiver did not close its connection in 30 s');
  }

  async #channels(): Promise<readonly ChannelReport[]> {
    const { forward } = await this.#server.status();
    return forward?.channels ?? [];
  }

  async #sentBytes(): Promise<number> {
    const all = (await this.#channels()).flatMap(({ destinations }) => destinations);
    return all.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  }

  /** Waits until every channel has answered for everything; throws when one does not. */
  async #settle(): Promise<void> {
    let progress = '';
    let progressMs = performance.now();
    for (;;) {
      const channels = await this.#channels();
      const gaps = channels.flatMap((channel) =>
        findGaps(channel, this.#sentRecords, this.#chosenRecords),
      );
      const isWhole = channels.length === this.#case.destinations;
      if (isWhole && gaps.length === 0) return;
      const now = JSON.stringify(channels.map(({ position, delivered }) => [position, delivered]));
      if (now !== progress) progressMs = performance.now();
      progress = now;
      if (performance.now() - progressMs > STANDSTILL_MS) {
        throw new MillraceError('MR_INPUT', `forwarding stands still: ${gaps.join('; ')}`);
      }
      await sleep(POLL_MS);
    }
  }
}
