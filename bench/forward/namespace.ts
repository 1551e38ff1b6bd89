/**
 * A network namespace for the bench, in which every socket has the same congestion control.
 *
 * WHY        BBR paces by a timer: on loopback it measures itself, and charges the work to whom the
 *            timer meets. Which one the forwarder's sockets have is the system's business and no
 *            key of the configuration; so the bench runs itself again where the system says reno.
 * REFUSED    Setting the machine's own for the time of a run: it is everybody's.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import type { BenchResult, BenchRow } from '../lib/result.ts';

const CONGESTION = 'reno';
const CONGESTION_PATH = '/proc/sys/net/ipv4/tcp_congestion_control';
/** Set in the program that runs in the namespace. */
const MARK = 'MILLRACE_BENCH_NAMESPACE';
const SET_UP = `ip link set lo up && echo ${CONGESTION} > ${CONGESTION_PATH} && exec "$@"`;

/** Of new sockets here. */
export function congestionControl(): string {
  return readFileSync(CONGESTION_PATH, 'utf8').trim();
}

/** True where this is not yet the namespace, and it takes one to have the same on all sockets. */
export function needsNamespace(): boolean {
  return process.env[MARK] === undefined && congestionControl() !== CONGESTION;
}

/** In the namespace: ends this program when the one that started it is gone. */
export function endWithParent(): void {
  if (process.env[MARK] === undefined) return;
  process.stdin.once('end', () => process.exit(1));
  process.stdin.resume();
  process.stdin.unref();
}

/**
 * The same command in a namespace: its rows, or a sentence that says why there can be none here.
 * Throws when the bench fails there: it must not be tried elsewhere until it gives a figure.
 */
export async function runInNamespace(parameters: readonly string[]): Promise<BenchRow[] | string> {
  const { code: refusal } = await runThere(['true'], 'ignore');
  if (refusal !== 0) return `no namespace of its own (unshare --net: ${refusal})`;
  const bench = [process.execPath, process.argv[1]!, ...parameters, '--json'];
  const { code, text } = await runThere(bench, 'inherit');
  if (code === 0) return [...(JSON.parse(text) as BenchResult).rows];
  throw new MillraceError('MR_INPUT', `the bench ended with ${code} in its network namespace`);
}

async function runThere(command: readonly string[], errors: 'ignore' | 'inherit') {
  const child = spawn('unshare', ['--net', 'sh', '-c', SET_UP, 'sh', ...command], {
    stdio: ['pipe', 'pipe', errors],
    env: { ...process.env, [MARK]: '1' },
  });
  let text = '';
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString();
  });
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', resolve);
  });
  return { code, text };
}
