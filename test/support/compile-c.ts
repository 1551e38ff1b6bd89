/**
 * C programs that test the guard's core: compiled on demand into build/test-guard, with the sources
 * of native/guard, native/report and native/inspect, for what cannot be asked from JavaScript.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDERS = ['native/guard', 'native/report', 'native/inspect'].map((folder) =>
  join(ROOT, folder),
);
const INCLUDES = FOLDERS.map((folder) => `-I${folder}`);
const FLAGS = ['-g', '-Wall', '-Wextra', '-Werror', '-pthread', ...INCLUDES];

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
  const core = coreSources(options.core ?? 'all');
  const sources = [join(ROOT, 'test/guard', name), ...core];
  const standard = name.endsWith('.cpp') ? '-std=gnu++17' : '-std=gnu11';
  const words = [compiler, standard, ...FLAGS, ...(options.flags ?? [])];
  const hash = createHash('sha256').update(words.join('\n'));
  for (const file of [...sources, ...coreFiles('.h'), ...coreFiles('.c')])
    hash.update(readFileSync(file));
  const folder = join(ROOT, 'build/test-guard');
  const target = join(folder, `${basename(name, '.c')}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  const partial = `${target}.${process.pid}`;
  const parameters = [...words.slice(1), ...sources, '-o', partial, '-ldl', '-lm'];
  execFileSync(compiler, parameters, { stdio: 'inherit' });
  renameSync(partial, target);
  return target;
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
