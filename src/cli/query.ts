/**
 * `millrace query`: SQL over the store, also while the server runs.
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import type { QueryEngine } from '../server/store/query.ts';
import type { TextFormat } from '../server/store/render.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

const DEFAULT_DATA = './millrace-data';

const HELP = `
Tables: one per record type (transaction_usage, http_transaction_usage, ...), malformed_records,
other_records, the roll-ups traffic_minute, traffic_hour, usage_minute, and traffic (all transaction
usage in common columns). ip(x) gives dotted text. Times are UTC. docs/reference/store-schema.md

Examples:
  $ millrace query "SHOW TABLES"
  $ millrace query "SELECT ip(server_ip) AS server, count(*) FROM transaction_usage GROUP BY 1
                    ORDER BY 2 DESC LIMIT 10"
  $ millrace query "SELECT * FROM traffic_minute ORDER BY minute DESC LIMIT 20" --format csv
  $ millrace query "FROM malformed_records LIMIT 5" --format json
  $ millrace query "FROM transaction_usage" --format parquet > transactions.parquet`;

interface QueryCommandOptions {
  readonly data: string;
  readonly format: TextFormat | 'parquet';
}

export function registerQuery(program: Command): void {
  program
    .command('query')
    .summary('SQL over the store')
    .description('Runs SQL (DuckDB) over the committed files of a data folder.')
    .argument('<sql>', 'one statement')
    .option('--data <dir>', 'data folder', DEFAULT_DATA)
    .addOption(
      new Option('--format <name>', 'how the rows are written')
        .choices(['table', 'json', 'csv', 'parquet'])
        .default('table'),
    )
    .addHelpText('after', HELP)
    .action(query);
}

async function query(sql: string, options: QueryCommandOptions): Promise<void> {
  const { format } = options;
  if (format === 'parquet' && process.stdout.isTTY === true) {
    throw new MillraceError(
      'MR_USAGE',
      'Parquet is not for a terminal',
      'redirect it: millrace query "..." --format parquet > FILE',
    );
  }
  const { QueryEngine } = await import('../server/store/query.ts');
  const engine = await QueryEngine.open(options.data);
  try {
    if (format === 'parquet') await writeParquet(engine, sql);
    else await writeText(engine, sql, format);
  } finally {
    engine.close();
  }
}

async function writeText(engine: QueryEngine, sql: string, format: TextFormat): Promise<void> {
  const { renderText } = await import('../server/store/render.ts');
  const { sqlError } = await import('../server/store/query.ts');
  const result = await engine.run(sql);
  try {
    for await (const piece of renderText(result, format)) {
      if (process.stdout.write(piece)) continue;
      await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
    }
  } catch (error) {
    throw sqlError(error);
  }
}

/** DuckDB writes Parquet to a file only: a temporary one, which then goes to standard output. */
async function writeParquet(engine: QueryEngine, sql: string): Promise<void> {
  const { quoteText } = await import('../server/store/tables.ts');
  const folder = await mkdtemp(join(tmpdir(), 'millrace-query-'));
  try {
    const path = join(folder, 'result.parquet');
    const body = sql.replace(/;\s*$/, '');
    const result = await engine.run(`COPY (${body}) TO ${quoteText(path)} (FORMAT parquet)`);
    await result.fetchChunk();
    await pipeline(createReadStream(path), process.stdout, { end: false });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
