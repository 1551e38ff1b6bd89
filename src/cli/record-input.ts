/**
 * Record input: whole records from what a person names: raw RDR bytes, journal segments, a folder.
 *
 * WHY         dump and replay take the same inputs and must see the same records in them.
 * DETECTION   A folder is a journal (or a data folder with one inside). A file that begins with the
 *             segment magic is a segment; anything else is raw bytes (their second byte is a digit,
 *             so the two cannot be confused). `-` is standard input.
 * INVARIANTS  Bounded memory: one buffer an input. What is passed over is counted in `notes`.
 */
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawFramer } from '../rdr/index.ts';
import {
  type Damage,
  JournalReader,
  listSegments,
  type SegmentFile,
  segmentOfFile,
} from '../server/journal/reader.ts';
import type { RecordRun } from '../server/record-json.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

/** What an input held besides records; for a line on stderr. */
export interface InputNotes {
  resyncBytes: number;
  resyncRuns: number;
  truncatedBytes: number;
  damagedBytes: number;
  /** Bytes behind the last block of a live or torn segment. */
  pendingBytes: number;
  bytesRead: number;
}

export function makeNotes(): InputNotes {
  return {
    resyncBytes: 0,
    resyncRuns: 0,
    truncatedBytes: 0,
    damagedBytes: 0,
    pendingBytes: 0,
    bytesRead: 0,
  };
}

const MAGIC = 'MILLRACE';
const STDIN_PATH = '/dev/stdin';

/** Size in bytes of what recordsOf(path) will read; 0 when it cannot be known. */
export function inputBytes(path: string): number {
  if (path === '-') return 0;
  const stat = statOf(path);
  if (!stat.isDirectory()) return stat.size;
  return listSegments(journalFolder(path)).reduce((sum, file) => sum + statSync(file.path).size, 0);
}

/**
 * The records of one input, in runs: one object is reused, valid until the next step. Throws
 * MR_INPUT, MR_JOURNAL_FORMAT.
 */
export async function* recordsOf(path: string, notes: InputNotes): AsyncGenerator<RecordRun> {
  if (path === '-') {
    yield* standardInput(notes);
  } else if (statOf(path).isDirectory()) {
    yield* segmentRecords(listSegments(journalFolder(path)), notes);
  } else if (isSegment(path)) {
    yield* segmentRecords([segmentOfFile(path)], notes);
  } else {
    yield* rawRecords(createReadStream(path, { highWaterMark: 256 * 1024 }), notes);
  }
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new MillraceError(
      'MR_INPUT',
      `${path} cannot be read: ${(error as Error).message}`,
      'give a file of raw RDR bytes, a journal segment, a journal folder, or - for standard input',
      { cause: error },
    );
  }
}

/** The folder with the segments: the one given, or `journal` inside a data folder. */
export function journalFolder(path: string): string {
  const inner = join(path, 'journal');
  return existsSync(inner) ? inner : path;
}

function isSegment(path: string): boolean {
  let fd = -1;
  try {
    fd = openSync(path, 'r');
    const bytes = Buffer.alloc(MAGIC.length);
    return readSync(fd, bytes, 0, MAGIC.length, 0) > 0 && bytes.toString('latin1') === MAGIC;
  } catch (error) {
    const message = (error as Error).message;
    throw new MillraceError('MR_INPUT', `${path} cannot be read: ${message}`, '', { cause: error });
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/**
 * A pipe may hold a segment as well; then it is kept in a file first, because blocks are sought.
 */
async function* standardInput(notes: InputNotes): AsyncGenerator<RecordRun> {
  if (statSync(STDIN_PATH).isFile()) {
    yield* recordsOf(STDIN_PATH, notes);
    return;
  }
  const pieces = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let first = Buffer.alloc(0);
  while (first.length < MAGIC.length) {
    const next = await pieces.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  const rest = { [Symbol.asyncIterator]: () => pieces };
  if (first.subarray(0, MAGIC.length).toString('latin1') === MAGIC) {
    yield* spooledSegment(first, rest, notes);
  } else {
    yield* rawRecords(prepend(first, rest), notes);
  }
}

async function* prepend(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  yield* rest;
}

async function* spooledSegment(
  first: Buffer,
  rest: AsyncIterable<Buffer>,
  notes: InputNotes,
): AsyncGenerator<RecordRun> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-stdin-'));
  try {
    const path = join(folder, 'stdin.seg');
    const file = await open(path, 'wx');
    for await (const piece of prepend(first, rest)) await file.write(piece);
    await file.close();
    yield* segmentRecords([segmentOfFile(path)], notes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function* segmentRecords(
  files: readonly SegmentFile[],
  notes: InputNotes,
): AsyncGenerator<RecordRun> {
  const onDamage = (damage: Damage): void => {
    notes.damagedBytes += damage.bytes;
  };
  const reader = new JournalReader(files, { onDamage });
  try {
    let run: RecordRun | null = null;
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      const { header, bytes, view, offset, length } = block;
      const position = block.endPosition - length;
      if (run === null) run = { bytes, view, offset, length, position, block: header };
      else Object.assign(run, { bytes, view, offset, length, position });
      notes.bytesRead += block.endPosition - header.position;
      yield run;
    }
    notes.pendingBytes += reader.pendingTail()?.bytes ?? 0;
  } finally {
    reader.close();
  }
}

async function* rawRecords(
  pieces: AsyncIterable<Uint8Array>,
  notes: InputNotes,
): AsyncGenerator<RecordRun> {
  const empty = new Uint8Array(0);
  const run: RecordRun = {
    bytes: empty,
    view: new DataView(empty.buffer),
    offset: 0,
    length: 0,
    position: 0,
    block: null,
  };
  const runs: { offset: number; length: number; position: number }[] = [];
  let framed = 0;
  const framer = new RawFramer((bytes, view, offset, length) => {
    run.bytes = bytes;
    run.view = view;
    runs.push({ offset, length, position: framed + framer.resyncBytes });
    framed += length;
  });
  for await (const piece of pieces) {
    notes.bytesRead += piece.length;
    framer.push(piece);
    for (const part of runs.splice(0)) yield Object.assign(run, part);
  }
  framer.finish();
  for (const part of runs.splice(0)) yield Object.assign(run, part);
  notes.resyncBytes += framer.resyncBytes;
  notes.resyncRuns += framer.resyncRuns;
  notes.truncatedBytes += framer.truncatedBytes;
}

/** One line for stderr about what was not a record, or null when everything was. */
export function describeNotes(notes: InputNotes): string | null {
  const parts: string[] = [];
  if (notes.resyncBytes > 0) {
    parts.push(`${notes.resyncBytes} bytes of garbage in ${notes.resyncRuns} runs passed over`);
  }
  if (notes.truncatedBytes > 0)
    parts.push(`${notes.truncatedBytes} bytes of a half record at the end`);
  if (notes.damagedBytes > 0)
    parts.push(`${notes.damagedBytes} bytes of damaged blocks passed over`);
  if (notes.pendingBytes > 0)
    parts.push(`${notes.pendingBytes} bytes of an unfinished block at the end`);
  return parts.length === 0 ? null : parts.join('; ');
}
