/**
 * C programs of test/peers: built on demand into build/test-peers, for what no API of Node.js does.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FLAGS = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];

/** Path of the program, compiled when its source has changed; null: there is no C compiler. */
export function buildTestPeer(name: 'drop-bridge'): string | null {
  const source = join(ROOT, 'test/peers', `${name}.c`);
  const folder = join(ROOT, 'build/test-peers');
  const stamp = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const target = join(folder, `${name}-${stamp}`);
  if (existsSync(target)) return target;
  const compiler = process.env.CC ?? 'cc';
  if (spawnSync(compiler, ['--version']).status !== 0) return null;
  mkdirSync(folder, { recursive: true });
  const partial = `${target}.${process.pid}`;
  execFileSync(compiler, [...FLAGS, source, '-o', partial], { stdio: 'inherit' });
  renameSync(partial, target);
  return target;
}
