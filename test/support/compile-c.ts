/**
 * C programs that test the guard's core: compiled on demand into build/test-guard, with the sources
 * of native/guard, native/report and native/inspect, for what cannot be asked from JavaScript.
 *
 * WHY  Most of these programs are made of the same 28 sources with the same flags. Each source is
 *      compiled once for its flags, into build/test-guard/objects, and linked into all of them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = join(ROOT, 'build/test-guard');
const FOLDERS = ['native/guard', 'native/report', 'native/inspect'].map((folder) =>
  join(ROOT, folder),
);
const INCLUDES = FOLDERS.map((folder) => `-I${folder}`);
const FLAGS = ['-g', '-Wall', '-Wextra', '-Werror', '-pthread', ...INCLUDES];

/** Flags for the linker alone: the object is the same without them. */
const IS_LINK_FLAG = /^(?:-Wl,|-no-pie$|-L|-l)/;
/** Names for the program's own source; the core's know none. */
const IS_DEFINITION = /^-D/;

/** Names of the core's sources. */
export const CORE_SOURCES: readonly string[] = coreFiles('.c').map((path) => basename(path));

export interface CompileOptions {
  /** Further flags: `-O2`, `-fsanitize=address`, `-shared` ... */
  readonly flags?: readonly string[];
  /** Link the core's own sources too: all by default. */
  readonly core?: 'all' | 'none' | readonly string[];
  readonly compiler?: string;
}

/** Whether this compiler is here, and MILLRACE_NO_ADDON=1 does not ask for the pure parts alone. */
export function hasCompiler(compiler = process.env.CC ?? 'cc'): boolean {
  if (process.env.MILLRACE_NO_ADDON === '1') return false;
  return spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status === 0;
}

/**
 * Path of the program made of `test/guard/<name>`, compiled when a source or flag has changed;
 * null: there is no compiler, no x86-64 to run it on, or MILLRACE_NO_ADDON=1 asks for the pure
 * parts.
 */
export function compileC(name: string, options: CompileOptions = {}): string | null {
  const compiler = options.compiler ?? process.env.CC ?? 'cc';
  if (process.arch !== 'x64' || !hasCompiler(compiler)) return null;
  const source = join(ROOT, 'test/guard', name);
  const core = coreSources(options.core ?? 'all');
  const standard = name.endsWith('.cpp') ? '-std=gnu++17' : '-std=gnu11';
  const words = [compiler, standard, ...FLAGS, ...(options.flags ?? [])];
  const hash = hashOf(words, [source, ...core, ...coreFiles('.h'), ...coreFiles('.c')]);
  const target = join(FOLDER, `${basename(name, '.c')}-${hash}`);
  if (existsSync(target)) return target;
  const own = words.filter((word) => !IS_LINK_FLAG.test(word) && !IS_DEFINITION.test(word));
  const objects = startingAt(core, hash).map((path) => compileObject(path, own));
  make(words, [source, ...objects.toSorted()], target);
  return target;
}

/** Path of the object of one of the core's sources. */
function compileObject(source: string, words: readonly string[]): string {
  const hash = hashOf(words, [source, ...coreFiles('.h')]);
  const target = join(FOLDER, 'objects', `${basename(source, '.c')}-${hash}.o`);
  if (!existsSync(target)) make([...words, '-c'], [source], target);
  return target;
}

/**
 * Files run at the same time: each program begins with another source, and finds those of others.
 */
function startingAt(sources: readonly string[], hash: string): string[] {
  const at = sources.length === 0 ? 0 : Number.parseInt(hash.slice(0, 4), 16) % sources.length;
  return [...sources.slice(at), ...sources.slice(0, at)];
}

/** Whole or not at all: somebody else may make the same. */
function make([compiler, ...flags]: readonly string[], inputs: readonly string[], target: string) {
  mkdirSync(dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}`;
  const libraries = flags.includes('-c') ? [] : ['-ldl', '-lm'];
  execFileSync(compiler!, [...flags, ...inputs, '-o', partial, ...libraries], { stdio: 'inherit' });
  renameSync(partial, target);
}

function hashOf(words: readonly string[], files: readonly string[]): string {
  const hash = createHash('sha256').update(words.join('\n'));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

function coreSources(core: 'all' | 'none' | readonly string[]): string[] {
  if (core === 'none') return [];
  return coreFiles('.c').filter((path) => core === 'all' || core.includes(basename(path)));
}

function coreFiles(ending: string): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => join(folder, name)),
  ).toSorted();
}
