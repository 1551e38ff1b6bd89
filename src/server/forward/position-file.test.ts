/**
 * Position file: written in turn, torn or flipped anywhere, of another journal.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  listPositions,
  makePosition,
  PositionFile,
  positionPath,
  readPosition,
  removePosition,
} from './position-file.ts';

const UUID = new Uint8Array(16).fill(7);
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-position-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeTwice(channel: string): string {
  const { file, found } = PositionFile.open(folder, channel, UUID);
  assert.equal(found.kind, 'new');
  file.write({ ...makePosition(1000, 10), delivered: 3, active: 'first' });
  file.write({ ...makePosition(2000, 20), delivered: 5, active: 'second' });
  file.close();
  return positionPath(folder, channel);
}

function reopen(channel: string): string {
  const { file, found } = PositionFile.open(folder, channel, UUID);
  file.close();
  if (found.kind !== 'found') return found.kind;
  return `${found.position.position} ${found.position.delivered} ${found.position.active}`;
}

test('the newest position is found, whatever number of writes', () => {
  const { file } = PositionFile.open(folder, 'a', UUID);
  for (let i = 1; i <= 5; i++) {
    file.write({ ...makePosition(100 * i, i), startOrdinal: -1, delivered: i, active: `m${i}` });
    assert.equal(reopen('a'), `${100 * i} ${i} m${i}`);
  }
  file.close();
  const { file: again, found } = PositionFile.open(folder, 'a', UUID);
  again.close();
  assert.ok(found.kind === 'found');
  assert.equal(found.position.startOrdinal, -1);
});

test('a byte that is flipped anywhere costs one write at most, and is not believed', () => {
  const path = writeTwice('b');
  const whole = readFileSync(path);
  let older = 0;
  for (let offset = 0; offset < whole.length; offset++) {
    const bytes = Buffer.from(whole);
    bytes[offset]! ^= 0x41;
    writeFileSync(path, bytes);
    const state = reopen('b');
    assert.ok(['1000 3 first', '2000 5 second'].includes(state), `offset ${offset}: ${state}`);
    if (state === '1000 3 first') older++;
  }
  assert.equal(older, 256, 'each byte of the newer slot is checked');
});

test('a write that is torn at any byte leaves the position before it', () => {
  const path = writeTwice('c');
  const two = readFileSync(path);
  const { file } = PositionFile.open(folder, 'c', UUID);
  file.write({ ...makePosition(3000, 30), delivered: 9 });
  file.close();
  const three = readFileSync(path);
  for (let cut = 0; cut < 256; cut++) {
    writeFileSync(path, Buffer.concat([three.subarray(0, cut), two.subarray(cut)]));
    const expected = two.subarray(cut, 256).equals(three.subarray(cut, 256))
      ? '3000 9 '
      : '2000 5 second';
    assert.equal(reopen('c'), expected, `cut at ${cut}`);
  }
});

test('a file that ends anywhere is used up to its first slot, or said to be damaged', () => {
  const path = writeTwice('d');
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const state = reopen('d');
    if (length === 0) assert.equal(state, 'new');
    else if (length < 256) assert.equal(state, 'damaged', `length ${length}`);
    else assert.equal(state, '1000 3 first', `length ${length}`);
  }
});

test('the file goes on being written after damage, and the damage is gone', () => {
  const path = writeTwice('e');
  writeFileSync(path, 'not a position');
  const { file, found } = PositionFile.open(folder, 'e', UUID);
  assert.equal(found.kind, 'damaged');
  file.write(makePosition(1, 2));
  file.close();
  assert.equal(reopen('e'), '1 0 ');
});

test('the position in another journal is refused', () => {
  writeTwice('f');
  const { file, found } = PositionFile.open(folder, 'f', new Uint8Array(16).fill(8));
  assert.equal(found.kind, 'other-journal');
  file.write(makePosition(5, 6));
  file.close();
  const again = PositionFile.open(folder, 'f', new Uint8Array(16).fill(8));
  assert.equal(again.found.kind, 'found', 'ours is newer than what stood there');
  again.file.close();
});

test('positions are listed with their channels, and removed', () => {
  writeTwice('farm/left');
  writeTwice('mediation');
  writeFileSync(join(folder, 'bad.position'), 'x');
  assert.deepEqual(listPositions(folder), ['bad', 'farm/left', 'mediation']);
  removePosition(folder, 'farm/left');
  removePosition(folder, 'farm/left');
  assert.equal(listPositions(folder).length, 2, 'removed by whomever');
  assert.deepEqual(listPositions(join(folder, 'none')), []);
});

test('who only reads sees what the one who opens it finds, or why nobody can read it', () => {
  const seen = (channel: string, uuid = UUID): string => {
    const found = readPosition(folder, channel, uuid);
    if (found.kind === 'unreadable') return (found.error as NodeJS.ErrnoException).code ?? '';
    return found.kind === 'found' ? `${found.position.position}` : found.kind;
  };
  writeTwice('farm/left');
  assert.equal(seen('farm/left'), '2000');
  assert.equal(seen('farm/left', new Uint8Array(16).fill(8)), 'other-journal');
  assert.equal(seen('none'), 'new');
  writeFileSync(positionPath(folder, 'bad'), 'x');
  assert.equal(seen('bad'), 'damaged');
  mkdirSync(positionPath(folder, 'folder'));
  assert.equal(seen('folder'), 'EISDIR');
  execFileSync('mkfifo', [positionPath(folder, 'pipe')]);
  assert.equal(seen('pipe'), 'ESPIPE', 'and it was not waited for');
  assert.deepEqual(readPosition(join(folder, 'bad.position'), 'a', UUID).kind, 'unreadable');
});

test('a file that was made and never written says so, whoever reads it', () => {
  for (const length of [1, 300, 768]) {
    writeFileSync(positionPath(folder, 'g'), new Uint8Array(length));
    assert.equal(readPosition(folder, 'g', UUID).kind, 'blank', `${length} bytes`);
    assert.equal(reopen('g'), 'blank', `${length} bytes`);
    writeFileSync(positionPath(folder, 'g'), new Uint8Array(length).fill(1, -1));
    assert.equal(reopen('g'), 'damaged', `${length} bytes, one of them not 0`);
  }
  const { file } = PositionFile.open(folder, 'killed', UUID);
  file.close();
  assert.equal(reopen('killed'), 'blank', 'opened and killed');
});
