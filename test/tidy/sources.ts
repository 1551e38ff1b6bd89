/**
 * Sources: the files of the repository that the tidy and dependency tests look at.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Scan, scanSource } from './scanner.ts';

/** The repository's root; this file runs from dist/test/tidy. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Generated data files: exempt from the limits of length, by list. */
export const GENERATED: readonly string[] = ['src/rdr/catalog-data.ts'];

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'build', '.git', '.library']);

export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly scan: Scan;
  readonly isTest: boolean;
  readonly isGenerated: boolean;
}

/** Every path under `folder` (from the root), without what is built or installed. */
export function listFiles(folder = '.'): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const isData = entry.name.startsWith('millrace-');
      if (!SKIPPED_FOLDERS.has(entry.name) && !isData) found.push(...listFiles(path));
    } else if (entry.isFile()) {
      found.push(relative(ROOT, join(ROOT, path)));
    }
  }
  return found.sort();
}

export function makeSource(path: string, text: string): SourceFile {
  return {
    path,
    text,
    scan: scanSource(text),
    isTest: /\.test(?:-data)?\.ts$/.test(path),
    isGenerated: GENERATED.includes(path),
  };
}

/** TypeScript, JavaScript and C of the repository. */
export function readSources(): SourceFile[] {
  return listFiles()
    .filter((path) => /\.(?:ts|mjs|c|h)$/.test(path))
    .map((path) => makeSource(path, readFileSync(join(ROOT, path), 'utf8')));
}
