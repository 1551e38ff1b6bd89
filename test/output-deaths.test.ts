/**
 * Writers that die with pages in flight, and a thousand that end in every other way.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Prng } from '../src/toolkit/base/prng.ts';
import { PagePool } from '../src/toolkit/pages/index.ts';
import {
  accept4,
  addonSkipReason,
  bind,
  bindTo,
  checked,
  closeFd,
  listen,
  localPort,
  PEER_BYTES,
  socketCreate,
  unixSockaddr,
} from '../src/toolkit/sys/index.ts';
import { DYING_BYTES, DYING_SHAPE, type DyingWorker } from './support/dying-writer.ts';
import { runMany } from './support/many-connections.ts';
import { connectPath, FdReader, LOOPBACK_4, listFds } from './support/output-rig.ts';
import { makePool, pause, refillAll } from './support/output-session.ts';
import { StreamChecker, type StreamFindings } from './support/stamps.ts';

const needsAddon = { skip: addonSkipReason() };
const SCRIPT = fileURLToPath(new URL('./support/dying-writer.js', import.meta.url));

/** What the dying writer sends: each page once. */
const STAMPS = Array.from({ length: DYING_BYTES / DYING_SHAPE.messageBytes }, (_, sequence) => ({
  connection: DYING_SHAPE.connection,
  sequence,
  generation: 1,
}));

async function readBytes(fd: number, bytes: number): Promise<StreamFindings> {
  const reader = new FdReader(fd);
  const checker = new StreamChecker(DYING_SHAPE.messageBytes, STAMPS);
  for (const end = Date.now() + 30_000; checker.findings.bytes < bytes; ) {
    const taken = reader.takeNow(1 << 20);
    checker.feed(taken);
    if (taken.length === 0) await pause(1);
    assert.ok(Date.now() < end, `${checker.findings.bytes} of ${bytes} bytes have come`);
  }
  return checker.findings;
}

interface Listener {
  readonly fd: number;
  readonly target: string;
  close(): void;
}

function listenFor(path: 'tcp4' | 'unix'): Listener {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-dying-'));
  const name = join(folder, 'socket');
  const fd = checked('socket', socketCreate(path === 'unix' ? 'unix' : 4));
  if (path === 'unix') checked('bind', bindTo(fd, unixSockaddr(name)));
  else checked('bind', bind(fd, 4, LOOPBACK_4, 0, 0));
  checked('listen', listen(fd, 1));
  const target = path === 'unix' ? name : String(localPort(fd));
  return {
    fd,
    target,
    close() {
      closeFd(fd);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Starts a writer, kills it when it has written, reads what it had sent. */
async function killWriter(path: 'tcp4' | 'unix', offer: string): Promise<StreamFindings> {
  const listener = listenFor(path);
  const child = spawn(process.execPath, [SCRIPT, listener.target, offer], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const sent = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
      child.once('exit', (code) => reject(new Error(`the writer ended with ${code}`)));
    });
    const reader = checked('accept4', accept4(listener.fd, new Uint8Array(PEER_BYTES)));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    const findings = await readBytes(reader, sent);
    closeFd(reader);
    return findings;
  } finally {
    child.kill('SIGKILL');
    listener.close();
  }
}

test('a process killed in flight: what it sent arrives as it was', needsAddon, async (t) => {
  for (const path of ['tcp4', 'unix'] as const) {
    const { corrupt, pieces, words } = await killWriter(path, 'splice+applicationAck');
    t.diagnostic(`${path}: ${pieces} pages`);
    assert.equal(corrupt, 0, words.join('; '));
    assert.ok(pieces > 10);
  }
  const { corrupt } = await killWriter('tcp4', 'msgZerocopy');
  assert.equal(corrupt, 0);
});

/** A worker that writes pages of our pool onto a socket, until it is ended from outside. */
async function runWorker(pool: PagePool, owner: number, fd: number): Promise<number> {
  const data: DyingWorker = { handle: pool.handle, owner, fd, offer: 'splice+applicationAck' };
  const worker = new Worker(SCRIPT, { workerData: data });
  const sent = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  return sent;
}

test('a worker that ends in flight: its pages are stale, and come back', needsAddon, async (t) => {
  const before = listFds();
  const { writer, reader } = connectPath('tcp4');
  const pool = makePool(DYING_SHAPE, DYING_BYTES);
  const other = new PagePool(pool.handle, 8);
  const sent = await runWorker(pool, 7, writer);
  assert.ok(sent > 65_536);
  const { inFlight } = pool.stats();
  assert.ok(inFlight > 10 && pool.stats().free + inFlight === pool.pageCount);
  other.abandon(7);
  assert.deepEqual([pool.stats().free, pool.stats().stale], [pool.pageCount, inFlight]);
  assert.equal(refillAll(pool), pool.pageCount);
  const { corrupt, pieces, words } = await readBytes(reader, sent);
  t.diagnostic(`${pieces} pages arrived, ${inFlight} were in flight`);
  assert.equal(corrupt, 0, words.join('; '));
  closeFd(writer);
  closeFd(reader);
  // A thread cannot close what it owned once it has been ended: the pipe of its writer is left.
  const left = listFds().filter((fd) => !before.includes(fd));
  assert.ok(left.length <= 2, `${left.length} fds are left`);
  left.forEach(closeFd);
});

test('a thousand connections leave no fd, no pipe and no page', needsAddon, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const { pieces, renewed } = await runMany(1_000, new Prng(seed));
  t.diagnostic(`${pieces} pages read, ${renewed} got new memory, seed ${seed}`);
});
