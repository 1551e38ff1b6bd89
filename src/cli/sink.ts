/**
 * `millrace sink`: a destination for forwarded records that counts, checks, dawdles or breaks off.
 *
 * The summary goes to stdout, everything else to stderr. Exit code 1 when --verify finds something.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  parseRate,
  type Rate,
  Sink,
  type SinkSummary,
  STRICTNESS,
  type Strictness,
} from '../sink/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { catchDrainSignals } from './drain-signals.ts';
import { parseCount } from './option-values.ts';

const PROGRESS_MS = 1000;
const PORT_MAX = 65_535;

interface SinkWords {
  readonly host: string;
  readonly verify?: Strictness | true;
  readonly marked?: boolean;
  readonly slow?: Rate;
  readonly stopAfter?: number;
  readonly resetAfter?: number;
  readonly talkBack?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

const HELP = `
It takes any number of connections until Ctrl-C, SIGTERM or --stop-after, then prints a summary.
Port 0 lets the kernel pick one; the port is told on stderr.

--verify expects what \`millrace generate\` sends: the flow context id of a record is its ordinal in
its connection. It fails (exit code 1) on bytes that are no records and, by strictness, on
  order      a record behind a later one, on one connection: for filtered or balanced streams
  complete   gaps too, over all connections together (what it is without a word)
  exact      records that came twice too
Each connection here is one stream. Where several connections of exporters come over one, let
\`millrace generate --mark\` mark them and give --marked.

--slow takes records a second, or bytes a second with a unit (B, kB, MB, GB); 0 reads nothing ever.

Examples:
  $ millrace sink 24000
  $ millrace sink 24000 --verify --marked --json
  $ millrace sink 24000 --verify order --stop-after 1e6 --host 0.0.0.0
  $ millrace sink 24000 --slow 64kB
  $ millrace sink 24000 --out received/ --reset-after 10_000`;

export function registerSink(program: Command): void {
  program
    .command('sink')
    .summary('receive records, as a destination of forwarding')
    .description('A destination for RDRv1 streams: counts, checks, can be slow or break off.')
    .argument('<port>', 'TCP port to listen on', parsePort)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(
      new Option('--verify [strictness]', 'check order, gaps, doubles').choices(STRICTNESS),
    )
    .option('--marked', 'tell streams apart by the marks of generate --mark')
    .option('--slow <rate>', 'read so much a second: 500, 64kB, 1.5MB', rateValue)
    .option('--stop-after <n>', 'end after so many records', parseCount(1))
    .option('--reset-after <n>', 'reset each connection after so many records', parseCount(1))
    .option('--talk-back', 'answer with text, as destinations should not')
    .option('--out <folder>', 'keep the bytes, a file per connection')
    .option('--json', 'summary as one line of JSON, and no progress')
    .addHelpText('after', HELP)
    .action(runSink);
}

async function runSink(port: number, words: SinkWords): Promise<void> {
  const { verify, host } = words;
  const sink = new Sink({
    host,
    port,
    verify: verify === true ? 'complete' : (verify ?? null),
    isMarked: words.marked === true,
    slow: words.slow ?? null,
    stopAfterRecords: words.stopAfter ?? Number.POSITIVE_INFINITY,
    resetAfterRecords: words.resetAfter ?? Number.POSITIVE_INFINITY,
    isTalkingBack: words.talkBack === true,
    outFolder: words.out ?? null,
  });
  const bound = await sink.start();
  process.stderr.write(`sink: listens on ${host} port ${bound}\n`);
  const endProgress = showProgress(sink, words.json === true);
  const signals = catchDrainSignals();
  await Promise.race([signals.first, sink.full]);
  signals.release();
  endProgress();
  await sink.stop();
  const summary = sink.summary();
  process.stdout.write(words.json === true ? `${JSON.stringify(summary)}\n` : inWords(summary));
  if (verify === undefined || summary.findings.length === 0) return;
  throw new MillraceError(
    'MR_SINK_VERIFY',
    `what came is not what was sent: ${summary.findings.join(', ')}`,
    'look at the cut and reset connections in the summary, and at the ledger of the sender',
  );
}

/** A line a second on a terminal; returns what ends it. */
function showProgress(sink: Sink, isQuiet: boolean): () => void {
  if (isQuiet || process.stderr.isTTY !== true) return () => {};
  let before = 0;
  const timer = setInterval(() => {
    const { records, openConnections } = sink;
    const rate = Math.round(((records - before) / PROGRESS_MS) * 1000);
    before = records;
    const text = `sink: ${openConnections} connections, ${records} records, ${rate}/s`;
    process.stderr.write(`\r${text.padEnd(70)}`);
  }, PROGRESS_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\u001b[K');
  };
}

function inWords(summary: SinkSummary): string {
  const { records, bytes, connections, cut, resync, sequences, tags } = summary;
  const seconds = (summary.elapsedMs / 1000).toFixed(1);
  const lines = [
    `${records} records, ${bytes} bytes over ${connections.accepted} connections in ${seconds} s`,
    `cut at the end of a connection: ${cut.records} records, ${cut.bytes} bytes`,
    `no records: ${resync.bytes} bytes in ${resync.runs} places`,
  ];
  if (sequences !== null) {
    const { strictness, streams, backwards, gaps, missing, doubles, restarts } = sequences;
    const counted = `missing ${missing} in ${gaps} gaps, doubles ${doubles}`;
    const rest = strictness === 'order' ? 'gaps and doubles not counted' : counted;
    lines.push(`streams: ${streams}, begun anew ${restarts}; out of order ${backwards}, ${rest}`);
  }
  const names = Object.entries(tags).sort(([, a], [, b]) => b - a);
  for (const [name, count] of names) lines.push(`  ${String(count).padStart(12)}  ${name}`);
  return `${lines.join('\n')}\n`;
}

function parsePort(text: string): number {
  const port = parseCount(0)(text);
  if (port > PORT_MAX) throw new InvalidArgumentError(`a port is at most ${PORT_MAX}.`);
  return port;
}

function rateValue(text: string): Rate {
  const rate = parseRate(text);
  if (rate !== null) return rate;
  throw new InvalidArgumentError('a rate is 500 (records a second), 64kB or 1.5MB.');
}
