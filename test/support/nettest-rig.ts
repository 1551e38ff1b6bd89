/**
 * nettest as a user runs it: a receiver and a sender, each a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CliResult } from './run-cli.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** A pair that hangs is killed: the test then sees code null. */
const TIMEOUT_MS = 60_000;

export interface Started {
  readonly child: ChildProcess;
  readonly done: Promise<CliResult>;
}

/** Starts `millrace nettest ...`; `onErrorText` sees what stderr holds so far. */
export function startNettest(
  words: readonly string[],
  onErrorText: (text: string) => void = () => {},
): Started {
  const child = spawn(process.execPath, [MAIN, 'nettest', ...words], {
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (piece: Buffer) => out.push(piece));
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
    onErrorText(stderr);
  });
  const done = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(out),
    stderr,
  }));
  return { child, done };
}

/** Starts `millrace nettest ...` and waits until its stderr has `text`, or it has ended. */
export async function startUntil(words: readonly string[], text: string): Promise<Started> {
  let hear: (() => void) | undefined;
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const started = startNettest(words, (stderr) => {
    if (stderr.includes(text)) hear?.();
  });
  await Promise.race([heard, started.done]);
  return started;
}

export interface Receiver extends Started {
  readonly port: number;
}

/** A receiver that waits on a port of its own. Rejects when it ends before. */
export async function startRecv(words: readonly string[], host = '127.0.0.1'): Promise<Receiver> {
  let onPort: ((port: number) => void) | undefined;
  const listening = new Promise<number>((resolve) => {
    onPort = resolve;
  });
  const started = startNettest(['recv', ...words, host, '0'], (text) => {
    const found = /listens on port (\d+)/.exec(text);
    if (found !== null && text.includes('Waiting for connect')) onPort?.(Number(found[1]));
  });
  const early = started.done.then(({ stderr }) => {
    throw new Error(`recv ended before it listened: ${stderr}`);
  });
  const port = await Promise.race([listening, early]);
  // From here on the end is what callers wait for.
  early.catch(() => {});
  return { ...started, port };
}

export interface Pair {
  readonly xmit: CliResult;
  readonly recv: CliResult;
  readonly port: number;
}

/** Runs both over one IP address until they end. */
export async function runPair(
  recvWords: readonly string[],
  xmitWords: readonly string[],
  host = '127.0.0.1',
): Promise<Pair> {
  const receiver = await startRecv(recvWords, host);
  const sender = startNettest(['xmit', ...xmitWords, host, String(receiver.port)]);
  const xmit = await sender.done;
  const recv = await receiver.done;
  return { xmit, recv, port: receiver.port };
}

/** Both outputs and codes, for the message of a failed assertion. */
export function describePair({ xmit, recv }: Pair): string {
  const show = (name: string, result: CliResult): string =>
    `${name} ended with ${result.code}\n${result.stdout.toString()}${result.stderr}`;
  return `${show('xmit', xmit)}\n${show('recv', recv)}`;
}
