/**
 * Packages: what we depend on, with exact versions, known licences and no code run at install.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENCES = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
  'MIT OR Apache-2.0',
  '(MIT OR CC0-1.0)',
  'MIT AND ISC',
]);

/** Build tools that are not part of what we ship may also be under a weak copyleft. */
const DEVELOPMENT_LICENCES = new Set(['MPL-2.0']);

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly license?: string;
}

export interface PackageFile {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, { readonly default: string }>>;
}

export interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

export function readPackage(root: string): PackageFile {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageFile;
}

export function readLock(root: string): LockFile {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
}

/** Exact versions only: a range would make two installs differ. */
export function checkVersions(file: PackageFile): string[] {
  const all = { ...file.dependencies, ...file.devDependencies };
  return Object.entries(all)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: ${version} is not an exact version`);
}

/** No code of others runs at install, and the lock names no host. */
export function checkLock(lock: LockFile): string[] {
  const found: string[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '') continue;
    if (entry.hasInstallScript === true && !isNeverInstalled(entry)) {
      found.push(`${path}: has an install script`);
    }
    if (entry.resolved !== undefined) found.push(`${path}: names its host ${entry.resolved}`);
  }
  return found;
}

/** fsevents and the like: optional, for another operating system, never on Linux. */
function isNeverInstalled(entry: LockEntry & { readonly os?: readonly string[] }): boolean {
  return entry.optional === true && entry.os !== undefined && !entry.os.includes('linux');
}

/** Licences as the installed packages declare them. */
export function checkLicences(root: string, lock: LockFile): string[] {
  const found: string[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    const file = join(root, path, 'package.json');
    if (path === '' || !existsSync(file)) continue;
    const declared = JSON.parse(readFileSync(file, 'utf8')) as { readonly license?: unknown };
    const licence = typeof declared.license === 'string' ? declared.license : 'none declared';
    const isDevelopment = entry.dev === true && DEVELOPMENT_LICENCES.has(licence);
    if (!LICENCES.has(licence) && !isDevelopment) found.push(`${path}: licence ${licence}`);
  }
  return found;
}
