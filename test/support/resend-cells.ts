/**
 * Segments lost and sent again, between two namespaces that a bridge of TUN devices joins. This
 * script runs in the near one. Parameters: both namespaces, the bridge. Prints a ResendReport.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  AckedBytesReclaim,
  DoubleBufferReclaim,
  type ReclaimPolicy,
  SpliceWriter,
} from '../../src/toolkit/output/index.ts';
import { closeFd } from '../../src/toolkit/sys/index.ts';
import { type Offer, offersOn } from './output-offers.ts';
import { type OpenSession, openSession, pause } from './output-session.ts';
import { RemoteReader } from './remote-reader.ts';
import type { StreamFindings } from './stamps.ts';
import { connectFar } from './veth-cells.ts';

export const RESEND_SCRIPT = fileURLToPath(import.meta.url);
const NEAR_ADDRESS = '10.78.0.1';
const FAR_ADDRESS = '10.78.0.2';

export interface ResendRun extends StreamFindings {
  readonly offer: string;
  readonly dropped: number;
  /** Segments that TCP of the near side sent again. */
  readonly resent: number;
  /** Times that a page was given back and filled again. */
  readonly refills: number;
  /** Segments that TCP of the far side threw away for their checksum. */
  readonly checksumErrors: number;
}

export interface ResendReport {
  readonly clean: readonly ResendRun[];
  /** Pages rewritten before they were acknowledged. */
  readonly control: ResendRun;
}

/** A value of /proc/net/snmp. */
function tcpCounter(snmp: string, name: string): number {
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Tcp:'));
  return Number(values!.split(' ')[names!.split(' ').indexOf(name)]);
}

/** The bridge for one run; it drops the segments with these numbers. */
class Bridge {
  dropped = 0;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(program: string, names: readonly string[], drops: readonly number[]) {
    const child = spawn(program, [...names, ...drops.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const bridge = new Bridge(child);
    assert.equal((await bridge.#lines.next()).value, 'ready');
    [NEAR_ADDRESS, FAR_ADDRESS].forEach((address, side) => {
      const at = ['-n', names[side]!];
      const peer = side === 0 ? FAR_ADDRESS : NEAR_ADDRESS;
      execFileSync('ip', [...at, 'address', 'add', address, 'peer', peer, 'dev', 'tun']);
      execFileSync('ip', [...at, 'link', 'set', 'tun', 'up']);
    });
    return bridge;
  }

  say(command: 'hold' | 'go'): void {
    this.#child.stdin!.write(`${command}\n`);
  }

  /** Waits for the next drop. */
  async untilDrop(): Promise<void> {
    assert.match(String((await this.#lines.next()).value), /^dropped /);
    this.dropped++;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    await ended;
    for (let line = await this.#lines.next(); line.done !== true; line = await this.#lines.next()) {
      this.dropped++;
    }
  }
}

function spliceBy(name: string, make: (fd: number) => ReclaimPolicy): Offer {
  return {
    name,
    paths: [],
    source: 'page',
    open(fd) {
      const writer = new SpliceWriter(fd, make(fd), { corkBytes: 0 });
      return { writer, consumed() {}, close: () => writer.close() };
    },
  };
}

const ACKED = spliceBy('splice+ackedBytes', (fd) => new AckedBytesReclaim(fd, { peer: 'remote' }));
/** Less than TCP sends before it waits for an ACK. */
const TOO_EARLY = spliceBy('doubleBuffer 16 KiB', () => new DoubleBufferReclaim(16_384));

const SHAPE = { connection: 5, messageBytes: 4096, start: 0 };
const POOL_BYTES = 256 * 1024;
const STREAM_BYTES = 2 << 20;
/** Before the reader reads at all: what is acknowledged lies unread, and its pages go round. */
const UNREAD_BYTES = 64 * 1024;
const DROPS = [3, 17, 40, 41, 90, 200, 333, 500, 700, 701, 702, 1000];

interface Course {
  readonly opened: OpenSession;
  readonly bridge: Bridge;
}

/** Pages are refilled as soon as the policy allows. */
async function runClean({ opened }: Course): Promise<void> {
  const { session, open } = opened;
  const { writer } = session;
  const endMs = Date.now() + 30_000;
  const isDone = () => writer.counts.acceptedBytes >= STREAM_BYTES;
  while (!isDone() || session.findings.bytes < writer.counts.acceptedBytes) {
    writer.reclaim();
    if (isDone()) session.stop();
    else session.pump(POOL_BYTES);
    writer.flush();
    if (writer.counts.sentBytes > UNREAD_BYTES && (await session.take(100_000)) === 0)
      await pause(1);
    open.consumed(session.findings.bytes);
    assert.ok(Date.now() < endMs, `${session.findings.bytes} bytes after 30 s`);
  }
}

/** While the lost segment is not acknowledged, its page is given back and filled again. */
async function runControl({ opened, bridge }: Course): Promise<void> {
  const { session } = opened;
  bridge.say('hold');
  session.pump(65_536);
  await bridge.untilDrop();
  session.writer.reclaim();
  session.pump(65_536);
  session.stop();
  bridge.say('go');
  const endMs = Date.now() + 30_000;
  while (session.findings.bytes < session.writer.counts.acceptedBytes) {
    session.flush();
    if ((await session.take(100_000)) === 0) await pause(1);
    assert.ok(Date.now() < endMs, `${session.findings.bytes} bytes after 30 s`);
  }
}

async function runOne(
  [near, far, program]: readonly string[],
  offer: Offer,
  drops: readonly number[],
  run: (course: Course) => Promise<void>,
): Promise<ResendRun> {
  const farSnmp = () =>
    execFileSync('ip', ['netns', 'exec', far!, 'cat', '/proc/net/snmp']).toString();
  const nearSnmp = () => readFileSync('/proc/net/snmp', 'utf8');
  const bridge = await Bridge.start(program!, [near!, far!], drops);
  const reader = new RemoteReader(far!);
  const fd = await connectFar(reader, FAR_ADDRESS, {
    sendBuffer: 'auto',
    receiveBuffer: 'auto',
  });
  const [resentBefore, errorsBefore] = [
    tcpCounter(nearSnmp(), 'RetransSegs'),
    tcpCounter(farSnmp(), 'InCsumErrors'),
  ];
  const opened = openSession(offer, fd, reader, { shape: SHAPE, bytes: POOL_BYTES });
  await run({ opened, bridge });
  const resent = tcpCounter(nearSnmp(), 'RetransSegs') - resentBefore;
  const checksumErrors = tcpCounter(farSnmp(), 'InCsumErrors') - errorsBefore;
  const generations = opened.session.stamps.filter(({ generation }) => generation > 1);
  opened.open.close();
  closeFd(fd);
  reader.end();
  await bridge.end();
  const { findings } = opened.session;
  const refills = generations.length;
  return {
    ...findings,
    offer: offer.name,
    dropped: bridge.dropped,
    resent,
    refills,
    checksumErrors,
  };
}

async function main(where: readonly string[]): Promise<ResendReport> {
  const clean: ResendRun[] = [];
  for (const offer of [ACKED, ...offersOn('veth')]) {
    clean.push(await runOne(where, offer, DROPS, runClean));
  }
  const control = await runOne(where, TOO_EARLY, [5], runControl);
  return { clean, control };
}

if (process.argv[1] === RESEND_SCRIPT) {
  const report = await main(process.argv.slice(2));
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}
