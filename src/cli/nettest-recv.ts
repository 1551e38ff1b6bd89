/**
 * `millrace nettest recv`: receives test messages and checks them; prints what the old program
 * prints.
 */
import { type Command, Option } from 'commander';
import {
  checkMessageBytes,
  DEFAULT_MESSAGE_BYTES,
  formatTarget,
  formatTimes,
  parseTarget,
  READERS,
  type Reader,
  type RecvOptions,
  type RecvTotals,
  recvFailure,
  runRecv,
} from '../nettest/index.ts';
import {
  parseOnOff,
  type RunProgress,
  roundTimes,
  startRunProgress,
  withSignal,
} from './nettest-run.ts';
import { parseCount, parsePositive } from './option-values.ts';

/** More lines about bad messages help nobody. */
const BAD_LINES_MAX = 20;

interface RecvWords {
  readonly size: number;
  readonly recv?: boolean;
  readonly reader: Reader;
  readonly crc: boolean;
  readonly stamp?: boolean;
  readonly keepGoing?: boolean;
  readonly connections: number;
  readonly seconds?: number;
  readonly pin?: number;
  readonly receiveBuffer?: number;
  readonly ack?: boolean;
  readonly progress?: boolean;
  readonly json?: boolean;
}

const HELP = `
It listens on 0.0.0.0 where HOST is left out (:: takes IPv6 too); port 0 lets the kernel pick one.
Without -r each message goes from the socket into a pipe by splice() and is read from there, as the
old program did; a message larger than the pipe is read in parts.

--reader slow takes at most 64 KiB every 10 ms. --reader paused takes nothing until its receive
queue has not grown for 300 ms, then 8 MB, and so on: that finds senders which rewrite pages that
are still to be read. It ends at the first bad message, or goes on counting with --keep-going; both
exit with 1.

Examples:
  $ millrace nettest recv -s65536 -r 5500
  $ millrace nettest recv -s65536 -r --reader paused --receive-buffer 4194304 --keep-going 5500
  $ millrace nettest recv -s 4096 -r --connections 8 --json unix:/tmp/nettest`;

export function registerNettestRecv(nettest: Command): void {
  nettest
    .command('recv')
    .summary('receive and check test messages')
    .description('Receives the messages of `nettest xmit` and checks every one.')
    .usage('[options] [HOST] PORT')
    .argument('<host-port...>', '[HOST] PORT, or unix:PATH')
    .option('-s, --size <bytes>', 'message size', parseCount(0), DEFAULT_MESSAGE_BYTES)
    .option('-r, --recv', 'use recv()')
    .addOption(
      new Option('--reader <pace>', 'how eagerly to read').choices(READERS).default('fast'),
    )
    .option('--crc <on|off>', 'check the checksum of every message', parseOnOff, true)
    .option('--stamp', 'check the marks that xmit --stamp makes in every 4 KiB')
    .option('--keep-going', 'go on behind a bad message')
    .option('--connections <n>', 'connections to take', parseCount(1), 1)
    .option('--seconds <n>', 'end so many seconds after the first connection', parsePositive)
    .option('--pin <cpu>', 'run on this CPU only', parseCount(0))
    .option('--receive-buffer <bytes>', 'SO_RCVBUF', parseCount(1))
    .option('--ack', 'tell the sender what was checked (xmit --reclaim applicationAck)')
    .option('--progress', 'a line a second on stderr')
    .option('--json', 'totals as JSON, without the lines')
    .addHelpText('after', HELP)
    .action(recv);
}

async function recv(words: readonly string[], given: RecvWords): Promise<void> {
  const options = toOptions(words, given);
  checkMessageBytes(options.messageBytes);
  const print = (line: string): void => {
    if (given.json !== true) process.stdout.write(`${line}\n`);
  };
  const way = options.isPlainRecv ? 'recv()' : 'splice() addr map';
  print(`recv: msg=${Math.floor(options.messageBytes / 1024)}kb, ${way}`);
  const isAsked = given.progress === true;
  let progress: RunProgress | undefined;
  const totals = await withSignal((signal) =>
    runRecv(options, {
      signal,
      onListening: (port) => {
        tellListening(options, port);
      },
      onConnect() {
        tell('Got connect!');
        progress ??= startRunProgress('recv', Number.POSITIVE_INFINITY, isAsked);
      },
      onBad: makeTellBad(),
      onProgress: (messages, bytes) => progress?.update(messages, bytes),
    }),
  ).finally(() => progress?.stop());
  print(formatTimes(totals));
  if (given.json === true) printJson(options, totals);
  const failure = recvFailure(totals);
  if (failure !== null) throw failure;
}

function toOptions(words: readonly string[], given: RecvWords): RecvOptions {
  return {
    target: parseTarget(words, '0.0.0.0', 0),
    messageBytes: given.size,
    isPlainRecv: given.recv === true,
    reader: given.reader,
    hasCrc: given.crc,
    hasStamps: given.stamp === true,
    isKeepGoing: given.keepGoing === true,
    connections: given.connections,
    seconds: given.seconds ?? Number.POSITIVE_INFINITY,
    pinCpu: given.pin ?? null,
    receiveBufferBytes: given.receiveBuffer ?? null,
    hasAcks: given.ack === true,
  };
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function tellListening({ target }: RecvOptions, port: number): void {
  if (target.kind === 'ip' && target.port === 0) tell(`recv: listens on port ${port}`);
  tell('Waiting for connect...');
}

function makeTellBad(): (lines: readonly string[]) => void {
  let count = 0;
  return (lines) => {
    for (const line of lines) {
      count++;
      if (count <= BAD_LINES_MAX) tell(line);
      else if (count === BAD_LINES_MAX + 1) tell('recv: (no more lines about bad messages)');
    }
  };
}

function printJson(options: RecvOptions, totals: RecvTotals): void {
  const megabytes = totals.bytes / 1e6;
  const json = {
    role: 'recv',
    target: formatTarget(options.target),
    messageBytes: options.messageBytes,
    reader: options.reader,
    isPlainRecv: options.isPlainRecv,
    ...totals,
    mbPerSecond: Math.round((megabytes / totals.realMs) * 1000),
  };
  process.stdout.write(`${JSON.stringify(json, roundTimes)}\n`);
}
