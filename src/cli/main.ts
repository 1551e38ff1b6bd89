#!/usr/bin/env node
/**
 * The command `millrace`: one program, one file a command.
 *
 * WHY         Everything a person does with Millrace is one word after this command. Errors that a
 *             person can meet are printed as code, what was found and what to do; never as a stack.
 * INVARIANTS  Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration
 *             (toolkit/base/errors.ts). A reader of our output that goes away (`| head`) is no
 *             error. A command loads what it needs when it runs: `--help` must not wait for DuckDB,
 *             and where the first word names a command, the files of the others are not read.
 */
import { Command, CommanderError } from 'commander';
import {
  describeError,
  EXIT_FAILED,
  EXIT_OK,
  EXIT_USAGE,
  MillraceError,
} from '../toolkit/base/errors.ts';
import { packageVersion } from './version.ts';

const EXAMPLES = `
Examples:
  $ millrace demo                               see it work: a server, a simulated SCE, a page
  $ millrace serve --listen 0.0.0.0:33000       collect what SCEs send
  $ millrace top subscribers --since 1h         ask the question that is asked most
  $ millrace query "SELECT count(*) FROM transaction_usage"
  $ millrace status                             rates, exporters, ledgers
  $ millrace COMMAND --help                     options and examples of one command

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.
Documentation: docs/tutorial.md, docs/reference/cli.md`;

type Register = (program: Command) => void;

/** By the word that a user writes, in the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  serve: async () => (await import('./serve.ts')).registerServe,
  demo: async () => (await import('./demo.ts')).registerDemo,
  top: async () => (await import('./top.ts')).registerTop,
  query: async () => (await import('./query.ts')).registerQuery,
  status: async () => (await import('./status.ts')).registerStatus,
  reload: async () => (await import('./reload.ts')).registerReload,
  journal: async () => (await import('./journal.ts')).registerJournal,
  store: async () => (await import('./store.ts')).registerStore,
  dump: async () => (await import('./dump.ts')).registerDump,
  replay: async () => (await import('./replay.ts')).registerReplay,
  generate: async () => (await import('./generate.ts')).registerGenerate,
  sink: async () => (await import('./sink.ts')).registerSink,
  nettest: async () => (await import('./nettest.ts')).registerNettest,
  cpu: async () => (await import('./cpu.ts')).registerCpu,
  guard: async () => (await import('./guard.ts')).registerGuard,
};

/** `word` is the first one of the command line: of a command, that command alone is loaded. */
async function makeProgram(word: string | undefined): Promise<Command> {
  const program = new Command('millrace')
    .description('Collects Cisco SCE RDRv1 record streams, stores them, answers questions.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    // An option behind a command is that command's, also where `cpu` and `cpu audit` have the same.
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES);
  const names = Object.keys(COMMANDS);
  const wanted = names.filter((name) => name === word);
  for (const name of wanted.length > 0 ? wanted : names) (await COMMANDS[name]!())(program);
  for (const command of [program, ...program.commands]) overrideExit(command);
  return program;
}

/** Commander would exit by itself; here every way out goes through main(). */
function overrideExit(command: Command): void {
  command.exitOverride();
  command.configureOutput({
    outputError: (text, write) => {
      write(`millrace: MR_USAGE: ${text.replace(/^error: /, '')}`);
    },
  });
  for (const inner of command.commands) overrideExit(inner);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    const isHelp = error.code === 'commander.helpDisplayed' || error.code === 'commander.version';
    return isHelp || error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  }
  process.stderr.write(`${describeError(error)}\n`);
  return error instanceof MillraceError ? error.exitCode : EXIT_FAILED;
}

/** `| head` closes our stdout: what remains to say interests nobody. */
function endQuietlyWithoutReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_OK);
    throw error;
  });
}

async function main(): Promise<void> {
  endQuietlyWithoutReader(process.stdout);
  endQuietlyWithoutReader(process.stderr);
  try {
    const program = await makeProgram(process.argv[2]);
    await program.parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

await main();
