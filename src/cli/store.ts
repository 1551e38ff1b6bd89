/**
 * `millrace store verify`: the ledger of the store against the rows that are really there.
 */
import type { Command } from 'commander';
import { EXIT_FAILED } from '../toolkit/base/errors.ts';
import { countText, table } from './text-table.ts';

const DEFAULT_DATA = './millrace-data';

const VERIFY_HELP = `
Reads the commit log, counts the rows of every table in its files, and compares them with what the
ledger says was delivered. Exit code 1 when they differ. The server may be running.

Examples:
  $ millrace store verify
  $ millrace store verify /var/lib/millrace --json | jq .difference`;

export function registerStore(program: Command): void {
  const store = program
    .command('store')
    .summary('verify the store')
    .description('Looks into the store of a data folder; the server may be running.')
    .addHelpText('after', '\nExamples:\n  $ millrace store verify');
  store
    .command('verify')
    .description('Compares the delivered records of the ledger with a count of the rows.')
    .argument('[path]', 'data folder', DEFAULT_DATA)
    .option('--json', 'print JSON')
    .addHelpText('after', VERIFY_HELP)
    .action(verify);
}

async function verify(dataDir: string, options: { readonly json?: boolean }): Promise<void> {
  const { countRows } = await import('../server/store/count-rows.ts');
  const report = await countRows(dataDir);
  if (report.difference !== 0) process.exitCode = EXIT_FAILED;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const rows = report.tables.map(({ table: name, expected, found }) => [
    name,
    countText(expected),
    countText(found),
    expected === found ? '' : 'differs',
  ]);
  const lines = table(['table', 'ledger', 'rows', ''], rows, [1, 2]);
  lines.push(`difference: ${report.difference}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
