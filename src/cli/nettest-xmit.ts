/**
 * `millrace nettest xmit`: sends test messages; prints what the old program prints.
 */
import { type Command, Option } from 'commander';
import {
  checkXmitOptions,
  DEFAULT_MESSAGE_BYTES,
  DEFAULT_POOL_BYTES,
  FILLS,
  type Fill,
  formatTarget,
  formatTimes,
  MECHANISM_CHOICES,
  type MechanismChoice,
  parseMechanism,
  parseReclaim,
  parseTarget,
  type ReclaimChoice,
  type RunChoice,
  runXmit,
  type XmitOptions,
  type XmitTotals,
  xmitFailure,
} from '../nettest/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { probeKernel } from '../toolkit/output/index.ts';
import {
  parseOnOff,
  type RunProgress,
  roundTimes,
  startRunProgress,
  withSignal,
} from './nettest-run.ts';
import { parseCount, parsePositive } from './option-values.ts';

const MIB = 1024 * 1024;
const POOL_MIB_MAX = 3584;
const CONNECTIONS_MAX = 1024;

interface XmitWords {
  readonly size: number;
  readonly packets?: number;
  readonly normal?: boolean;
  readonly mechanism?: MechanismChoice;
  readonly reclaim?: ReclaimChoice;
  readonly peerRecv?: boolean;
  readonly connections: number;
  readonly fanOut: number;
  readonly pool: number;
  readonly huge?: boolean;
  readonly pin?: number;
  readonly fill?: Fill;
  readonly crc: boolean;
  readonly stamp?: boolean;
  readonly seconds?: number;
  readonly sendBuffer?: number;
  readonly congestion?: string;
  readonly progress?: boolean;
  readonly json?: boolean;
}

/** How the old program names the way of a run. */
const WAYS: Readonly<Record<MechanismChoice, string>> = {
  auto: 'auto',
  splice: 'vmsplice() -> splice()',
  copy: 'send()',
  file: 'sendfile()',
  tee: 'vmsplice() -> tee() -> splice()',
  msgZerocopy: 'send(MSG_ZEROCOPY)',
  uringZerocopy: 'io_uring SEND_ZC',
  null: 'nothing',
};

const HELP = `
HOST is 127.0.0.1 where it is left out; an IPv6 address and a name work too. unix:PATH stands for
[HOST] PORT of a UNIX socket. Without -p and --seconds it sends until the receiver ends or Ctrl-C.

Without --reclaim the safe choice is taken and told on stderr: to another machine pages are filled
again once they are acknowledged; to this one messages are filled once and never change, or, with
--fill always, --stamp or --peer-recv, go by --mechanism auto. The old program's own ring, 256 KiB
that are rewritten in turn, is --reclaim doubleBuffer: a slow receiver on the same machine gets
corrupt messages from it.

Reclaim policies of splice: immutable (filled once, never again), ackedBytes (receiver on another
machine), peerQueue (receiver on this machine that calls recv: recv -r), applicationAck (the
receiver says so: recv --ack), doubleBuffer[:BYTES] (unsafe).

usr, sys and real are milliseconds from the first message to the last one taken by the kernel; the
CPU times are those of this whole process. Compare sys: usr is mostly filling and checksums.

Examples:
  $ millrace nettest xmit -s65536 -p1000000 5500
  $ millrace nettest xmit -s65536 -p1000000 -n 5500
  $ millrace nettest xmit -s 65536 --seconds 5 --mechanism tee --fan-out 8 192.0.2.7 5500
  $ millrace nettest xmit -s4096 --seconds 5 --mechanism msgZerocopy --json ::1 5500`;

export function registerNettestXmit(nettest: Command): void {
  nettest
    .command('xmit')
    .summary('send test messages')
    .description('Sends test messages to `nettest recv` and says what it cost.')
    .usage('[options] [HOST] PORT')
    .argument('<host-port...>', '[HOST] PORT, or unix:PATH')
    .option('-s, --size <bytes>', 'message size', parseCount(0), DEFAULT_MESSAGE_BYTES)
    .option('-p, --packets <n>', 'messages on each connection', parseCount(0))
    .option('-n, --normal', 'use send()')
    .option('--mechanism <name>', MECHANISM_CHOICES.join(', '), parseMechanism)
    .option('--reclaim <policy>', 'when splice may fill a page again', parseReclaim)
    .option('--peer-recv', 'state that the receiver calls recv(), which auto may rely on')
    .option('--connections <n>', 'connections with messages of their own', parseCount(1), 1)
    .option('--fan-out <n>', 'connections that get each message', parseCount(1), 1)
    .option('--pool <mib>', 'memory for messages', parsePositive, DEFAULT_POOL_BYTES / MIB)
    .option('--huge', 'ask for huge pages')
    .option('--pin <cpu>', 'run on this CPU only', parseCount(0))
    .addOption(
      new Option('--fill <when>', 'fill messages (default: always, file and tee: once)').choices(
        FILLS,
      ),
    )
    .option('--crc <on|off>', 'checksum of every message', parseOnOff, true)
    .option('--stamp', 'mark every 4 KiB with connection, message and page generation')
    .option('--seconds <n>', 'end after so many seconds', parsePositive)
    .option('--send-buffer <bytes>', 'SO_SNDBUF', parseCount(1))
    .option('--congestion <name>', 'TCP_CONGESTION, such as reno or cubic')
    .option('--progress', 'a line a second on stderr')
    .option('--json', 'totals as JSON, without the lines')
    .addHelpText('after', HELP)
    .action(xmit);
}

async function xmit(words: readonly string[], given: XmitWords): Promise<void> {
  const options = toOptions(words, given);
  checkXmitOptions(options);
  const print = (line: string): void => {
    if (given.json !== true) process.stdout.write(`${line}\n`);
  };
  for (const line of openingLines(given, options)) print(line);
  const isAsked = given.progress === true;
  // Behind the last line that is printed before messages flow: a bar must stand alone.
  let progress: RunProgress | undefined;
  const totals = await withSignal((signal) =>
    runXmit(options, {
      signal,
      onChoice(choice) {
        tellChoice(choice);
        progress = startRunProgress('xmit', totalMessages(options), isAsked);
      },
      onProgress: (messages, bytes) => progress?.update(messages, bytes),
    }),
  ).finally(() => progress?.stop());
  print(formatTimes(totals));
  if (given.json === true) printJson(options, totals);
  if (totals.cut > 0 && totals.stoppedBy === 'signal') {
    process.stderr.write('xmit: the receiver takes nothing: the last message is cut\n');
  }
  const failure = xmitFailure(options, totals);
  if (failure !== null) throw failure;
  if (totals.failure !== '') {
    const after = `after ${totals.messages} messages`;
    process.stderr.write(`xmit: the receiver ended ${after}: ${totals.failure}\n`);
  }
}

function toOptions(words: readonly string[], given: XmitWords): XmitOptions {
  const { mechanism } = given;
  if (given.normal === true && mechanism !== undefined && mechanism !== 'copy') {
    refuse(`-n is --mechanism copy, found --mechanism ${mechanism}`, 'leave one of them out');
  }
  if (given.pool > POOL_MIB_MAX) {
    refuse(`--pool ${given.pool} is too large`, `give at most ${POOL_MIB_MAX} (MiB)`);
  }
  if (given.connections * given.fanOut > CONNECTIONS_MAX) {
    refuse(
      `${given.connections * given.fanOut} connections are too many`,
      `--connections times --fan-out is at most ${CONNECTIONS_MAX}`,
    );
  }
  return {
    target: parseTarget(words, '127.0.0.1', 1),
    messageBytes: given.size,
    packets: given.packets ?? Number.POSITIVE_INFINITY,
    seconds: given.seconds ?? Number.POSITIVE_INFINITY,
    mechanism: mechanism ?? impliedMechanism(given),
    reclaim: given.reclaim ?? null,
    peerReceives: given.peerRecv === true,
    fill: given.fill ?? null,
    hasCrc: given.crc,
    hasStamps: given.stamp === true,
    connections: given.connections,
    fanOut: given.fanOut,
    poolBytes: Math.floor(given.pool * MIB),
    isHuge: given.huge === true,
    pinCpu: given.pin ?? null,
    sendBufferBytes: given.sendBuffer ?? null,
    congestion: given.congestion ?? null,
  };
}

/**
 * The old program splices. What fills every message anew, to a peer of which nothing is known, is
 * left to auto, which may have to copy; so is a kernel whose vmsplice copies.
 */
function impliedMechanism(given: XmitWords): MechanismChoice {
  if (given.normal === true) return 'copy';
  if (given.reclaim !== undefined) return 'splice';
  const isFilledAnew = given.fill === 'always' || given.stamp === true || given.peerRecv === true;
  return isFilledAnew || !probeKernel().vmsplice.available ? 'auto' : 'splice';
}

function openingLines(given: XmitWords, options: XmitOptions): readonly string[] {
  const { target, messageBytes, mechanism } = options;
  const packets = given.packets === undefined ? '' : `packets=${given.packets} `;
  return [
    ...(given.packets === undefined ? [] : [`opt packets=${given.packets}`]),
    ...(given.normal === true ? ['use normal io'] : []),
    ...(target.kind === 'ip' ? [`use port ${target.port}`] : []),
    `xmit: msg=${Math.floor(messageBytes / 1024)}kb, ${packets}${WAYS[mechanism]}`,
    `Connecting to ${formatTarget(target)}`,
  ];
}

function totalMessages({ packets, connections }: XmitOptions): number {
  return packets * connections;
}

function tellChoice(choice: RunChoice): void {
  const { mechanism, reclaim, reason, isSafe } = choice;
  if (reason === '') return;
  const how = reclaim === null ? mechanism : `${mechanism}, ${reclaim}`;
  process.stderr.write(`xmit: ${isSafe ? '' : 'UNSAFE: '}${how}: ${reason}\n`);
}

function printJson(options: XmitOptions, totals: XmitTotals): void {
  const megabytes = totals.bytes / 1e6;
  const json = {
    role: 'xmit',
    target: formatTarget(options.target),
    messageBytes: options.messageBytes,
    fanOut: options.fanOut,
    ...totals,
    mbPerSecond: Math.round((megabytes / totals.realMs) * 1000),
  };
  process.stdout.write(`${JSON.stringify(json, roundTimes)}\n`);
}

function refuse(found: string, remedy: string): never {
  throw new MillraceError('MR_USAGE', found, remedy);
}
