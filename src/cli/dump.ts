/**
 * `millrace dump`: records of a file as JSON, CSV or hex, one line a record.
 */
import { type Command, Option } from 'commander';
import {
  compileFilter,
  filterWarnings,
  frameLength,
  parseFilter,
  type RecordPredicate,
  TAG_OFFSET,
} from '../rdr/index.ts';
import { malformedReason, type RecordRun } from '../server/record-json.ts';
import { LineWriter } from './line-writer.ts';
import { parseCount } from './option-values.ts';
import { startProgress } from './progress.ts';
import { FORMATS, type FormatName } from './record-format.ts';
import { describeNotes, inputBytes, makeNotes, recordsOf } from './record-input.ts';
import { tagOfName } from './tag-filter.ts';

interface DumpOptions {
  readonly tag?: string;
  readonly filter?: string;
  readonly limit?: number;
  readonly format: FormatName;
}

const HELP = `
FILE is raw RDRv1 bytes, a journal segment (.seg), a journal folder or a data folder; which of them
is found out by looking. - is standard input.

Formats:
  json  header, fields by name, and for segments position, ordinal, block, arrival, exporter
  csv   the line of Cisco's Collection Manager: arrival in epoch ms, tag, SCE address, fields;
        quoted by RFC 4180 only where needed. Raw bytes know neither arrival nor exporter: those
        two columns are empty. Malformed records have no line; their number is told on stderr
  hex   position, tag, name, bytes

--filter takes an expression over tag, exporter, header items and fields, as the configuration of
forwarding does; docs/reference/filter.md has the language. Raw bytes know no exporter. With --tag
both must hold.

Examples:
  $ millrace dump capture.rdr --limit 3
  $ millrace dump capture.rdr --filter "client_ip in 10.0.0.0/8 and server_port in (80, 443)"
  $ millrace dump capture.rdr --filter "tag = TUR and access_string ~ '^www.*.net$'"
  $ millrace dump millrace-data --tag TRANSACTION_USAGE --format csv > usage.csv
  $ millrace generate --out - --records 100 | millrace dump - --format hex`;

export function registerDump(program: Command): void {
  program
    .command('dump')
    .summary('show the records of a file')
    .description('Decodes raw RDR bytes or journal segments, one line a record.')
    .argument('<file>', 'file or folder to read, - for standard input')
    .option('--tag <name>', 'only records of this type: a name, 0xf0f0f438 or 4042323000')
    .option('--filter <expression>', 'only records for which this holds')
    .option('--limit <n>', 'stop after n records', parseCount(0))
    .addOption(
      new Option('--format <name>', 'form of a line').choices(Object.keys(FORMATS)).default('json'),
    )
    .addHelpText('after', HELP)
    .action(dump);
}

async function dump(path: string, options: DumpOptions): Promise<void> {
  const tag = options.tag === undefined ? null : tagOfName(options.tag);
  const parsed = options.filter === undefined ? null : parseFilter(options.filter);
  const filter = parsed === null ? null : compileFilter(parsed);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const writer = new LineWriter(process.stdout, options.format === 'csv' ? 'latin1' : 'utf8');
  const notes = makeNotes();
  const isSilent = process.stdout.isTTY === true;
  const progress = startProgress('dump', isSilent ? 0 : inputBytes(path), 'MB');
  const dumper = new Dumper(writer, options.format, chooser(tag, filter), limit);
  try {
    if (limit > 0) {
      for await (const run of recordsOf(path, notes)) {
        const isDone = await dumper.dumpRun(run);
        progress.update(notes.bytesRead, `${dumper.shown} records`);
        if (isDone) break;
      }
    }
    await writer.flush();
  } finally {
    progress.stop();
  }
  // A filter that chose records means what it says.
  for (const warning of parsed === null || dumper.shown > 0 ? [] : filterWarnings(parsed)) {
    process.stderr.write(`millrace dump: warning: filter: ${warning}\n`);
  }
  const remark = describeNotes(notes);
  if (remark !== null) process.stderr.write(`millrace dump: ${remark}\n`);
  if (dumper.malformed > 0) {
    process.stderr.write(`millrace dump: ${dumper.malformed} malformed records\n`);
  }
}

/** Both have to hold; null holds always. */
function chooser(tag: number | null, filter: RecordPredicate | null): RecordPredicate {
  return (bytes, view, offset, length, exporter) =>
    (tag === null || view.getUint32(offset + TAG_OFFSET) === tag) &&
    (filter === null || filter(bytes, view, offset, length, exporter));
}

/** All 0: raw bytes do not tell who sent them. */
const NO_EXPORTER = new Uint8Array(16);

class Dumper {
  readonly #writer: LineWriter;
  readonly #format: FormatName;
  readonly #isChosen: RecordPredicate;
  readonly #limit: number;
  shown = 0;
  malformed = 0;

  constructor(writer: LineWriter, format: FormatName, isChosen: RecordPredicate, limit: number) {
    this.#writer = writer;
    this.#format = format;
    this.#isChosen = isChosen;
    this.#limit = limit;
  }

  /** Writes the records of a run; true when the limit is reached. */
  async dumpRun(run: RecordRun): Promise<boolean> {
    const end = run.offset + run.length;
    const exporter = run.block?.exporter ?? NO_EXPORTER;
    let index = 0;
    for (let offset = run.offset; offset < end; index++) {
      const length = frameLength(run.bytes, offset);
      if (length < 0) throw new Error('a run holds whole records only');
      if (this.#isChosen(run.bytes, run.view, offset, length, exporter)) {
        const place = { run, offset, length, index };
        if (malformedReason(place) !== 0) this.malformed++;
        const line = FORMATS[this.#format](place);
        if (line !== null) {
          this.shown++;
          if (this.#writer.add(line)) await this.#writer.flush();
        }
        if (this.shown >= this.#limit) return true;
      }
      offset += length;
    }
    return false;
  }
}
