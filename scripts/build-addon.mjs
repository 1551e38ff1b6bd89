/**
 * Builds the native parts with the C compiler alone: native/*.c -> build/millrace.node, and on
 * x86-64 the guard, native/guard, native/report and native/inspect ->
 * build/millrace-guard.node and build/libmillrace-guard.so.
 *
 * Skips what neither its sources nor the flags changed since its last build (a hash beside the
 * result). A result is renamed into place, because a running server has the old file mapped.
 * Used by scripts/setup.mjs; also a command: `node scripts/build-addon.mjs [--force]`. It needs
 * nothing that a checkout has and an installed package has not:
 * `node node_modules/millrace/scripts/build-addon.mjs`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const FLAGS = [
  '-shared',
  '-fPIC',
  '-O2',
  '-g',
  '-std=gnu11',
  '-fvisibility=hidden',
  '-D_FILE_OFFSET_BITS=64',
  '-Wall',
  '-Wextra',
  '-Werror',
];

/** The first C compiler that answers, or null. `CC` is asked first. */
export function findCompiler() {
  const candidates = [process.env.CC, 'cc', 'gcc', 'clang'];
  for (const name of candidates) {
    if (name && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return name;
  }
  return null;
}

export const COMPILER_REMEDY = [
  'A C compiler and the headers of the C library are needed. Install them with',
  '  Debian, Ubuntu:  sudo apt-get install gcc libc6-dev',
  '  Fedora, RHEL:    sudo dnf install gcc glibc-devel',
  '  Alpine:          sudo apk add gcc musl-dev',
  'or set MILLRACE_NO_ADDON=1 to build and test only the parts that need none.',
].join('\n');

function sourcesOf(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.c') || name.endsWith('.h'))
    .sort()
    .map((name) => join(folder, name));
}

function hashOf(files, flags) {
  const hash = createHash('sha256').update(flags.join('\n'));
  for (const file of files) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

/** What is built here: folders of sources, and flags of its own. */
function targets() {
  const guard = [
    '-pthread',
    '-fno-omit-frame-pointer',
    '-ftls-model=initial-exec',
    '-Wl,-z,nodelete',
  ];
  const all = [{ name: 'millrace.node', folders: ['native'], flags: [] }];
  if (process.arch !== 'x64') return all;
  const core = ['native/guard', 'native/report', 'native/inspect'];
  return [
    ...all,
    { name: 'millrace-guard.node', folders: [...core, 'native/guard-addon'], flags: guard },
    { name: 'libmillrace-guard.so', folders: core, flags: guard },
  ];
}

/**
 * Builds what has changed.
 * @returns {{ built: string[] }} names; throws an Error with a text for people.
 */
export function buildAddon({ force = false } = {}) {
  const built = targets().filter((target) => buildTarget(target, force));
  return { built: built.map(({ name }) => `build/${name}`) };
}

/** Whether it had to be built. */
function buildTarget({ name, folders, flags }, force) {
  const target = join(ROOT, 'build', name);
  const stamp = `${target}.hash`;
  const sources = folders.flatMap((folder) => sourcesOf(join(ROOT, folder)));
  const all = [...FLAGS, ...flags, ...folders.map((folder) => `-I${join(ROOT, folder)}`)];
  const hash = hashOf(sources, [...all, process.env.CC ?? '']);
  const isFresh = existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (isFresh && !force) return false;
  const headers = headersOfNode();
  const compiler = findCompiler();
  if (compiler === null) throw new Error(`no C compiler was found.\n${COMPILER_REMEDY}`);
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const partial = `${target}.${process.pid}`;
  compile(compiler, [...all, `-I${headers}`, ...cFiles(sources), '-o', partial], name);
  renameSync(partial, target);
  writeFileSync(stamp, hash);
  return true;
}

/** Beside this package or in it: npm puts it where it likes. */
function headersOfNode() {
  try {
    const path = createRequire(join(ROOT, 'package.json')).resolve('node-api-headers/package.json');
    return join(dirname(path), 'include');
  } catch {
    throw new Error(
      'the package node-api-headers is not installed. In a checkout: npm run setup; ' +
        'where Millrace is a dependency: npm install',
    );
  }
}

function cFiles(sources) {
  return sources.filter((name) => name.endsWith('.c'));
}

function compile(compiler, parameters, name) {
  try {
    execFileSync(compiler, parameters, { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const missing = /fatal error: (\S+\.h): No such file/.exec(error.stderr ?? '');
    const remedy =
      missing === null ? '' : `\nThe header ${missing[1]} is missing.\n${COMPILER_REMEDY}`;
    throw new Error(`${compiler} could not build ${name}:\n${error.stderr}${remedy}`);
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const { built } = buildAddon({ force: process.argv.includes('--force') });
    console.log(built.length > 0 ? `built ${built.join(', ')}` : 'all is up to date');
  } catch (error) {
    console.error(`build-addon: ${error.message}`);
    process.exitCode = 1;
  }
}
