/**
 * Commit log: reads `store/commits.log`, and appends to it for the one owner of the store.
 *
 * WHY         See commit-record.ts. Readers (queries, status, another process) read it at any time;
 *             the owner appends with fsync, truncates a torn tail when it opens it, and rewrites it
 *             as one snapshot when it has grown.
 * LAYOUT      Lines of commit-record.ts.
 * OWNERSHIP   One owner (the store worker, under the data folder's lock). Readers never write.
 * INVARIANTS  1. A line that is not whole is the last one: a torn append, ignored by readers,
 *                truncated by the owner.  2. A damaged line with a valid one behind it is damage:
 *                MR_STORE_LOG.
 *             3. A snapshot is a new file: tmp, fsync, rename, fsync of the folder.
 *             4. When an append fails, the file is truncated to what it was before the next append.
 * REFUSED     Repairing damage by leaving lines out (it would lose or double records in silence).
 */
import { constants, readFileSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../../toolkit/base/errors.ts';
import {
  type CommitRecord,
  decodeCommit,
  encodeCommit,
  LedgerTotals,
  type StoredFile,
} from './commit-record.ts';

export const LOG_NAME = 'commits.log';
const NEWLINE = 10;

/** What the log says is there. */
export class StoreState {
  sequence = 0;
  position = 0;
  nextOrdinal = 0;
  timeUs = 0;
  /** path -> file. */
  readonly files = new Map<string, StoredFile>();
  readonly ledger = new LedgerTotals();
  commits = 0;

  apply(record: CommitRecord): void {
    this.sequence = record.sequence;
    this.position = record.to;
    this.nextOrdinal = record.toOrdinal;
    this.timeUs = record.timeUs;
    for (const path of record.removed) this.files.delete(path);
    for (const file of record.added) this.files.set(file.path, file);
    this.ledger.add(record.ledger);
    this.commits++;
  }
}

interface ParsedLog {
  readonly state: StoreState;
  /** Bytes that are whole lines. */
  readonly validBytes: number;
  readonly lines: number;
}

function damaged(path: string, line: number, what: string): MillraceError {
  return new MillraceError(
    'MR_STORE_LOG',
    `${path}, line ${line}: ${what}`,
    'restore the file from a backup, or move the store folder away: the journal fills a new one',
  );
}

/** Is there a valid line anywhere from `start` on? */
function hasValidLine(bytes: Buffer, start: number): boolean {
  for (let at = start; at < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return false;
    if (decodeCommit(bytes.toString('utf8', at, end)) !== null) return true;
    at = end + 1;
  }
  return false;
}

/** Parses the bytes of a log; a torn tail is left out. Throws MR_STORE_LOG. */
export function parseLog(bytes: Buffer, path: string): ParsedLog {
  const state = new StoreState();
  let lines = 0;
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(NEWLINE, at);
    const record = end < 0 ? null : decodeCommit(bytes.toString('utf8', at, end));
    if (record === null) {
      if (hasValidLine(bytes, at)) throw damaged(path, lines + 1, 'the checksum does not hold');
      break;
    }
    lines++;
    const isFirst = lines === 1;
    if (record.kind === 'snapshot' ? !isFirst : record.sequence !== state.sequence + 1) {
      throw damaged(path, lines, `sequence ${record.sequence} stands behind ${state.sequence}`);
    }
    if (record.kind === 'flush' && record.from !== state.position) {
      throw damaged(path, lines, `it begins at ${record.from}, not at ${state.position}`);
    }
    state.apply(record);
    at = end + 1;
  }
  return { state, validBytes: at, lines };
}

function readLog(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw new MillraceError('MR_INPUT', `${path}: ${(error as Error).message}`, '', {
      cause: error,
    });
  }
}

/** The state of a store that somebody else may own: for queries and status. Throws MR_STORE_LOG. */
export function readStoreState(storeDir: string): StoreState {
  const path = join(storeDir, LOG_NAME);
  return parseLog(readLog(path), path).state;
}

export async function fsyncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The owner's end of the log. */
export class CommitLog {
  readonly state: StoreState;
  readonly #storeDir: string;
  #handle: FileHandle;
  #bytes: number;
  #lines: number;
  /** Settles when the last append or snapshot has ended, well or not. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Bytes cut off when it was opened: a torn append of a process that died. */
  readonly tornBytes: number;

  private constructor(storeDir: string, handle: FileHandle, parsed: ParsedLog, size: number) {
    this.#storeDir = storeDir;
    this.#handle = handle;
    this.state = parsed.state;
    this.#bytes = parsed.validBytes;
    this.#lines = parsed.lines;
    this.tornBytes = size - parsed.validBytes;
  }

  static async open(storeDir: string): Promise<CommitLog> {
    await mkdir(storeDir, { recursive: true });
    const path = join(storeDir, LOG_NAME);
    const bytes = readLog(path);
    const parsed = parseLog(bytes, path);
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    try {
      await handle.truncate(parsed.validBytes);
      await handle.sync();
      await fsyncFolder(storeDir);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new CommitLog(storeDir, handle, parsed, bytes.length);
  }

  get lines(): number {
    return this.#lines;
  }

  /**
   * Appends one record durably, then applies it. Calls take turns; `build` is called with the state
   * of its turn. When it throws, the log is as it was.
   */
  append(build: (state: StoreState) => CommitRecord): Promise<void> {
    const turn = this.#turn.then(() => this.#append(build(this.state)));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #append(record: CommitRecord): Promise<void> {
    const line = Buffer.from(encodeCommit(record));
    try {
      await this.#handle.truncate(this.#bytes);
      const { bytesWritten } = await this.#handle.write(line, 0, line.length, this.#bytes);
      if (bytesWritten !== line.length) throw shortWrite();
      await this.#handle.sync();
    } catch (error) {
      await this.#cutBack();
      throw error;
    }
    this.#bytes += line.length;
    this.#lines++;
    this.state.apply(record);
  }

  /** Takes a half-written line away; when even that fails, the next append tries again. */
  async #cutBack(): Promise<void> {
    try {
      await this.#handle.truncate(this.#bytes);
      await this.#handle.sync();
    } catch (error) {
      // The disk fails altogether: the append's own error is what the caller reports.
      void error;
    }
  }

  /** Rewrites the log as one line that says the same. */
  snapshot(timeUs: number): Promise<void> {
    const turn = this.#turn.then(() => this.#snapshot(timeUs));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #snapshot(timeUs: number): Promise<void> {
    const { state } = this;
    const record: CommitRecord = {
      version: 1,
      sequence: state.sequence + 1,
      kind: 'snapshot',
      from: state.position,
      to: state.position,
      toOrdinal: state.nextOrdinal,
      timeUs,
      added: [...state.files.values()],
      removed: [],
      ledger: {
        delivered: state.ledger.delivered,
        malformed: state.ledger.malformed,
        filtered: state.ledger.filtered,
        dropped: state.ledger.dropped,
        expired: state.ledger.expired,
      },
    };
    const line = Buffer.from(encodeCommit(record));
    const path = join(this.#storeDir, LOG_NAME);
    const handle = await open(`${path}.tmp`, 'w');
    try {
      await handle.write(line, 0, line.length, 0);
      await handle.sync();
      await rename(`${path}.tmp`, path);
    } catch (error) {
      await handle.close();
      throw error;
    }
    await this.#handle.close();
    this.#handle = handle;
    this.#bytes = line.length;
    this.#lines = 1;
    state.sequence = record.sequence;
    await fsyncFolder(this.#storeDir);
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#handle.close();
  }
}

function shortWrite(): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error('ENOSPC: only a part of the line was written');
  error.code = 'ENOSPC';
  return error;
}
