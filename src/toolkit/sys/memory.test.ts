import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { EACCES, EAGAIN, EINVAL, ENOSYS, EPERM, SyscallError } from './errno.ts';
import { closeFd, openFile } from './file.ts';
import { addonSkipReason } from './load.ts';
import { madvise, mapFile, mbind } from './memory.ts';
import { pipeCreate, read, vmsplice } from './pipe.ts';

const needsAddon = { skip: addonSkipReason() };
const OS_PAGE = 4096;
const folder = mkdtempSync(join(tmpdir(), 'millrace-memory-'));
after(() => rmSync(folder, { recursive: true }));

function aligned(wasmPages = 1): Uint8Array {
  const memory = new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
  return new Uint8Array(memory.buffer);
}

test('madvise works on the whole OS pages inside the range', needsAddon, () => {
  const bytes = aligned().fill(7);
  assert.equal(madvise(bytes, 1, OS_PAGE * 3, 'dontNeed'), OS_PAGE * 2);
  assert.deepEqual(
    [0, OS_PAGE - 1, OS_PAGE, OS_PAGE * 3 - 1, OS_PAGE * 3].map((at) => bytes[at]),
    [7, 7, 0, 0, 7],
    'nothing beside them is touched',
  );
  assert.equal(madvise(bytes, 1, OS_PAGE, 'dontNeed'), 0, 'no whole page is inside');
});

test('every advice is one that this kernel knows', needsAddon, () => {
  const bytes = aligned(4);
  for (const advice of ['dontFork', 'hugePage', 'populateWrite', 'dontNeed'] as const) {
    assert.equal(madvise(bytes, 0, bytes.length, advice), bytes.length, advice);
  }
  assert.throws(() => madvise(bytes, 0, bytes.length + 1, 'dontNeed'), RangeError);
});

test('who holds the old memory keeps it after dontNeed', needsAddon, () => {
  const ends = new Int32Array(2);
  assert.equal(pipeCreate(ends), 0);
  const bytes = aligned().fill(7);
  assert.equal(vmsplice(ends[1]!, bytes, 0, OS_PAGE), OS_PAGE);
  assert.equal(madvise(bytes, 0, OS_PAGE, 'dontNeed'), OS_PAGE);
  bytes.fill(9, 0, OS_PAGE);
  const got = new Uint8Array(OS_PAGE);
  assert.equal(read(ends[0]!, got, 0, OS_PAGE), OS_PAGE);
  assert.ok(got.every((byte) => byte === 7));
  assert.equal(read(ends[0]!, got, 0, 1), -EAGAIN);
  closeFd(ends[0]!);
  closeFd(ends[1]!);
});

test('a mapped file is the file, both ways', needsAddon, () => {
  const path = join(folder, 'mapped');
  writeFileSync(path, new Uint8Array(3 * OS_PAGE).fill(1));
  const fd = openFile(path, ['readWrite']);
  const bytes = new Uint8Array(mapFile(fd, OS_PAGE, 2 * OS_PAGE));
  closeFd(fd);
  assert.equal(bytes.length, 2 * OS_PAGE);
  assert.equal(bytes[0], 1);
  bytes[0] = 42;
  assert.equal(readFileSync(path)[OS_PAGE], 42, 'the fd is not needed any more');
});

test('a file that cannot be mapped throws what the kernel said', needsAddon, () => {
  const path = join(folder, 'readonly');
  writeFileSync(path, new Uint8Array(OS_PAGE));
  const fd = openFile(path, ['read']);
  assert.throws(
    () => mapFile(fd, 0, OS_PAGE),
    (error) => error instanceof SyscallError && error.errno === EACCES,
  );
  closeFd(fd);
});

test('a mapping goes with its buffer', needsAddon, async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const path = join(folder, 'collected');
  writeFileSync(path, new Uint8Array(OS_PAGE));
  const fd = openFile(path, ['readWrite']);
  const countMaps = () => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;
  for (let i = 0; i < 20; i++) mapFile(fd, 0, OS_PAGE);
  assert.ok(countMaps() > 0);
  for (let turn = 0; turn < 50 && countMaps() > 1; turn++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(countMaps() <= 1, `${countMaps()} mappings are left`);
  closeFd(fd);
});

test('memory can be bound to a node that exists', needsAddon, (context) => {
  const bytes = aligned();
  const bound = mbind(bytes, 0, bytes.length, 'preferred', [0]);
  if (bound === -ENOSYS || bound === -EPERM) return context.skip('mbind is not offered here');
  assert.equal(bound, 0);
  const policies = readFileSync('/proc/self/numa_maps', 'utf8');
  assert.match(policies, /^[0-9a-f]+ prefer(?:=|:| )/m);
  assert.equal(mbind(bytes, 0, bytes.length, 'default', []), 0);
  assert.equal(mbind(bytes, 1, OS_PAGE, 'preferred', [0]), -EINVAL, 'not on a page boundary');
  assert.equal(mbind(bytes, 0, OS_PAGE, 'bind', [1000]), -EINVAL, 'no such node');
  assert.equal(mbind(bytes, 0, OS_PAGE, 'bind', [1023]), -EINVAL);
  return undefined;
});
