/**
 * `millrace generate`: a simulated SCE that sends records to a collector, or into a file.
 *
 * Totals are JSON on stdout, progress is on stderr. When a connection is lost the totals of what
 * was sent are printed all the same, before the error.
 */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseEndpoint } from '../server/address.ts';
import {
  DEFAULT_START_SECONDS,
  MIXES,
  type Mix,
  namedMix,
  parseMix,
  type RecordStreamOptions,
  Sender,
  type SendResult,
  SubscriberPool,
} from '../simulator/index.ts';
import { wallMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { parseCount, parsePositive } from './option-values.ts';
import { type Progress, startProgress } from './progress.ts';
import { writeStreamFile } from './stream-file.ts';

interface GenerateOptions {
  readonly records?: number;
  readonly seconds?: number;
  readonly rate?: number;
  readonly virtualRate?: number;
  readonly seed: number;
  readonly start: string;
  readonly subscribers: number;
  readonly connections: number;
  readonly exporters?: number;
  readonly mix: string;
  readonly malformed?: number;
  readonly lies?: number;
  readonly chunk?: string;
  readonly mark?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

const PROGRESS_MS = 250;
const EPOCH_SECONDS_MAX = 0xffff_ffff;
const SEED_MAX = 0xffff_ffff;

const HELP = `
The same options give the same bytes, on any machine and at any rate. Each connection has bytes of
its own; the flow context id of a record's header is its ordinal in its connection. Without
--records and --seconds it sends until Ctrl-C, which ends every connection behind a whole record.

Mixes:
${Object.entries(MIXES)
  .map(([name, mix]) => `  ${name.padEnd(10)}${mix.description}`)
  .join('\n')}
  FILE      a .json file of the same shape, as bench/load/busy-evening.json

--malformed deals out, equally often: fields that do not fill the record, a field beyond it, a
wrong length of a fixed type, too high a field count, unknown tags, unknown type codes, text where a
number belongs, more fields than known, records of 10,004 bytes, hostile text, and garbage between
records; each connection then ends in half a record. The totals stay exact. With --lies they cannot.

Examples:
  $ millrace generate 127.0.0.1:33000 --rate 20000 --start now
  $ millrace generate 127.0.0.1:33000 --records 1e6 --connections 8 --exporters 4 --chunk random
  $ millrace generate 127.0.0.1:33000 --seconds 60 --mix tur --subscribers 1_000_000
  $ millrace generate --out sample.rdr --records 10000 --mix all --malformed 0.1
  $ millrace generate --out - --records 100 | millrace dump -`;

export function registerGenerate(program: Command): void {
  program
    .command('generate')
    .summary('send records as a simulated SCE')
    .description('A simulated SCE: one seed, one byte stream; prints what it sent as JSON.')
    .argument('[host:port]', 'the collector (not with --out)')
    .option('--records <n>', 'records in all, over all connections', parseCount(0))
    .option('--seconds <n>', 'end after so many seconds', parsePositive)
    .option('--rate <r>', 'records a second in all (default: what is taken)', parsePositive)
    .option('--seed <s>', 'seed of the random numbers', parseCount(0), 1)
    .option(
      '--start <epoch|now>',
      'virtual clock of the first record, seconds since 1970 UTC',
      String(DEFAULT_START_SECONDS),
    )
    .option('--virtual-rate <r>', 'records per virtual second and connection', parseCount(1))
    .option('--subscribers <n>', 'how many subscribers there are', parseCount(1), 10_000)
    .option('--connections <n>', 'TCP connections', parseCount(1), 1)
    .option('--exporters <n>', 'simulated SCEs, at 127.0.0.2 and up (1..250)', parseCount(1))
    .option('--mix <name|file>', 'which record types, how often', 'default')
    .option('--malformed <ratio>', 'share of bad input whose outcome is known, 0..1', parseRatio)
    .option('--lies <ratio>', 'share of records whose length is not true, 0..1', parseRatio)
    .option('--chunk <how>', '"random": cut the stream at random bytes')
    .option('--mark', 'headers tell the connection, for `millrace sink --verify --marked`')
    .option('--out <file>', 'write the raw stream into a file instead; - is stdout')
    .option('--json', 'totals on one line, and no progress')
    .addHelpText('after', HELP)
    .action(generate);
}

async function generate(target: string | undefined, options: GenerateOptions): Promise<void> {
  if (options.chunk !== undefined && options.chunk !== 'random') {
    refuse(`there is no way to cut named "${options.chunk}"`, 'the only one is --chunk random');
  }
  if ((target === undefined) === (options.out === undefined)) {
    refuse('generate needs either HOST:PORT or --out FILE', 'see `millrace generate --help`');
  }
  if (options.seed > SEED_MAX)
    refuse(`the seed ${options.seed} is too large`, `at most ${SEED_MAX}`);
  const stream: RecordStreamOptions = {
    seed: options.seed,
    mix: readMix(options.mix),
    subscribers: new SubscriberPool(options.subscribers),
    startSeconds: parseStart(options.start),
    ...(options.virtualRate === undefined ? {} : { virtualRecordsPerSecond: options.virtualRate }),
    malformedRatio: options.malformed ?? 0,
    liesRatio: options.lies ?? 0,
    hasMarks: options.mark === true,
  };
  if (target === undefined) await generateFile(options.out ?? '-', stream, options);
  else await generateTcp(target, stream, options);
}

async function generateTcp(
  target: string,
  stream: RecordStreamOptions,
  options: GenerateOptions,
): Promise<void> {
  const { records, seconds, rate, connections, exporters } = options;
  const sender = new Sender({
    ...parseEndpoint(target),
    stream,
    connections,
    ...(records === undefined ? {} : { records }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(rate === undefined ? {} : { rate }),
    ...(exporters === undefined ? {} : { exporters }),
    ...(options.chunk === undefined ? {} : { chunk: 'random' }),
  });
  const progress = showProgress(options);
  const timer = setInterval(() => {
    const { records: sent, elapsedMs } = sender.progress();
    progress.update(records === undefined ? elapsedMs / 1000 : sent, `${sent} records`);
  }, PROGRESS_MS);
  const release = onSignals(() => {
    sender.stop();
  });
  try {
    await sender.run();
  } finally {
    release();
    clearInterval(timer);
    progress.stop();
    const result = sender.result();
    if (result.connections.length > 0) printTotals(result, options, process.stdout);
  }
}

async function generateFile(
  path: string,
  stream: RecordStreamOptions,
  options: GenerateOptions,
): Promise<void> {
  const { records, seconds, connections, rate, exporters, chunk } = options;
  if (records === undefined && seconds === undefined) {
    refuse('a file needs an end', 'give --records or --seconds');
  }
  if (connections !== 1 || (rate ?? exporters ?? chunk) !== undefined) {
    refuse(
      'a file holds the bytes of one connection',
      'leave out --connections, --exporters, --rate and --chunk',
    );
  }
  const abort = new AbortController();
  const release = onSignals(() => {
    abort.abort();
  });
  const progress = records === undefined ? undefined : showProgress(options);
  try {
    const result = await writeStreamFile({
      path,
      stream,
      records: records ?? Number.POSITIVE_INFINITY,
      seconds: seconds ?? Number.POSITIVE_INFINITY,
      signal: abort.signal,
      onProgress: (done) => progress?.update(done),
    });
    progress?.stop();
    printTotals(result, options, path === '-' ? process.stderr : process.stdout);
  } finally {
    progress?.stop();
    release();
  }
}

/** A bar when the end is known; otherwise nothing: the server's page shows more than we could. */
function showProgress(options: GenerateOptions): Progress {
  const isQuiet = options.json === true || options.out === '-';
  const { records, seconds = 0 } = options;
  return startProgress('generate', isQuiet ? 0 : (records ?? seconds), records ? 'records' : 's');
}

function printTotals(
  result: SendResult,
  options: GenerateOptions,
  stream: NodeJS.WriteStream,
): void {
  stream.write(`${JSON.stringify(result, null, options.json === true ? undefined : 2)}\n`);
}

/** The first Ctrl-C or SIGTERM ends gracefully, the second one at once. */
function onSignals(stop: () => void): () => void {
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return () => {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  };
}

function readMix(name: string): Mix {
  if (!name.endsWith('.json')) return namedMix(name);
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (cause) {
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `cannot read the mix ${name}: ${(cause as Error).message}`,
      `give a readable file, or one of ${Object.keys(MIXES).join(', ')}`,
      { cause },
    );
  }
  return parseMix(text, name);
}

function parseStart(text: string): number {
  if (text === 'now') return Math.floor(wallMs() / 1000);
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds <= EPOCH_SECONDS_MAX) return seconds;
  return refuse(
    `"${text}" is no start of the virtual clock`,
    `give "now", or seconds since 1970-01-01 UTC from 0 to ${EPOCH_SECONDS_MAX}`,
  );
}

function parseRatio(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  return refuse(`"${text}" is no ratio`, 'give a number from 0 to 1');
}

function refuse(found: string, remedy: string): never {
  throw new MillraceError('MR_USAGE', found, remedy);
}
