import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { EAGAIN, EBADF, EBUSY, EINVAL, EPIPE } from './errno.ts';
import { closeFd, openFile } from './file.ts';
import { addonSkipReason } from './load.ts';
import {
  pipeCapacity,
  pipeCreate,
  read,
  sendfile,
  setPipeCapacity,
  splice,
  spliceFile,
  tee,
  vmsplice,
} from './pipe.ts';
import { bytesUnread, recv, socketPair } from './socket.ts';

const needsAddon = { skip: addonSkipReason() };
const OS_PAGE = 4096;
const folder = mkdtempSync(join(tmpdir(), 'millrace-pipe-'));
after(() => rmSync(folder, { recursive: true }));

interface Pipe {
  readonly from: number;
  readonly into: number;
}

function makePipe(t: TestContext): Pipe {
  const ends = new Int32Array(2);
  assert.equal(pipeCreate(ends), 0);
  const [from, into] = [ends[0]!, ends[1]!];
  t.after(() => {
    closeFd(from);
    closeFd(into);
  });
  return { from, into };
}

function makePair(t: TestContext): readonly [number, number] {
  const ends = new Int32Array(2);
  assert.equal(socketPair(ends), 0);
  t.after(() => {
    closeFd(ends[0]!);
    closeFd(ends[1]!);
  });
  return [ends[0]!, ends[1]!];
}

/** Memory that starts on an OS page, and was written: not the shared page of zeros. */
function aligned(wasmPages = 4): Uint8Array {
  const memory = new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
  return new Uint8Array(memory.buffer).fill(0xa5);
}

function readAll(fd: number): Uint8Array {
  const bytes = new Uint8Array(1 << 20);
  let length = 0;
  for (let got = 1; got > 0; length += Math.max(0, got)) {
    got = read(fd, bytes, length, bytes.length - length);
  }
  return bytes.subarray(0, length);
}

test('a pipe is made non-blocking with 16 slots of one OS page', needsAddon, (t) => {
  const { from, into } = makePipe(t);
  assert.notEqual(from, into);
  assert.equal(pipeCapacity(into), 65_536);
  assert.equal(read(from, new Uint8Array(1), 0, 1), -EAGAIN, 'an empty pipe does not wait');
});

test('the capacity is rounded up to a power of two, and holds what is in it', needsAddon, (t) => {
  const { from, into } = makePipe(t);
  assert.equal(setPipeCapacity(into, 100_000), 131_072);
  assert.equal(pipeCapacity(from), 131_072, 'both ends are one pipe');
  const bytes = aligned();
  assert.equal(vmsplice(into, bytes, 0, 131_072), 131_072);
  assert.equal(setPipeCapacity(into, 65_536), -EBUSY);
  assert.equal(readAll(from).length, 131_072);
  assert.equal(setPipeCapacity(into, 65_536), 65_536);
  assert.equal(setPipeCapacity(into, 1), OS_PAGE, 'one page at least');
});

test('vmsplice takes whole slots: 64 KiB aligned, less when it is not', needsAddon, (t) => {
  const { from, into } = makePipe(t);
  const bytes = aligned();
  assert.equal(vmsplice(into, bytes, 0, bytes.length), 65_536, 'a short answer, then EAGAIN');
  assert.equal(vmsplice(into, bytes, 0, 1), -EAGAIN);
  assert.equal(bytesUnread(from), 65_536);
  readAll(from);
  assert.equal(vmsplice(into, bytes, 100, 65_536), 65_436, '17 pages are touched, 16 fit');
});

test('ten bytes cost a slot: sixteen times ten bytes fill a pipe', needsAddon, (t) => {
  const { from, into } = makePipe(t);
  const bytes = aligned();
  for (let slot = 0; slot < 16; slot++) assert.equal(vmsplice(into, bytes, slot * 10, 10), 10);
  assert.equal(vmsplice(into, bytes, 160, 10), -EAGAIN);
  assert.equal(bytesUnread(from), 160);
});

test('tee refers to the same bytes and leaves the first pipe as it is', needsAddon, (t) => {
  const [one, two] = [makePipe(t), makePipe(t)];
  const bytes = aligned();
  bytes.set([1, 2, 3, 4], OS_PAGE);
  assert.equal(vmsplice(one.into, bytes, OS_PAGE, 4), 4);
  assert.equal(tee(one.from, two.into, 1 << 20), 4);
  assert.deepEqual([bytesUnread(one.from), bytesUnread(two.from)], [4, 4]);
  assert.deepEqual([...readAll(two.from)], [1, 2, 3, 4]);
  assert.deepEqual([...readAll(one.from)], [1, 2, 3, 4]);
  assert.equal(tee(one.from, two.into, 4), -EAGAIN);
  assert.equal(tee(one.from, one.into, 4), -EINVAL, 'a pipe onto itself');
});

test('splice: pipe to socket, socket to pipe; what does not fit stays', needsAddon, (t) => {
  const pipe = makePipe(t);
  const [left, right] = makePair(t);
  const bytes = aligned();
  bytes.forEach((_, i) => {
    bytes[i] = i % 251;
  });
  let sent = 0;
  for (;;) {
    const took = vmsplice(pipe.into, bytes, sent % 65_536, 65_536 - (sent % 65_536));
    const moved = splice(pipe.from, left, 1 << 20);
    if (moved === -EAGAIN) break;
    assert.ok(moved > 0 && (took > 0 || took === -EAGAIN), `${took} ${moved}`);
    sent += moved;
  }
  assert.ok(bytesUnread(pipe.from) > 0, 'the rest is still in the pipe');
  const back = makePipe(t);
  let received = 0;
  for (;;) {
    const moved = splice(right, back.into, 1 << 20);
    if (moved === -EAGAIN && bytesUnread(back.from) === 0) break;
    received += readAll(back.from).length;
  }
  assert.equal(received, sent);
});

test('splice to a socket whose peer is gone is EPIPE, and the bytes stay', needsAddon, (t) => {
  const pipe = makePipe(t);
  const ends = new Int32Array(2);
  assert.equal(socketPair(ends), 0);
  closeFd(ends[1]!);
  assert.equal(vmsplice(pipe.into, aligned(), 0, 65_536), 65_536);
  assert.equal(splice(pipe.from, ends[0]!, 65_536), -EPIPE);
  assert.equal(bytesUnread(pipe.from), 65_536);
  closeFd(ends[0]!);
});

test('a file goes into a pipe and onto a socket from any offset', needsAddon, (t) => {
  const path = join(folder, 'file');
  const content = Uint8Array.from({ length: 10_000 }, (_, i) => i % 241);
  writeFileSync(path, content);
  const file = openFile(path, ['read']);
  const pipe = makePipe(t);
  assert.equal(spliceFile(file, 1, pipe.into, 5000), 5000);
  assert.deepEqual(readAll(pipe.from), content.subarray(1, 5001));
  assert.equal(spliceFile(file, 10_000, pipe.into, 10), 0, 'the end of the file');
  const [left, right] = makePair(t);
  assert.equal(sendfile(left, file, 9_990, 100), 10);
  const got = new Uint8Array(100);
  assert.equal(recv(right, got, 0, 100), 10);
  assert.deepEqual(got.subarray(0, 10), content.subarray(9_990));
  assert.equal(sendfile(left, file, 10_000, 100), 0);
  closeFd(file);
  assert.equal(sendfile(left, file, 0, 1), -EBADF);
});

test('bytes in a pipe are a reference: what changes there changes here', needsAddon, (t) => {
  const { from, into } = makePipe(t);
  const bytes = aligned();
  assert.equal(vmsplice(into, bytes, 0, 4), 4);
  bytes.fill(0x11, 0, 4);
  const [first] = readAll(from);
  if (first === 0xa5) t.skip('this kernel copies in vmsplice(2)');
  else assert.equal(first, 0x11);
});
