/**
 * Builds the native addon: native/*.c -> build/millrace.node, with the C compiler alone.
 *
 * Skips when neither the sources nor the flags changed since the last build (a hash beside the
 * result). The result is renamed into place, because a running server has the old file mapped.
 * Used by scripts/setup.mjs; also a command: `node scripts/build-addon.mjs [--force]`.
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
import { join } from 'node:path';
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

/**
 * Builds when something changed.
 * @returns {{ built: boolean, target: string }}; throws an Error with a text for people.
 */
export function buildAddon({ force = false } = {}) {
  const headers = join(ROOT, 'node_modules/node-api-headers/include');
  const target = join(ROOT, 'build/millrace.node');
  const stamp = `${target}.hash`;
  const sources = sourcesOf(join(ROOT, 'native'));
  const hash = hashOf(sources, [...FLAGS, process.env.CC ?? '']);
  const isFresh = existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (isFresh && !force) return { built: false, target };
  if (!existsSync(headers)) {
    throw new Error(`${headers} is missing; run npm ci (or npm run setup) first`);
  }
  const compiler = findCompiler();
  if (compiler === null) throw new Error(`no C compiler was found.\n${COMPILER_REMEDY}`);
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const partial = `${target}.${process.pid}`;
  const files = sources.filter((name) => name.endsWith('.c'));
  try {
    execFileSync(compiler, [...FLAGS, `-I${headers}`, ...files, '-o', partial], {
      stdio: ['ignore', 'inherit', 'pipe'],
      encoding: 'utf8',
    });
  } catch (error) {
    const missing = /fatal error: (\S+\.h): No such file/.exec(error.stderr ?? '');
    const remedy =
      missing === null ? '' : `\nThe header ${missing[1]} is missing.\n${COMPILER_REMEDY}`;
    throw new Error(`${compiler} could not build the addon:\n${error.stderr}${remedy}`);
  }
  renameSync(partial, target);
  writeFileSync(stamp, hash);
  return { built: true, target };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const { built, target } = buildAddon({ force: process.argv.includes('--force') });
    console.log(built ? `built ${target}` : `${target} is up to date`);
  } catch (error) {
    console.error(`build-addon: ${error.message}`);
    process.exitCode = 1;
  }
}
