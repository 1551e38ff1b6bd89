/**
 * `millrace guard`: who writes into my memory? One file a subcommand.
 */
import type { Command } from 'commander';
import { registerGuardDemo } from './guard-demo.ts';
import { registerGuardRun } from './guard-run.ts';
import { registerGuardStatus } from './guard-status.ts';

const HELP = `
A program of your own protects what it wants by millrace/guard (docs/reference/guard.md). The way
from a symptom to a line is told in docs/guides/find-memory-corruption.md.

Examples:
  $ millrace guard demo                      six ways to corrupt memory, and their reports
  $ millrace guard run -- app.js --port 80   who writes into the shared memory of app.js
  $ millrace guard status                    what works on this machine`;

export function registerGuard(program: Command): void {
  const guard = program
    .command('guard')
    .summary('find memory corruption: the culprit’s line')
    .description('Write-protects memory and reports who writes there.')
    .enablePositionalOptions()
    .addHelpText('after', HELP);
  registerGuardRun(guard);
  registerGuardDemo(guard);
  registerGuardStatus(guard);
}
