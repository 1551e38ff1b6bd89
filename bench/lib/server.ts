/**
 * The server under test: a child process on loopback with a data folder of its own.
 *
 * It is driven from outside only: started as `millrace serve`, watched through /api/v1/status,
 * measured through /proc, stopped by SIGTERM. Its output goes to a file that a failure quotes.
 */
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigInput } from '../../src/server/config.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { ROOT, startChild } from './peers.ts';

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 100;

export type Stages = 'frame' | 'journal' | 'decode' | 'latency' | 'all';

export interface Server {
  readonly pid: number;
  /** Where exporters connect, on 127.0.0.1. */
  readonly port: number;
  readonly dataFolder: string;
  status(): Promise<Snapshot>;
  /** SIGTERM, then the exit code; removes the data folder. */
  stop(): Promise<number | null>;
}

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function startServer(
  stages: Stages,
  more: readonly string[] = [],
  program: string = join(ROOT, 'dist/src/cli/main.js'),
  keys: ConfigInput = {},
  node: readonly string[] = [],
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  const [port, httpPort] = [await freePort(), await freePort()];
  const configPath = join(folder, 'config.yaml');
  const dataFolder = join(folder, 'data');
  // JSON is YAML.
  writeFileSync(configPath, JSON.stringify({ stages, ...keys }));
  const parameters = [...node, program, 'serve', '--config', configPath, '--data', dataFolder];
  parameters.push('--listen', `127.0.0.1:${port}`, '--http', `127.0.0.1:${httpPort}`, ...more);
  const logPath = join(folder, 'server.log');
  const child = startChild(process.execPath, parameters);
  const log = createWriteStream(logPath);
  child.stdout!.pipe(log, { end: false });
  child.stderr!.pipe(log, { end: false });
  const status = async (): Promise<Snapshot> => {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/api/v1/status`);
    if (!answer.ok) throw new Error(`status answered ${answer.status}`);
    return (await answer.json()) as Snapshot;
  };
  try {
    await waitUntilUp(child, status);
  } catch (error) {
    child.kill('SIGKILL');
    const text = readFileSync(logPath, 'utf8').slice(-2000);
    removeFolder();
    throw new MillraceError('MR_CONNECT', `the server did not start: ${String(error)}\n${text}`);
  }
  const stop = async (): Promise<number | null> => {
    const code = await stopChild(child);
    log.end();
    process.off('exit', removeFolder);
    removeFolder();
    return code;
  };
  return { pid: child.pid!, port, dataFolder, status, stop };
}

async function waitUntilUp(child: ChildProcess, status: () => Promise<Snapshot>): Promise<void> {
  const limit = performance.now() + START_TIMEOUT_MS;
  let last: unknown = 'no answer';
  while (performance.now() < limit) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    try {
      const { state } = await status();
      if (state === 'running') return;
      last = `it is ${state}`;
    } catch (error) {
      last = error;
    }
    await sleep(POLL_MS);
  }
  throw last;
}

async function stopChild(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  const code = await ended;
  clearTimeout(timer);
  return code;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
