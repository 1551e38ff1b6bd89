/**
 * `millrace serve`: the server. Options of the command line go before those of the file.
 *
 * SIGNALS  The first SIGTERM or Ctrl-C drains: stop accepting, journal what the kernel holds,
 *          commit what can be committed in 8 s, print the ledgers, exit 0. The second ends at once.
 *          SIGHUP reads the file of -c again; without one it ends the process, as always.
 */
import { writeSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { parseEndpoint } from '../server/address.ts';
import type { Config, Server } from '../server/index.ts';
import { describeError, EXIT_FAILED, EXIT_OK } from '../toolkit/base/errors.ts';
import { exitNow } from '../toolkit/sys/index.ts';
import { catchDrainSignals } from './drain-signals.ts';
import { collect } from './option-values.ts';
import { ledgerLines } from './status-text.ts';

interface ServeOptions {
  readonly config?: string;
  readonly data?: string;
  readonly listen?: readonly string[];
  readonly http?: string;
  readonly sink?: 'store' | 'null';
  readonly stages?: Config['stages'];
  readonly guard?: true | 'report' | 'continue';
  readonly check?: boolean;
  readonly printPlan?: boolean;
}

const HELP = `
Without options: exporters on 127.0.0.1:33000, page, API and metrics on 127.0.0.1:8033, data in
./millrace-data. RDRv1 has no authentication: beyond loopback, set collect.allow in the file.
All keys of the file: docs/reference/config.md; \`millrace reload\` puts a changed \`forward:\` in
force. The log is JSON lines on stderr.

Examples:
  $ millrace serve
  $ millrace serve --listen 0.0.0.0:33000 --listen [::]:33000 --data /var/lib/millrace
  $ millrace serve -c millrace.yaml --check     is it right, and what will be forwarded where
  $ millrace serve --guard=continue             find out who corrupts records
  $ millrace serve --print-plan`;

export function registerServe(program: Command): void {
  program
    .command('serve')
    .summary('run the server')
    .description('Collects RDRv1 records over TCP, journals and stores them, answers over HTTP.')
    .option('-c, --config <file>', 'YAML file with configuration keys')
    .option('--data <dir>', 'data folder (default: ./millrace-data)')
    .option('--listen <host:port>', 'where exporters connect; may be given several times', collect)
    .option('--http <host:port>', 'page, API and metrics; "off" for none')
    .addOption(
      new Option('--sink <name>', 'null: journal only, decode nothing').choices(['store', 'null']),
    )
    .addOption(
      new Option('--stages <name>', 'benchmarks: how far records go')
        .choices(['frame', 'journal', 'decode', 'latency', 'all'])
        .hideHelp(),
    )
    .addOption(
      new Option(
        '--guard [mode]',
        'write-protect pages that nobody may write, and report who does: then die (report, also' +
          ' without a word), or continue',
      ).choices(['report', 'continue']),
    )
    .option('--check', 'check the configuration and end')
    .option('--print-plan', 'print workers, their CPUs, rings and memory, and end')
    .addHelpText('after', HELP)
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { checkPlan, describePlan, readConfigFile, startServer } = await import(
    '../server/index.ts'
  );
  const config = await configOf(options);
  if (options.printPlan === true) {
    process.stdout.write(`${await describePlan(config)}\n`);
    return;
  }
  if (options.check === true) {
    const lines = checkPlan(config);
    for (const address of [...config.listen, config.http]) {
      if (address !== null) parseEndpoint(address);
    }
    process.stdout.write(`${['the configuration is fine', ...lines].join('\n')}\n`);
    return;
  }
  const server = await startServer(config);
  const { config: file } = options;
  if (file !== undefined) server.reloadOnHangup(() => inputOf(options, readConfigFile), file);
  await runServer(server);
}

/** The file's keys, with those of the command line over them. Throws MR_CONFIG_*, MR_ADDRESS. */
async function configOf(options: ServeOptions): Promise<Config> {
  const { makeConfig, readConfigFile } = await import('../server/index.ts');
  return makeConfig(inputOf(options, readConfigFile), options.config ?? 'command line');
}

/** The same as plain data. Throws MR_CONFIG_FILE. */
function inputOf(
  options: ServeOptions,
  readConfigFile: (path: string) => Record<string, unknown>,
): Record<string, unknown> {
  const fromFile = options.config === undefined ? {} : readConfigFile(options.config);
  const { data, listen, sink, stages, guard } = options;
  return {
    ...fromFile,
    ...(data === undefined ? {} : { data }),
    ...(listen === undefined ? {} : { listen }),
    ...(sink === undefined ? {} : { sink }),
    ...(stages === undefined ? {} : { stages }),
    ...(guard === undefined ? {} : { guard: { mode: guard === true ? 'report' : guard } }),
    ...(options.http === undefined ? {} : { http: options.http === 'off' ? null : options.http }),
  };
}

async function runServer(server: Server): Promise<void> {
  const signals = catchDrainSignals();
  const { listen, http } = server.ports;
  process.stdout.write(`listening for exporters on ${listen.join(', ')}\n`);
  if (http !== null) process.stdout.write(`page http://${http}/\n`);
  let exitCode: number = EXIT_OK;
  try {
    const signal = await Promise.race([signals.first, server.closed]);
    if (signal !== undefined) print(1, `${signal}: draining`);
    const snapshot = await server.drain();
    print(1, ledgerLines(snapshot).join('\n'));
  } catch (error) {
    print(2, describeError(error));
    exitCode = EXIT_FAILED;
  }
  // The store may have been left behind inside DuckDB; all that is to be kept is on the disk.
  exitNow(exitCode);
}

/** Written before the call returns, as the process ends behind it. A closed pipe is no failure. */
function print(fd: number, text: string): void {
  try {
    writeSync(fd, `${text}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}
