/**
 * System files: reads /sys and /proc below a root that tests replace by a recorded tree.
 *
 * What is not there is null: half of these files depend on the kernel's configuration, on its
 * version or on what a container shows, and each reader says what it does without.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SystemFiles {
  /** Where the tree begins; '/' on a live system. */
  readonly root: string;
  /** Text without the white space around it; null when it cannot be read. */
  read(path: string): string | null;
  /** Names in a folder; empty when there is none. */
  list(path: string): readonly string[];
  /** Throws what writeFileSync throws: EACCES, EPERM, EIO, ENOENT. */
  write(path: string, text: string): void;
}

/** Files below `root`; paths are given without the slash in front. */
export function systemFiles(root = '/'): SystemFiles {
  return {
    root,
    read(path) {
      try {
        return readFileSync(join(root, path), 'utf8').trim();
      } catch (error) {
        if (isAbsence(error)) return null;
        throw error;
      }
    },
    list(path) {
      try {
        return readdirSync(join(root, path));
      } catch (error) {
        if (isAbsence(error)) return [];
        throw error;
      }
    },
    write(path, text) {
      writeFileSync(join(root, path), text);
    },
  };
}

/** A file of the kernel may go away, be closed to us, or have nothing to say at the moment. */
const ABSENCES = new Set(
  'ENOENT ENOTDIR EISDIR EACCES EPERM ESRCH EIO EINVAL ENODEV ENXIO EOPNOTSUPP'.split(' '),
);

function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ABSENCES.has(code);
}
