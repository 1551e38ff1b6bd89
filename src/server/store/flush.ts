/**
 * Flush: a sealed generation becomes files and one commit record.
 *
 * WHY         The order of the steps is the guarantee: whatever step a crash falls behind, the log
 *             names only whole files, and the position in it is the end of what those files hold.
 *               1 write all files as .tmp, fsync each   2 rename each    3 fsync the folders
 *               4 journal on disk up to `to`            5 append the commit record, fsync
 *             Files are plain pages that lie ready in memory (plain-file.ts); they are written side
 *             by side: a step of the event loop may wait for a turn of decoding.
 * OWNERSHIP   One flush at a time; the log's lock is shared with compaction and retention.
 * INVARIANTS  Until step 5 nothing exists for readers. A flush that throws may be called again with
 *             the same generation: files are written anew, under the same names.
 * REFUSED     DuckDB here (7 to 10 ms a table and flush); it compresses when files are merged.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { wallUs } from '../../toolkit/base/clock.ts';
import type { CommitLog } from './commit-log.ts';
import { fsyncFolder } from './commit-log.ts';
import { partitionPath, type StoredFile } from './commit-record.ts';
import type { DuckWriter } from './duckdb.ts';
import type { SealedGeneration } from './generation.ts';
import type { StoreOptions } from './options.ts';
import type { PlainFile } from './plain-file.ts';

/** Called before and after the steps of a commit; tests throw or copy the folder here. */
export type StepHook = (step: string) => void;

export interface CommitContext {
  readonly storeDir: string;
  readonly duck: DuckWriter;
  readonly log: CommitLog;
  readonly options: StoreOptions;
  /** Resolves when the journal is on disk up to this position. */
  readonly syncJournal: (position: number) => Promise<void>;
  readonly onStep: StepHook;
}

/** Below IOV_MAX (1,024) of Linux. */
const WRITE_PARTS_MAX = 512;

/** A file that is written but not committed. */
export interface PendingFile {
  readonly file: StoredFile;
  readonly tmpPath: string;
}

export async function fsyncFile(path: string): Promise<number> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** All pieces, in order; the system may take fewer bytes than it was given. */
async function writeParts(handle: FileHandle, parts: readonly Uint8Array[]): Promise<number> {
  let total = 0;
  let rest = parts.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    const given = rest.slice(0, WRITE_PARTS_MAX);
    let { bytesWritten } = await handle.writev(given);
    total += bytesWritten;
    let whole = 0;
    while (whole < given.length && bytesWritten >= given[whole]!.length) {
      bytesWritten -= given[whole++]!.length;
    }
    rest = rest.slice(whole);
    if (bytesWritten > 0) rest[0] = rest[0]!.subarray(bytesWritten);
  }
  return total;
}

async function writePlain(path: string, file: PlainFile): Promise<number> {
  const handle = await open(path, 'w');
  try {
    const bytes = await writeParts(handle, file.parts());
    await handle.sync();
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Makes the folders above `path`. */
export function makeFolders(storeDir: string, path: string): void {
  mkdirSync(dirname(join(storeDir, path)), { recursive: true });
}

/** Renames all, then fsyncs every folder on the way once. */
export async function publishFiles(
  storeDir: string,
  files: readonly PendingFile[],
  onStep: StepHook,
): Promise<void> {
  const folders = new Set<string>();
  for (const { file, tmpPath } of files) {
    renameSync(tmpPath, join(storeDir, file.path));
    onStep(`renamed:${file.path}`);
    for (let path = dirname(file.path); path !== '.'; path = dirname(path)) folders.add(path);
  }
  folders.add('.');
  await Promise.all([...folders].map((folder) => fsyncFolder(join(storeDir, folder))));
  onStep('folders-synced');
}

async function writeFiles(
  context: CommitContext,
  generation: SealedGeneration,
): Promise<PendingFile[]> {
  const { storeDir, onStep } = context;
  const writes = generation.files.map(async (plain, i): Promise<PendingFile> => {
    const name = `${generation.from}-${generation.to}-${i}.parquet`;
    const path = `${partitionPath(plain.table.name, generation.hour)}/${name}`;
    makeFolders(storeDir, path);
    const tmpPath = join(storeDir, `${path}.tmp`);
    const bytes = await writePlain(tmpPath, plain);
    onStep(`written:${path}`);
    return { file: { path, rows: plain.rowCount, bytes, groups: 1, plain: true }, tmpPath };
  });
  // All are waited for, so that a second try never meets a write of the first.
  const settled = await Promise.allSettled(writes);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Writes and commits a generation that has records (or only a position to record). */
export async function flushGeneration(
  context: CommitContext,
  generation: SealedGeneration,
): Promise<void> {
  const { storeDir, log, onStep } = context;
  onStep('flush-started');
  const files = await writeFiles(context, generation);
  await publishFiles(storeDir, files, onStep);
  await context.syncJournal(generation.to);
  onStep('journal-synced');
  await log.append((state) => ({
    version: 1,
    sequence: state.sequence + 1,
    kind: 'flush',
    from: generation.from,
    to: generation.to,
    toOrdinal: generation.toOrdinal,
    timeUs: wallUs(),
    added: files.map(({ file }) => file),
    removed: [],
    ledger: generation.ledger,
  }));
  onStep('committed');
}
