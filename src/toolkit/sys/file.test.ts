import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { EAGAIN, EBADF, EEXIST, ENOENT, ENOSPC, EOPNOTSUPP } from './errno.ts';
import {
  closeFd,
  fallocate,
  fdatasync,
  flockExclusive,
  freeBytes,
  fsync,
  ftruncate,
  openFile,
  pread,
  preadNoWait,
  pwrite,
  pwriteFully,
} from './file.ts';
import { addonSkipReason } from './load.ts';

const needsAddon = { skip: addonSkipReason() };
const folder = mkdtempSync(join(tmpdir(), 'millrace-file-'));
after(() => rmSync(folder, { recursive: true }));

test('named flags open as they say, close-on-exec', needsAddon, () => {
  const path = join(folder, 'flags');
  assert.equal(openFile(path, ['read']), -ENOENT);
  const fd = openFile(path, ['write', 'create', 'exclusive'], 0o640);
  assert.ok(fd > 2);
  assert.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), /flags:\s+02[0-7]*1\n/);
  assert.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask());
  assert.equal(openFile(path, ['write', 'create', 'exclusive']), -EEXIST);
  assert.equal(closeFd(fd), 0);
  assert.equal(closeFd(fd), -EBADF);
});

test('pwrite and pread take a slice of shared WebAssembly memory, in place', needsAddon, () => {
  const memory = new SharedWasmMemory({ initial: 4, maximum: 4, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  bytes.fill(0xee);
  bytes.set([1, 2, 3, 4, 5], 4096);
  const path = join(folder, 'slice');
  const fd = openFile(path, ['readWrite', 'create']);
  assert.equal(pwrite(fd, bytes, 4096, 5, 3), 5);
  assert.deepEqual([...readFileSync(path)], [0, 0, 0, 1, 2, 3, 4, 5]);
  assert.equal(pread(fd, bytes, 100, 50, 4), 4);
  assert.deepEqual([...bytes.subarray(99, 105)], [0xee, 2, 3, 4, 5, 0xee]);
  assert.equal(pread(fd, bytes, 0, 10, 8), 0, 'the end of the file is 0');
  assert.equal(pwrite(fd, bytes, 0, 0, 0), 0);
  closeFd(fd);
});

test('preadNoWait reads what the page cache holds, and never past its array', needsAddon, () => {
  const path = join(folder, 'no-wait');
  const fd = openFile(path, ['readWrite', 'create']);
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
  assert.equal(pwrite(fd, bytes, 0, 64, 0), 64);
  bytes.fill(0xee);
  const got = preadNoWait(fd, bytes, 8, 4, 32);
  // tmpfs cannot tell; what was just written is in the page cache everywhere else.
  if (got !== -EOPNOTSUPP) {
    assert.equal(got, 4);
    assert.deepEqual([...bytes.subarray(7, 13)], [0xee, 32, 33, 34, 35, 0xee]);
    assert.equal(preadNoWait(fd, bytes, 0, 8, 60), 4);
    assert.equal(preadNoWait(fd, bytes, 0, 8, 64), 0, 'the end of the file is 0');
  }
  assert.throws(() => preadNoWait(fd, bytes, 60, 5, 0), RangeError);
  assert.throws(() => preadNoWait(fd, bytes, 0, 4, -1), RangeError);
  closeFd(fd);
  assert.equal(preadNoWait(fd, bytes, 0, 4, 0), -EBADF);
});

test('file offsets above 4 GiB arrive whole', needsAddon, () => {
  const path = join(folder, 'far');
  const fd = openFile(path, ['readWrite', 'create']);
  const far = 5 * 2 ** 32 + 12345;
  assert.equal(pwriteFully(fd, Uint8Array.of(9, 8, 7), 1, 2, far), 2);
  assert.equal(statSync(path).size, far + 2);
  const back = new Uint8Array(2);
  assert.equal(pread(fd, back, 0, 2, far), 2);
  assert.deepEqual([...back], [8, 7]);
  closeFd(fd);
});

test('pwriteFully returns the errno of the call that failed', needsAddon, () => {
  const fd = openFile('/dev/full', ['write']);
  assert.equal(pwriteFully(fd, new Uint8Array(10), 0, 10, 0), -ENOSPC);
  assert.equal(closeFd(fd), 0);
});

test('fallocate keeps or sets the length; ftruncate sets it', needsAddon, () => {
  const path = join(folder, 'room');
  const fd = openFile(path, ['readWrite', 'create']);
  assert.equal(fallocate(fd, 0, 65_536, true), 0);
  assert.equal(statSync(path).size, 0);
  assert.ok(statSync(path).blocks * 512 >= 65_536);
  assert.equal(fallocate(fd, 0, 65_536, false), 0);
  assert.equal(statSync(path).size, 65_536);
  assert.equal(ftruncate(fd, 100), 0);
  assert.equal(statSync(path).size, 100);
  assert.equal(fdatasync(fd), 0);
  assert.equal(fsync(fd), 0);
  closeFd(fd);
});

test('a folder can be synced, so that its names last', needsAddon, () => {
  const fd = openFile(folder, ['read', 'directory']);
  assert.equal(fsync(fd), 0);
  assert.ok(freeBytes(fd) > 0);
  closeFd(fd);
});

test(
  'flock: a second open file is refused with EAGAIN until the first is closed',
  needsAddon,
  () => {
    const path = join(folder, 'lock');
    const first = openFile(path, ['readWrite', 'create']);
    const second = openFile(path, ['readWrite']);
    assert.equal(flockExclusive(first), 0);
    assert.equal(flockExclusive(second), -EAGAIN);
    closeFd(first);
    assert.equal(flockExclusive(second), 0);
    closeFd(second);
  },
);
