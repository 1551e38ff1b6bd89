/**
 * `millrace top`: the question that is asked most.
 */
import { Argument, type Command, Option } from 'commander';
import type { TopRow } from '../server/store/top.ts';
import {
  TOP_MEASURES,
  TOP_SUBJECTS,
  type TopMeasure,
  type TopSubject,
} from '../server/top-words.ts';
import { parseCount } from './option-values.ts';
import { bytesText, countText, table } from './text-table.ts';

const DEFAULT_DATA = './millrace-data';

const HELP = `
Counts transaction usage (Transaction Usage, HTTP, RTSP, VoIP, Video and anonymised HTTP records),
by arrival time, from the full minute on; volumes are bytes. Periodic records count the same traffic
again and are not added. --since takes 90s, 15m, 1h, 7d, all, or a time such as 2026-01-31T08:00
(UTC).

Examples:
  $ millrace top subscribers
  $ millrace top hosts --since 15m --by sessions -n 20
  $ millrace top services --since all --json`;

interface TopCommandOptions {
  readonly data: string;
  readonly since: string;
  readonly by: TopMeasure;
  readonly n: number;
  readonly json?: boolean;
}

export function registerTop(program: Command): void {
  program
    .command('top')
    .summary('top subscribers, services, packages, hosts, protocols or exporters')
    .description('Shows who moved the most.')
    .addArgument(new Argument('<what>', 'of what').choices(TOP_SUBJECTS))
    .option('--since <time>', 'span or time', '1h')
    .addOption(new Option('--by <measure>', 'order').choices(TOP_MEASURES).default('bytes'))
    .option('-n <count>', 'rows', parseCount(1), 10)
    .option('--data <dir>', 'data folder', DEFAULT_DATA)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(topCommand);
}

async function topCommand(subject: TopSubject, options: TopCommandOptions): Promise<void> {
  const { parseSince, top } = await import('../server/store/top.ts');
  const { QueryEngine } = await import('../server/store/query.ts');
  const sinceMs = parseSince(options.since, Date.now());
  const engine = await QueryEngine.open(options.data);
  try {
    const rows = await top(engine, { subject, sinceMs, by: options.by, count: options.n });
    const { visible } = await import('../server/store/render.ts');
    const text =
      options.json === true ? JSON.stringify(rows) : topLines(subject, rows, visible).join('\n');
    process.stdout.write(`${text}\n`);
  } finally {
    engine.close();
  }
}

/** The table for people. */
export function topLines(
  subject: TopSubject,
  rows: readonly TopRow[],
  visible: (text: string) => string,
): string[] {
  if (rows.length === 0) return ['nothing in this time'];
  const cells = rows.map((row, i) => [
    String(i + 1),
    row.name === '' ? '(none)' : visible(row.name),
    bytesText(row.bytes),
    bytesText(row.upstreamBytes),
    bytesText(row.downstreamBytes),
    countText(row.sessions),
    countText(row.records),
  ]);
  const head = ['#', subject, 'bytes', 'up', 'down', 'sessions', 'records'];
  return table(head, cells, [0, 2, 3, 4, 5, 6]);
}
