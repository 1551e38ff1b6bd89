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

for (const isRead of [true, false]) {
  const reader = isRead ? 'a reader that comes back' : 'a reader that never does';
  test(`a fault within a report of JavaScript, ${reader}`, options, async () => {
    const pipe = fullPipe(isRead ? 'read' : 'unread');
    const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, '-e', PROGRAM];
    const child = spawn('sh', shell, {
      stdio: ['ignore', 'ignore', pipe.fd],
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    closeSync(pipe.fd);
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
    await waitForHandler(child.pid!);
    let text = '';
    process.kill(child.pid!, 'SIGSEGV');
    if (isRead) text = pipe.read();
    assert.deepEqual(await ended, [null, 'SIGSEGV']);
    if (!isRead) return;
    text += pipe.read();
    assert.match(text, /millrace guard: a fault inside of the handler; thread \d+, while writing/);
    assert.match(text, /of the fault at 0x[0-9a-f]+ \(pc 0x[0-9a-f]+\) in table\n/);
  });
}
