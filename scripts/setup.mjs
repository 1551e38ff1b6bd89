/**
 * Setup: makes a checkout ready to run. `npm run setup`; start, demo, test and bench call it first.
 *
 * WHY         Two commands must work on a fresh clone, and cost nothing when nothing has changed.
 * STEPS       1. Node.js version  2. npm ci, when what is installed is not what the lock file says
 *             3. the native addon  4. with --build: tsc into dist/  5. the live page into dist/web
 * INVARIANTS  Idempotent: a step is skipped when a hash of its inputs equals that of its last run.
 *             A step that fails says what is missing and what to type, and ends with exit code 1.
 * OPTIONS     --build builds too, --quiet prints only what is done, MILLRACE_NO_ADDON=1 leaves the
 *             addon out (the pure parts still build and pass their tests).
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NODE_NEEDED = [20, 19];
const SOURCE_FOLDERS = ['src', 'test', 'bench', 'examples'];

const isQuiet = process.argv.includes('--quiet');
const isBuild = process.argv.includes('--build');

/** Ends with a text for people, no stack. */
class SetupError extends Error {}

function say(text) {
  console.log(`setup: ${text}`);
}

function sayUnchanged(text) {
  if (!isQuiet) say(text);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [needMajor, needMinor] = NODE_NEEDED;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  throw new SetupError(
    `Node.js ${process.versions.node} was found, ${NODE_NEEDED.join('.')} or newer is needed.\n` +
      'Install it from https://nodejs.org (or your distribution) and run this again.',
  );
}

/** Runs a program with its output on ours; throws with `failure` when it does not end well. */
function run(program, parameters, failure) {
  const result = spawnSync(program, parameters, { cwd: ROOT, stdio: 'inherit' });
  if (result.error) throw new SetupError(`${failure}\n${program}: ${result.error.message}`);
  if (result.status !== 0) throw new SetupError(failure);
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
}

/** True when every package of the lock file is installed in its version, by npm's own list. */
function isInstalled() {
  const wanted = readJson(join(ROOT, 'package-lock.json'));
  const installed = readJson(join(ROOT, 'node_modules/.package-lock.json'));
  if (installed === null) return false;
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (path === '' || entry.optional) return true;
    return installed.packages[path]?.version === entry.version && existsSync(join(ROOT, path));
  });
}

function installPackages() {
  const folder = join(ROOT, 'node_modules');
  if (existsSync(folder) && lstatSync(folder).isSymbolicLink()) {
    sayUnchanged('node_modules is a link: left as it is');
    return;
  }
  if (isInstalled()) {
    sayUnchanged('packages are installed');
    return;
  }
  say('installing packages (npm ci)');
  run(
    'npm',
    ['ci', '--include=dev', '--no-audit', '--no-fund'],
    'npm ci failed. Its own message is above; it needs the npm registry or a filled npm cache.',
  );
}

async function buildAddon() {
  if (process.env.MILLRACE_NO_ADDON === '1') {
    sayUnchanged('MILLRACE_NO_ADDON=1: no addon; receiving records needs it, the rest does not');
    return;
  }
  const { buildAddon: build } = await import('./build-addon.mjs');
  try {
    const { built } = build();
    if (built.length > 0) say(`built ${built.join(', ')}`);
    else sayUnchanged('the native parts are up to date');
  } catch (error) {
    throw new SetupError(`the native addon cannot be built: ${error.message}`);
  }
}

/** Files below `folder` that fulfil `isWanted`, with paths from the root, sorted. */
function filesOf(folder, isWanted) {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  const found = [];
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesOf(path, isWanted));
    else if (isWanted(path)) found.push(path);
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function hashOf(paths) {
  const hash = createHash('sha256').update(process.versions.node);
  for (const path of paths)
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(ROOT, path)));
  return hash.digest('hex');
}

/** Runs `build` unless the inputs are those of its last good run and `target` is still there. */
function buildWhenChanged(name, inputs, target, build) {
  const stamp = join(ROOT, `dist/.${name}.hash`);
  const hash = hashOf(inputs);
  const isFresh = existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (isFresh && existsSync(join(ROOT, target))) {
    sayUnchanged(`${target} is up to date`);
    return;
  }
  say(`building ${target}`);
  rmSync(stamp, { force: true });
  build();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

/** What tsc made from sources that are gone would still be run as tests. */
function removeStale(sources) {
  const wanted = new Set(sources.map((path) => path.replace(/\.ts$/, '')));
  for (const folder of SOURCE_FOLDERS) {
    for (const path of filesOf(join('dist', folder), () => true)) {
      const source = relative('dist', path).replace(/(?:\.d)?\.[jt]s(?:\.map)?$/, '');
      if (!wanted.has(source)) rmSync(join(ROOT, path));
    }
  }
}

function buildSources() {
  const sources = SOURCE_FOLDERS.flatMap((folder) =>
    filesOf(folder, (path) => path.endsWith('.ts')),
  );
  const inputs = [...sources, 'tsconfig.json', 'package-lock.json'];
  buildWhenChanged('tsc', inputs, 'dist/src', () => {
    run(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'],
      'the TypeScript sources do not compile; the places are above.',
    );
    removeStale(sources);
  });
}

function buildPage() {
  if (!existsSync(join(ROOT, 'web/index.html'))) return;
  const inputs = [...filesOf('web', () => true), 'package-lock.json'];
  buildWhenChanged('web', inputs, 'dist/web', () => {
    run(
      process.execPath,
      [
        join(ROOT, 'node_modules/vite/bin/vite.js'),
        'build',
        '--config',
        'web/vite.config.mjs',
        '--logLevel',
        'error',
      ],
      'the live page cannot be built; the message of Vite is above.',
    );
  });
}

async function main() {
  checkNode();
  installPackages();
  await buildAddon();
  if (!isBuild) {
    sayUnchanged('ready; next: npm run build makes ./millrace, npm run demo shows it');
    return;
  }
  buildSources();
  buildPage();
}

try {
  await main();
} catch (error) {
  console.error(`setup: ${error instanceof SetupError ? error.message : error.stack}`);
  process.exitCode = 1;
}
