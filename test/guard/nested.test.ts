/**
 * A fault while the report of a fault of JavaScript is being written: its text goes into a pipe
 * that is full, so the handler stands in the middle of it, and SIGSEGV is sent. (Its own faults:
 * core-faults.c; memory of others is read by a call that fails where a load would fault.)
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../src/toolkit/base/clock.ts';
import { guardSkipReason } from './guarded-child.ts';

const options = { skip: guardSkipReason() };
const folder = mkdtempSync(join(tmpdir(), 'guard-nested-'));
after(() => rmSync(folder, { recursive: true }));
const DOOR = new URL('../../src/toolkit/guard/index.js', import.meta.url).href;
const PROGRAM = `import(${JSON.stringify(DOOR)}).then((guard) => {
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  guard.protect(bytes, { label: 'table' });
  function scribble() { bytes[8000] = 42; }
  scribble();
});`;
const SIGUSR1_BIT = 1n << 9n;
const WRITE = '1';
/** WRITER_WAIT_MS of handler.c: the last words wait no longer for room in a pipe. */
const PATIENCE_MS = 1000;

/** A pipe without room, and what empties it. */
function fullPipe(name: string): { readonly fd: number; read(): string } {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  const own = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(own, '.'.repeat(4096));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
  const fd = openSync(path, 'w'); // this one waits
  const read = (): string => {
    const bytes = Buffer.alloc(1 << 20);
    return bytes.toString('latin1', 0, readSync(own, bytes)).replace(/^\.+/, '');
  };
  return { fd, read };
}

/** The handler holds back all signals but the synchronous ones. */
async function waitForHandler(pid: number): Promise<void> {
  for (;;) {
    const [, mask = '0'] = /^SigBlk:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
    const [call] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ');
    if ((BigInt(`0x${mask}`) & SIGUSR1_BIT) !== 0n && call === WRITE) return;
    await sleep(5);
  }
}

interface Outcome {
  readonly end: readonly [number | null, string | null];
  readonly text: string;
  /** From before the signal until the pipe had room again. */
  readonly readMs: number;
}

async function faultWithin(pipe: ReturnType<typeof fullPipe>, isRead: boolean): Promise<Outcome> {
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, '-e', PROGRAM];
  const child = spawn('sh', shell, {
    stdio: ['ignore', 'ignore', pipe.fd],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  closeSync(pipe.fd);
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  await waitForHandler(child.pid!);
  const startMs = monotonicMs();
  process.kill(child.pid!, 'SIGSEGV');
  const before = isRead ? pipe.read() : '';
  const readMs = monotonicMs() - startMs;
  const end = await ended;
  const isInTime = isRead && readMs < PATIENCE_MS;
  return { end, readMs, text: isInTime ? before + pipe.read() : '' };
}

test('a fault within a report of JavaScript, a reader that comes back', options, async () => {
  let outcome = await faultWithin(fullPipe('read'), true);
  // Held up for so long it is one that never does: once more.
  for (let time = 1; outcome.readMs >= PATIENCE_MS; time++)
    outcome = await faultWithin(fullPipe(`read-${time}`), true);
  assert.deepEqual(outcome.end, [null, 'SIGSEGV']);
  const { text } = outcome;
  assert.match(text, /millrace guard: a fault inside of the handler; thread \d+, while writing/);
  assert.match(text, /of the fault at 0x[0-9a-f]+ \(pc 0x[0-9a-f]+\) in table\n/);
});

test('a fault within a report of JavaScript, a reader that never comes', options, async () => {
  const { end } = await faultWithin(fullPipe('unread'), false);
  assert.deepEqual(end, [null, 'SIGSEGV']);
});
