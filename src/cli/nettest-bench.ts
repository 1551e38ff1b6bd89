/**
 * `millrace nettest bench`: measures every way to put bytes on a connection, on this machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BENCH_NAME, runBench } from '../nettest/bench/bench.ts';
import { drawChart } from '../nettest/bench/chart.ts';
import { PINS, type Pin } from '../nettest/bench/plan.ts';
import { type BenchResult, resultText } from '../nettest/bench/result.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { benchLines } from './nettest-bench-text.ts';
import { parseCount, parsePositive } from './option-values.ts';
import { startProgress } from './progress.ts';

const EXAMPLES = `
Words of --only, with commas: tcp, unix, veth; 4K, 16K, 64K, 256K, 1M; x1, x8; a mechanism (copy,
splice, file, tee, msgZerocopy, uringZerocopy, null, auto), node-net, or c-send, c-splice,
c-sendfile, c-tee, c-zerocopy: the C program bench/peers/xmit.c of a checkout.

Examples:
  $ millrace nettest bench                      everything: some eight minutes
  $ millrace nettest bench --quick              most rows with targets: a minute
  $ millrace nettest bench --only tcp,64K,x1 --pin two
  $ sudo millrace nettest bench --only veth     through a pair of network namespaces

Two CPU-hungry processes run all the while. TCP over veth needs root and is left out without.`;

const WHOLE = { rounds: 3, seconds: 0.3 };
const QUICK = { rounds: 2, seconds: 0.2 };

interface Options {
  readonly quick?: boolean;
  readonly only?: string;
  readonly rounds?: number;
  readonly secondsPerCell?: number;
  readonly pin: Pin;
  readonly congestion: string;
  readonly out: string;
  readonly json?: boolean;
}

function parseSeconds(text: string): number {
  const seconds = parsePositive(text);
  if (seconds > 60) throw new InvalidArgumentError('at most 60 seconds.');
  return seconds;
}

export function registerNettestBench(nettest: Command): void {
  nettest
    .command('bench')
    .description('measure every mechanism on this machine, against C and node:net')
    .option('--quick', 'TCP and UNIX, 64 and 256 KiB only; 2 rounds of 0.2 s')
    .option('--only <words>', 'only these cells and contestants, as tcp,64K,x1,splice')
    .option('--rounds <n>', 'rounds; figures are medians (default: 3)', parseCount(1))
    .option('--seconds-per-cell <s>', 'seconds of one transfer (default: 0.3)', parseSeconds)
    .addOption(
      new Option('--pin <cpus>', 'sender and receiver on one CPU, two, or any')
        .choices(PINS)
        .default('one'),
    )
    .option('--congestion <name>', 'of the TCP sockets; system: as the machine has it', 'reno')
    .option('--out <folder>', `${BENCH_NAME}.json and .svg are written there`, '.')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const report = progressReport();
  const defaults = options.quick === true ? QUICK : WHOLE;
  try {
    const result = await runBench({
      only: options.only,
      isQuick: options.quick === true,
      rounds: options.rounds ?? defaults.rounds,
      seconds: options.secondsPerCell ?? defaults.seconds,
      pin: options.pin,
      congestion: options.congestion === 'system' ? '' : options.congestion,
      command: ['millrace', ...process.argv.slice(2)].join(' '),
      signal: stop.signal,
      onProgress: report.update,
    });
    report.stop();
    write(options.out, result);
    const isJson = options.json === true;
    process.stdout.write(isJson ? resultText(result) : `${benchLines(result).join('\n')}\n`);
  } finally {
    report.stop();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}

/** A bar on a terminal; else a line on stderr after each tenth. */
function progressReport(): {
  update: (done: number, total: number, what: string) => void;
  stop: () => void;
} {
  let progress: ReturnType<typeof startProgress> | null = null;
  let tenths = 0;
  return {
    update(done, total, what) {
      progress ??= startProgress('nettest bench', total, 'runs');
      progress.update(done, what);
      const reached = Math.floor((10 * done) / total);
      if (process.stderr.isTTY !== true && reached > tenths) {
        process.stderr.write(`nettest bench: ${done} of ${total} runs, ${what}\n`);
      }
      tenths = Math.max(tenths, reached);
    },
    stop() {
      progress?.stop();
    },
  };
}

function write(folder: string, result: BenchResult): void {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${BENCH_NAME}.json`), resultText(result));
    writeFileSync(join(folder, result.chart), drawChart(result));
  } catch (error) {
    throw new MillraceError('MR_OUTPUT', (error as Error).message, 'choose another --out', {
      cause: error,
    });
  }
}
