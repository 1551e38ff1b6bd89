/**
 * Data folder: made, checked and locked before anything else happens.
 *
 * WHY         Two servers on one folder would write the same positions: flock(2) on `lock` belongs
 *             to one process and ends with it, however it ends.
 * OWNERSHIP   The supervisor holds the lock's fd until close.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MillraceError } from '../toolkit/base/errors.ts';
import { closeFd, EAGAIN, errnoName, flockExclusive, openFile } from '../toolkit/sys/index.ts';

export interface DataFolder {
  readonly path: string;
  readonly journal: string;
  readonly store: string;
  /** Of the forwarder's channels. */
  readonly positions: string;
  close(): void;
}

const PROBE_BYTES = 4096;

/** Throws MR_DATA_ACCESS, MR_DATA_LOCKED or MR_DISK_FULL; nothing in the folder is changed then. */
export function openDataFolder(path: string): DataFolder {
  const folder = resolve(path);
  const journal = join(folder, 'journal');
  const store = join(folder, 'store');
  const positions = join(folder, 'positions');
  try {
    for (const each of [folder, journal, store, positions]) {
      mkdirSync(each, { recursive: true, mode: 0o750 });
    }
  } catch (error) {
    throw accessError(folder, error as NodeJS.ErrnoException);
  }
  const fd = openFile(join(folder, 'lock'), ['create', 'readWrite'], 0o640);
  if (fd < 0) {
    const code = errnoName(fd);
    throw accessError(
      folder,
      Object.assign(new Error(`the lock file cannot be opened: ${code}`), { code }),
    );
  }
  const locked = flockExclusive(fd);
  if (locked < 0) {
    closeFd(fd);
    const holder = locked === -EAGAIN ? 'another server owns this data folder' : errnoName(locked);
    throw new MillraceError(
      'MR_DATA_LOCKED',
      `${folder}: ${holder}`,
      'stop the other server, or choose another folder with --data',
    );
  }
  try {
    probe(folder);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return { path: folder, journal, store, positions, close: () => closeFd(fd) };
}

/** A small write tells a full or read-only disk before the server says that it is ready. */
function probe(folder: string): void {
  const path = join(folder, 'probe');
  try {
    writeFileSync(path, new Uint8Array(PROBE_BYTES));
  } catch (error) {
    throw accessError(folder, error as NodeJS.ErrnoException);
  } finally {
    rmSync(path, { force: true });
  }
}

function accessError(folder: string, error: NodeJS.ErrnoException): MillraceError {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new MillraceError(
      'MR_DISK_FULL',
      `${folder}: no space left on the device`,
      'free some space, or choose a folder on another disk with --data',
      { cause: error },
    );
  }
  return new MillraceError(
    'MR_DATA_ACCESS',
    `${folder}: ${error.message}`,
    'make the folder writable for this user, or choose another with --data',
    { cause: error },
  );
}
