/**
 * `millrace status`: what the running server knows of itself, for people; --json prints it as it
 * is.
 */
import type { Command } from 'commander';
import type { Snapshot } from '../server/snapshot.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { LineWriter } from './line-writer.ts';
import { statusLines } from './status-text.ts';

const DEFAULT_HTTP = '127.0.0.1:8033';
const ANSWER_TIMEOUT_MS = 5_000;

const HELP = `
All ledgers are shown with their difference: 0 means that every byte and every record is accounted
for. Of many destinations those that are fine are summed up; --all lists each. --json prints the
snapshot that the page and /metrics are made from.

Examples:
  $ millrace status
  $ millrace status --http 192.0.2.7:8033 --json | jq .sinks[0].pending`;

export function registerStatus(program: Command): void {
  program
    .command('status')
    .summary('rates, exporters, destinations, ledgers')
    .description('Asks a running server for its rates, exporters, destinations, ledgers and lag.')
    .option('--http <addr>', 'HOST:PORT of its HTTP server', DEFAULT_HTTP)
    .option('--all', 'every destination, also those that are fine')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(status);
}

interface StatusOptions {
  readonly http: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

async function status(options: StatusOptions): Promise<void> {
  const snapshot = await fetchSnapshot(options.http);
  const writer = new LineWriter();
  if (options.json === true) writer.add(JSON.stringify(snapshot));
  else for (const line of statusLines(snapshot, options.all)) writer.add(line);
  await writer.flush();
}

/** The snapshot of the server at HOST:PORT. Throws MR_CONNECT. */
export async function fetchSnapshot(address: string): Promise<Snapshot> {
  let answer: Response;
  try {
    answer = await fetch(`http://${address}/api/v1/status`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch (error) {
    const cause = (error as Error).cause as Error | undefined;
    throw new MillraceError(
      'MR_CONNECT',
      `no answer from http://${address}: ${cause?.message ?? (error as Error).message}`,
      'is the server running (millrace serve)? Give its HTTP address with --http HOST:PORT',
      { cause: error },
    );
  }
  if (!answer.ok) {
    const text = (await answer.text()).slice(0, 200);
    throw new MillraceError('MR_CONNECT', `http://${address} answered ${answer.status}: ${text}`);
  }
  return (await answer.json()) as Snapshot;
}
