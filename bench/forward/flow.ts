/**
 * One flow: a server that forwards to N sinks, beside the C relay that does the same, in turn.
 *
 * CPU        Of the server: the threads `forward` and `catchup`, all that they do, by
 *            /proc/<pid>/task. Of the relay: its thread within write(2) alone, and for a filter
 *            also within parsing, filtering and gathering; never its reads.
 * CHECKED    After each round every channel has delivered what the filter passes, dropped nothing
 *            and sent nothing twice; at the end the sink must have got every byte.
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
const MIB = 1024 * 1024;

/** What is not as it should be of a channel that got `records`, one sentence each. */
export function findGaps(channel: ChannelReport, records: number): readonly string[] {
  const { name, received, delivered, filtered, dropped, resent, pending } = channel;
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const gaps: string[] = [];
  const compare = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) gaps.push(`${name}: ${what} ${found}, expected ${wanted}`);
  };
  compare('received', received, records);
  compare('delivered and filtered', delivered + filtered, records);
  compare('dropped', lost, 0);
  compare('resent', resent, 0);
  compare('pending', pending, 0);
  return gaps;
}

/** CPU ms per GB (10^9 bytes) sent. */
export function msPerGb(cpuUs: number, bytes: number): number {
  return (cpuUs * 1e6) / bytes;
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
  #sentRecords = 0;
  #expectedBytes = 0;

  private constructor(flow: FlowCase, sink: LineChild, server: Server) {
    this.#case = flow;
    this.#sink = sink;
    this.#server = server;
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

  /** Ends both; throws when the sink has not got every byte. */
  async stop(): Promise<void> {
    const { bytes } = await this.#sink.ask<{ bytes: number }>('how much');
    this.#sink.stop();
    await this.#server.stop();
    if (bytes === this.#expectedBytes) return;
    throw new MillraceError(
      'MR_INPUT',
      `the sink got ${bytes} bytes of ${this.#expectedBytes} that were sent`,
    );
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
    if (found.bytes !== sent.bytes) {
      throw new MillraceError('MR_INPUT', `the relay got ${found.bytes} bytes of ${sent.bytes}`);
    }
    this.#expectedBytes += found.sentBytes;
    const { writeUs, chooseUs, cpuUs, sentBytes } = found;
    return { bytesOut: sentBytes, cpuUs: writeUs + chooseUs, writeUs, allUs: cpuUs };
  }

  async #forward(seconds: number, rate: number): Promise<FlowSide> {
    const sentBefore = await this.#sentBytes();
    const before = readProcessCpu(this.#server.pid);
    const sent = await this.#send(this.#server.port, seconds, rate);
    this.#sentRecords += sent.records;
    await this.#settle();
    const used = cpuBetween(before, readProcessCpu(this.#server.pid));
    const bytesOut = (await this.#sentBytes()) - sentBefore;
    this.#expectedBytes += bytesOut;
    let cpuUs = 0;
    for (const name of FORWARD_THREADS) cpuUs += used.threadsUs.get(name) ?? 0;
    return { bytesOut, cpuUs, writeUs: cpuUs, allUs: cpuUs };
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
      const gaps = channels.flatMap((channel) => findGaps(channel, this.#sentRecords));
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
