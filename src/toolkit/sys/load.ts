/**
 * Loads the native addon, once per thread; the only file that does.
 *
 * Order: prebuilds/linux-<arch>[-musl]/millrace.node (a published package), then
 * build/millrace.node (a checkout). The file is loaded at the first call of a function that needs
 * it, so that the parts of Millrace that need none also import without one. A failed load says
 * what was found, what is needed and what to type (MR_ADDON).
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../base/errors.ts';
import { NATIVE_FUNCTION_NAMES, type NativeAddon } from './native-functions.ts';

const require = createRequire(import.meta.url);

let loaded: NativeAddon | undefined;

/** The addon of this thread; throws MR_ADDON with an explanation when it cannot be had. */
export function native(): NativeAddon {
  loaded ??= loadAddon();
  return loaded;
}

/** For faults.ts alone: what native() answers from now on, in this thread. */
export function replaceNative(addon: NativeAddon): void {
  loaded = addon;
}

/**
 * The reason to skip a test that needs the addon, or false. Only MILLRACE_NO_ADDON=1 is a reason:
 * an addon that is missing by accident makes such a test fail.
 */
export function addonSkipReason(): string | false {
  if (process.env.MILLRACE_NO_ADDON !== '1') return false;
  return 'needs the native addon, which MILLRACE_NO_ADDON=1 switches off';
}

export interface LoadOptions {
  /** Folder of the package: the one with package.json. */
  readonly root?: string;
  /** Environment; only MILLRACE_NO_ADDON is read. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Loads without the cache of native(). Errors: MR_ADDON. */
export function loadAddon(options: LoadOptions = {}): NativeAddon {
  return loadNativeFile('millrace.node', NATIVE_FUNCTION_NAMES, options) as NativeAddon;
}

/**
 * One of the package's addons, with the functions that it must have. Errors: MR_ADDON.
 */
export function loadNativeFile(
  file: string,
  names: readonly string[],
  options: LoadOptions = {},
): unknown {
  const { root = packageRoot(), env = process.env } = options;
  if (env.MILLRACE_NO_ADDON === '1') {
    throw new MillraceError(
      'MR_ADDON',
      'the native addon is switched off by MILLRACE_NO_ADDON=1',
      'unset MILLRACE_NO_ADDON; without the native addon only the pure parts work',
    );
  }
  if (process.platform !== 'linux') {
    throw new MillraceError('MR_ADDON', `Millrace needs Linux, found ${process.platform}`);
  }
  const failures: string[] = [];
  for (const path of addonPaths(root, file)) {
    if (!existsSync(path)) {
      failures.push(`${path}: not there`);
      continue;
    }
    try {
      return checkAddon(require(path) as Record<string, unknown>, names);
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new MillraceError(
    'MR_ADDON',
    `the native addon for linux-${process.arch}, Node.js ${process.version}, cannot be loaded;` +
      ` tried\n    ${failures.join('\n    ')}`,
    `build it with: ${buildCommand(root)}` +
      ' (needs a C compiler; Debian: apt-get install gcc libc6-dev)',
  );
}

/** A checkout has the lock file, which npm never packs: an installed package builds on the spot. */
export function buildCommand(root: string, cwd = process.cwd()): string {
  if (existsSync(join(root, 'package-lock.json'))) return 'npm run setup';
  const script = join(root, 'scripts/build-addon.mjs');
  const short = relative(cwd, script);
  return `node ${short.startsWith('..') ? script : short}`;
}

/** The places that are tried, in order. */
export function addonPaths(root: string, file = 'millrace.node'): readonly string[] {
  const prebuilds = join(root, 'prebuilds');
  const built = join(root, 'build', file);
  if (!existsSync(prebuilds)) return [built];
  const libc = isMusl() ? '-musl' : '';
  return [join(prebuilds, `linux-${process.arch}${libc}`, file), built];
}

function isMusl(): boolean {
  const report = process.report?.getReport() as
    | { header?: { glibcVersionRuntime?: string } }
    | undefined;
  return report?.header?.glibcVersionRuntime === undefined;
}

function checkAddon(addon: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  const missing = names.filter((name) => typeof addon[name] !== 'function');
  if (missing.length > 0) {
    throw new Error(`built from other sources: it lacks ${missing.join(', ')}`);
  }
  // The exports of an addon are a dictionary to V8; a plain object's functions are found at once.
  return { ...addon };
}

/** The nearest folder above this file that has a package.json: the same built and unbuilt. */
function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  let folder = here;
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) {
      throw new MillraceError('MR_ADDON', `no package.json in any folder above ${here}`);
    }
    folder = above;
  }
  return folder;
}
