/**
 * Data folder: made, checked and locked before anything else happens.
 *
 * WHY         Two servers on one folder would write the same positions: flock(2) on `lock` belongs
 *             to one process and ends with it, however it ends.
 * LOCK FILE   Who holds it, for people and for `millrace reload`: the process id, then `SIGHUP`
 *             once that signal is a reload and not the end of the process. The lock is the truth:
 *             what stands in a file without one is of a server that was killed.
 * OWNERSHIP   The supervisor holds the lock's fd until close.
 */
import { ftruncateSync, mkdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MillraceError } from '../toolkit/base/errors.ts';
import { closeFd, EAGAIN, errnoName, flockExclusive, openFile } from '../toolkit/sys/index.ts';

export interface DataFolder {
  readonly path: string;
  readonly journal: string;
  readonly store: string;
  /** Of the forwarder's channels. */
  readonly positions: string;
  /** SIGHUP reloads from now on, for whoever reads the lock file. */
  takesHangup(): void;
  close(): void;
}

/** The server that owns a data folder. */
export interface FolderOwner {
  readonly pid: number;
  readonly takesHangup: boolean;
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
  writeOwner(fd, `${process.pid}\n`);
  return {
    path: folder,
    journal,
    store,
    positions,
    takesHangup: () => writeOwner(fd, `${process.pid} SIGHUP\n`),
    close: () => {
      ftruncateSync(fd, 0);
      closeFd(fd);
    },
  };
}

function writeOwner(fd: number, text: string): void {
  ftruncateSync(fd, 0);
  writeSync(fd, text, 0);
}

/** The server that runs on a data folder, or null. Throws MR_DATA_ACCESS. */
export function findOwner(path: string): FolderOwner | null {
  const file = join(resolve(path), 'lock');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw accessError(resolve(path), error as NodeJS.ErrnoException);
  }
  const match = /^(\d+)( SIGHUP)?\n/.exec(text);
  // Only a lock that seems to be held is tried: a server that starts must not find it taken.
  if (match === null || !isAlive(Number(match[1])) || !isLocked(file)) return null;
  return { pid: Number(match[1]), takesHangup: match[2] !== undefined };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isLocked(file: string): boolean {
  const fd = openFile(file, ['read']);
  if (fd < 0) return true;
  const locked = flockExclusive(fd);
  closeFd(fd);
  return locked === -EAGAIN;
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
