#!/usr/bin/env node
/**
 * The command `millrace`: one program, one file a command.
 *
 * WHY         Everything a person does with Millrace is one word after this command. Errors that a
 *             person can meet are printed as code, what was found and what to do; never as a stack.
 * INVARIANTS  Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration
 *             (toolkit/base/errors.ts). A reader of our output that goes away (`| head`) is no
 *             error. A command loads what it needs when it runs: `--help` must not wait for DuckDB.
 */
import { Command, CommanderError } from 'commander';
import {
  describeError,
  EXIT_FAILED,
  EXIT_OK,
  EXIT_USAGE,
  MillraceError,
} from '../toolkit/base/errors.ts';
import { registerCpu } from './cpu.ts';
import { registerDemo } from './demo.ts';
import { registerDump } from './dump.ts';
import { registerGenerate } from './generate.ts';
import { registerGuard } from './guard.ts';
import { registerJournal } from './journal.ts';
import { registerNettest } from './nettest.ts';
import { registerQuery } from './query.ts';
import { registerReload } from './reload.ts';
import { registerReplay } from './replay.ts';
import { registerServe } from './serve.ts';
import { registerSink } from './sink.ts';
import { registerStatus } from './status.ts';
import { registerStore } from './store.ts';
import { registerTop } from './top.ts';
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

export function makeProgram(): Command {
  const program = new Command('millrace')
    .description('Collects Cisco SCE RDRv1 record streams, stores them, answers questions.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    // An option behind a command is that command's, also where `cpu` and `cpu audit` have the same.
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES);
  registerServe(program);
  registerDemo(program);
  registerTop(program);
  registerQuery(program);
  registerStatus(program);
  registerReload(program);
  registerJournal(program);
  registerStore(program);
  registerDump(program);
  registerReplay(program);
  registerGenerate(program);
  registerSink(program);
  registerNettest(program);
  registerCpu(program);
  registerGuard(program);
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
    await makeProgram().parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

await main();
