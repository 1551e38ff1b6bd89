/**
 * The C yardstick: bench/peers/xmit.c, compiled when its source has changed.
 *
 * WHY         Without a compiler or without the source (a published package) the bench goes on with
 *             what it has, and says so.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLAGS = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];

export interface Yardstick {
  /** Path of the program; null: there is none. */
  readonly program: string | null;
  /** Why there is none; empty when there is. */
  readonly reason: string;
}

/** The nearest folder above this file that has a package.json. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  return folder;
}

export function buildYardstick(root: string = packageRoot()): Yardstick {
  const source = join(root, 'bench/peers/xmit.c');
  if (!existsSync(source)) return missing(`there is no ${source}`);
  const hash = createHash('sha256').update(FLAGS.join(' ')).update(readFileSync(source));
  const folder = join(root, 'build/peers');
  const program = join(folder, `xmit-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return { program, reason: '' };
  const compiler = process.env.CC ?? 'cc';
  const partial = `${program}.${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    return missing((error as Error).message);
  }
  const { status, error, stderr } = spawnSync(compiler, [...FLAGS, source, '-o', partial], {
    encoding: 'utf8',
  });
  if (error !== undefined) return missing(`${compiler}: ${error.message}`);
  if (status !== 0) return missing(`${compiler} failed: ${stderr.trim().split('\n')[0]}`);
  renameSync(partial, program);
  return { program, reason: '' };
}

function missing(reason: string): Yardstick {
  return { program: null, reason };
}
