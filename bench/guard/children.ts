/**
 * Programs that the guard bench runs to their end: the C peer, and subjects in Node.js.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { buildPeer } from '../lib/peers.ts';

const SUBJECT = fileURLToPath(new URL('subject.js', import.meta.url));
const TIMEOUT_MS = 120_000;

export interface Ended {
  readonly seconds: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** From its start to its end, reports included. `ulimit -c 0`: no time for core dumps. */
export async function runTimed(command: readonly string[]): Promise<Ended> {
  const started = performance.now();
  const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString();
  });
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { seconds: (performance.now() - started) / 1000, code, signal, stdout, stderr };
}

/** Nanoseconds of one, as the last line of a program says. */
function nanosecondsOf(command: readonly string[]): number {
  const [program, ...parameters] = command as [string, ...string[]];
  // What it reports goes nowhere: it is written, and read by nobody.
  const stdio = ['ignore', 'pipe', 'ignore'] as const;
  const { stdout, status, signal } = spawnSync(program, parameters, {
    stdio: [...stdio],
    timeout: TIMEOUT_MS,
  });
  const line = stdout.toString().trim().split('\n').at(-1) ?? '';
  if (status !== 0) {
    throw new MillraceError('MR_INPUT', `${command.join(' ')} ended with ${status ?? signal}`);
  }
  return (JSON.parse(line) as { ns: number }).ns;
}

export type SubjectName = 'continue' | 'once' | 'alias' | 'toggle';

/** In Node.js (bench/guard/subject.ts). */
export function measureSubject(name: SubjectName, count: number): number {
  return nanosecondsOf([process.execPath, SUBJECT, name, String(count)]);
}

/** In C (bench/peers/guard.c): a fault and a single step, or protect and unprotect. */
export function measurePeer(name: 'step' | 'protect', count: number): number {
  return nanosecondsOf([buildPeer('guard'), name, String(count)]);
}
