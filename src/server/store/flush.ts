/**
 * Flush: a sealed generation becomes files and one commit record.
 *
 * WHY         The order of the steps is the guarantee: whatever step a crash falls behind, the log
 *             names only whole files, and the position in it is the end of what those files hold.
 *               1 write all files as .tmp, fsync each   2 rename each    3 fsync the folders
 *               4 journal on disk up to `to`            5 append the commit record, fsync
 *             Files are written side by side: a step of the event loop may wait for a turn of
 *             decoding.
 * OWNERSHIP   One flush at a time; the log's lock is shared with compaction and retention.
 * INVARIANTS  Until step 5 nothing exists for readers. A flush that throws may be called again with
 *             the same generation: files are written anew, under the same names.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { wallUs } from '../../toolkit/base/clock.ts';
import type { CommitLog } from './commit-log.ts';
import { fsyncFolder } from './commit-log.ts';
import { partitionPath, type StoredFile } from './commit-record.ts';
import type { DuckWriter } from './duckdb.ts';
import type { SealedGeneration } from './generation.ts';
import type { StoreOptions } from './options.ts';
import { quoteText } from './tables.ts';

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

/** COPY options of files that DuckDB writes. Measured: docs/decisions/0005-text-into-duckdb.md. */
export function copyOptions(compression: StoreOptions['compression']): string {
  const level = compression === 'zstd' ? ', COMPRESSION_LEVEL 1' : '';
  return (
    `FORMAT parquet, PARQUET_VERSION V2, COMPRESSION ${compression}${level}, ` +
    `DICTIONARY_SIZE_LIMIT 1000, WRITE_BLOOM_FILTER false, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`
  );
}

/** A flush makes one row group; larger results of a merge make several. */
const ROW_GROUP_ROWS = 196_608;

export function groupsOf(rows: number): number {
  return Math.ceil(rows / ROW_GROUP_ROWS);
}

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

async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
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
  const { storeDir, duck, onStep } = context;
  let fileNumber = 0;
  const place = (table: string): { path: string; tmpPath: string } => {
    const name = `${generation.from}-${generation.to}-${fileNumber++}.parquet`;
    const path = `${partitionPath(table, generation.hour)}/${name}`;
    makeFolders(storeDir, path);
    return { path, tmpPath: join(storeDir, `${path}.tmp`) };
  };
  const direct = generation.direct.map(async ({ table, rows, bytes }) => {
    const { path, tmpPath } = place(table);
    await writeBytes(tmpPath, bytes);
    onStep(`written:${path}`);
    return { file: { path, rows, bytes: bytes.length, groups: 1 }, tmpPath };
  });
  // All are waited for, so that a second try never meets a write of the first.
  const settled = await Promise.allSettled(direct);
  const files = settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  const options = copyOptions(context.options.compression);
  for (const staged of generation.staged) {
    const { path, tmpPath } = place(staged.shape.table.name);
    const rows = await duck.run(
      `COPY (${staged.selectSql()}) TO ${quoteText(tmpPath)} (${options}, USE_TMP_FILE false)`,
    );
    if (rows !== staged.rowCount) throw new Error(`COPY wrote ${rows} of ${staged.rowCount} rows`);
    onStep(`written:${path}`);
    const bytes = await fsyncFile(tmpPath);
    files.push({ file: { path, rows, bytes, groups: groupsOf(rows) }, tmpPath });
  }
  return files;
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
