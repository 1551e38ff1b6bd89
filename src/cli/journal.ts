/**
 * `millrace journal ls | verify | cat`: looks into a journal, of a running server or of a dead one.
 */
import type { Command } from 'commander';
import { describeSegment, JournalReader, listSegments } from '../server/journal/reader.ts';
import { EXIT_FAILED, MillraceError } from '../toolkit/base/errors.ts';
import { type Finding, type VerifyReport, verifyJournal } from './journal-verify.ts';
import { LineWriter } from './line-writer.ts';
import { parseCount } from './option-values.ts';
import { startProgress } from './progress.ts';
import { inputBytes, journalFolder } from './record-input.ts';
import { table } from './text-table.ts';

const DEFAULT_DATA = './millrace-data';

const LS_HELP = `
Examples:
  $ millrace journal ls
  $ millrace journal ls /var/lib/millrace --json`;

const VERIFY_HELP = `
Checks magic, position and both checksums of every block, and that the numbers of records and of
blocks follow on each other. Exit code 1 when a block is damaged or records are missing. A block
that is just being written (or was torn by a crash) at the very end is told, but is no damage: it
was never published, and the next start of the server cuts it off.

Examples:
  $ millrace journal verify
  $ millrace journal verify millrace-data --json | jq .findings`;

const CAT_HELP = `
Writes the records of all valid blocks as raw RDR bytes, in order.

Examples:
  $ millrace journal cat > all.rdr
  $ millrace journal cat --from 268435456 | millrace dump - --limit 10`;

export function registerJournal(program: Command): void {
  const journal = program
    .command('journal')
    .summary('list, verify or print the journal')
    .description('Looks into the journal of a data folder; the server may be running.');
  const path = 'data folder or journal folder';
  journal
    .command('ls')
    .description('Lists the segments: position, size, first record and block, times.')
    .argument('[path]', path, DEFAULT_DATA)
    .option('--json', 'print JSON')
    .addHelpText('after', LS_HELP)
    .action(ls);
  journal
    .command('verify')
    .description('Checks header and payload checksums of every block.')
    .argument('[path]', path, DEFAULT_DATA)
    .option('--json', 'print JSON')
    .addHelpText('after', VERIFY_HELP)
    .action(verify);
  journal
    .command('cat')
    .description('Writes the records as raw RDR bytes to standard output.')
    .argument('[path]', path, DEFAULT_DATA)
    .option('--from <position>', 'begin at the first block at or after it', parseCount(0))
    .addHelpText('after', CAT_HELP)
    .action(cat);
}

async function ls(path: string, options: { readonly json?: boolean }): Promise<void> {
  const segments = listSegments(journalFolder(path)).map(describeSegment);
  const writer = new LineWriter();
  if (options.json === true) {
    writer.add(JSON.stringify(segments));
  } else {
    const rows = segments.map((segment) => [
      String(segment.position),
      String(segment.bytes),
      segment.firstOrdinal === null ? 'damaged head' : String(segment.firstOrdinal),
      segment.firstBlockOrdinal === null ? '-' : String(segment.firstBlockOrdinal),
      segment.createdUs === null ? '-' : timeText(segment.createdUs / 1000),
      timeText(segment.modifiedMs),
      segment.uuid ?? '-',
    ]);
    const numbers = ['position', 'bytes', 'first record', 'first block'];
    const head = [...numbers, 'created', 'last write', 'journal'];
    for (const line of table(head, rows, [0, 1, 2, 3])) writer.add(line);
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    writer.add(`${segments.length} segments, ${bytes} bytes`);
  }
  await writer.flush();
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

async function verify(path: string, options: { readonly json?: boolean }): Promise<void> {
  const folder = journalFolder(path);
  const progress = startProgress('verify', inputBytes(folder), 'MB');
  let report: VerifyReport;
  try {
    report = verifyJournal(folder, (bytes, found) => progress.update(bytes, `${found} findings`));
  } finally {
    progress.stop();
  }
  const writer = new LineWriter();
  if (options.json === true) {
    writer.add(JSON.stringify(report));
  } else {
    for (const finding of report.findings) writer.add(findingText(finding));
    writer.add(
      `${report.segments} segments, ${report.blocks} good blocks, ${report.records} records, ` +
        `${report.bytes} bytes; ${report.damaged} damaged places`,
    );
  }
  await writer.flush();
  if (report.damaged > 0) process.exitCode = EXIT_FAILED;
}

function findingText(finding: Finding): string {
  const { path, position, what, bytes } = finding;
  const records = finding.records === null ? '' : `, ${finding.records} records`;
  return `${path} position ${position}: ${what} (${bytes} bytes${records})`;
}

async function cat(path: string, options: { readonly from?: number }): Promise<void> {
  if (process.stdout.isTTY === true) {
    throw new MillraceError(
      'MR_USAGE',
      'raw record bytes are not for a terminal',
      'redirect them into a file, or read them with millrace dump',
    );
  }
  const reader = new JournalReader(journalFolder(path), { position: options.from ?? 0 });
  try {
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      const payload = block.bytes.slice(block.offset, block.offset + block.length);
      if (!process.stdout.write(payload)) {
        await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
      }
    }
    if (reader.skippedBytes > 0) {
      process.stderr.write(`millrace journal: ${reader.skippedBytes} damaged bytes left out\n`);
    }
  } finally {
    reader.close();
  }
}
