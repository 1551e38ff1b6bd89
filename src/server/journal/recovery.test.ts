import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
} from '../../../test/support/journal-files.ts';
import { BLOCK_HEADER_BYTES, SEGMENT_HEAD_BYTES, segmentName } from './format.ts';
import { JournalReader } from './reader.ts';
import { type RecoveredJournal, recoverJournal } from './recovery.ts';

const NOTHING_SEEN = { position: 0, ordinal: 0 };

/** 1 segment with blocks of 2, 3 and 4 records of the connections 5, 9 and 7. */
function threeBlocks(position = 0, firstOrdinal = 0, firstBlockOrdinal = 0): SegmentBuilder {
  const segment = new SegmentBuilder(position, firstOrdinal, firstBlockOrdinal);
  segment.add(samplePayload(40, 1), { recordCount: 2, connectionId: 5 });
  segment.add(samplePayload(50, 2), { recordCount: 3, connectionId: 9 });
  segment.add(samplePayload(60, 3), { recordCount: 4, connectionId: 7 });
  return segment;
}

function countBlocks(folder: string): { blocks: number; damaged: string[] } {
  const damaged: string[] = [];
  const reader = new JournalReader(folder, {
    limitPosition: () => Number.MAX_SAFE_INTEGER,
    onDamage: (damage) => damaged.push(damage.kind),
  });
  let blocks = 0;
  while (reader.tryNext() !== null) blocks++;
  reader.close();
  return { blocks, damaged };
}

test('an empty folder begins where readers have committed', (t) => {
  const folder = temporaryFolder(t);
  const fresh = recoverJournal(folder, NOTHING_SEEN);
  assert.deepEqual([fresh.nextPosition, fresh.nextOrdinal, fresh.segments], [0, 0, 0]);
  assert.equal(fresh.nextBlockOrdinal, 0);
  const seen = recoverJournal(folder, { position: 900, ordinal: 33 });
  assert.deepEqual([seen.nextPosition, seen.nextOrdinal], [900, 33]);
});

test('numbers above all of the newest segment, and above what was committed', (t) => {
  const folder = temporaryFolder(t);
  threeBlocks().writeTo(folder);
  const found = recoverJournal(folder, NOTHING_SEEN);
  const size = statSync(join(folder, segmentName(0))).size;
  assert.deepEqual(
    [found.nextPosition, found.nextOrdinal, found.nextConnectionId, found.tornBytes],
    [size, 9, 10, 0],
  );
  assert.equal(found.nextBlockOrdinal, 3);
  assert.deepEqual([...found.uuid.subarray(0, 2)], [0xa0, 0xa1], 'the journal keeps its name');
  const seen = recoverJournal(folder, { position: size + 5_000, ordinal: 40 });
  assert.deepEqual([seen.nextPosition, seen.nextOrdinal], [size + 5_000, 40]);
});

test('a tail torn at every byte: whole blocks stay, no number comes again', (t) => {
  const folder = temporaryFolder(t);
  const segment = threeBlocks(4_096, 100, 2 ** 40);
  const ends = segment.blocks.map((block) => block.endPosition - 4_096);
  for (let length = 0; length <= segment.bytes.length; length++) {
    const path = segment.writeTo(folder, segment.bytes.subarray(0, length));
    const found = recoverJournal(folder, NOTHING_SEEN);
    const whole = ends.filter((end) => end <= length).length;
    const kept = whole > 0 ? ends[whole - 1]! : length >= SEGMENT_HEAD_BYTES ? 128 : 0;
    assert.equal(statSync(path).size, kept, `cut at ${length}`);
    assert.equal(found.tornBytes, length - kept);
    assert.ok(found.nextPosition >= 4_096 + length);
    assert.ok(found.nextPosition > 4_096, 'a name is never given twice');
    if (length >= SEGMENT_HEAD_BYTES) {
      assert.equal(found.nextOrdinal, 100 + [0, 2, 5, 9][whole]!);
      assert.equal(found.nextConnectionId, [1, 6, 10, 10][whole]);
      assert.equal(found.nextBlockOrdinal, 2 ** 40 + whole);
    }
    const again = recoverJournal(folder, NOTHING_SEEN);
    assert.deepEqual([again.tornBytes, again.nextOrdinal], [0, found.nextOrdinal]);
    assert.equal(again.nextBlockOrdinal, found.nextBlockOrdinal);
  }
});

test('newest segments without a head: the numbers of the newest that has some', (t) => {
  const folder = temporaryFolder(t);
  const full = threeBlocks(0, 50, 700);
  full.writeTo(folder);
  const end = full.endPosition;
  const cases: readonly [name: string, bytes: Uint8Array][] = [
    ['empty', new Uint8Array(0)],
    ['half a head', new SegmentBuilder(end).bytes.subarray(0, 77)],
    ['zeros', new Uint8Array(4_096)],
  ];
  for (const [name, bytes] of cases) {
    for (const count of [1, 2, 3]) {
      for (let i = 0; i < count; i++) writeFileSync(join(folder, segmentName(end + i)), bytes);
      const found = recoverJournal(folder, NOTHING_SEEN);
      assert.deepEqual([found.nextOrdinal, found.nextConnectionId], [59, 10], name);
      assert.equal(found.nextBlockOrdinal, 703, name);
      assert.ok(found.nextPosition > end + count - 1, name);
      assert.deepEqual([...found.uuid.subarray(0, 2)], [0xa0, 0xa1]);
    }
  }
  assert.equal(countBlocks(folder).blocks, 3);
});

test('a segment with a head alone tells the numbers in it', (t) => {
  const folder = temporaryFolder(t);
  new SegmentBuilder(0, 70, 20).writeTo(folder);
  writeFileSync(join(folder, segmentName(128)), new Uint8Array(0));
  const found: RecoveredJournal = recoverJournal(folder, NOTHING_SEEN);
  assert.deepEqual([found.nextOrdinal, found.nextConnectionId], [70, 1]);
  assert.equal(found.nextBlockOrdinal, 20);
});

test('damage in the middle stays, also a hole of zeros as a power loss leaves it', (t) => {
  const segment = threeBlocks();
  const second = segment.blocks[1]!;
  const damages: Readonly<Record<string, (bytes: Uint8Array) => void>> = {
    payload: (bytes) => {
      bytes[second.position + BLOCK_HEADER_BYTES + 7]! ^= 4;
    },
    header: (bytes) => {
      bytes[second.position + 20]! ^= 4;
    },
    zeros: (bytes) => {
      bytes.fill(0, second.position, second.endPosition);
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    const folder = temporaryFolder(t);
    const bytes = segment.bytes.slice();
    damage(bytes);
    const path = segment.writeTo(folder, bytes);
    const found = recoverJournal(folder, NOTHING_SEEN);
    assert.equal(found.tornBytes, 0, name);
    assert.deepEqual([found.nextOrdinal, found.nextConnectionId >= 8], [9, true], name);
    assert.equal(found.nextBlockOrdinal, 3, name);
    assert.deepEqual(new Uint8Array(readFileSync(path)), bytes, name);
    assert.equal(countBlocks(folder).blocks, 2, name);
  }
});

test('a last block with a damaged payload is damage, not a torn end', (t) => {
  const folder = temporaryFolder(t);
  const segment = threeBlocks();
  const bytes = segment.bytes.slice();
  bytes[bytes.length - 1]! ^= 1;
  segment.writeTo(folder, bytes);
  const found = recoverJournal(folder, NOTHING_SEEN);
  assert.deepEqual([found.tornBytes, found.nextOrdinal, found.nextConnectionId], [0, 9, 10]);
  assert.equal(found.nextBlockOrdinal, 3);
  assert.deepEqual(countBlocks(folder), { blocks: 2, damaged: ['payload'] });
});

test('garbage behind the last block is cut off, however long', (t) => {
  const folder = temporaryFolder(t);
  const segment = threeBlocks();
  const garbage = samplePayload(300_000, 9);
  segment.writeTo(folder, Buffer.concat([segment.bytes, garbage]));
  const found = recoverJournal(folder, NOTHING_SEEN);
  assert.equal(found.tornBytes, garbage.length);
  assert.equal(found.nextPosition, segment.endPosition + garbage.length);
  assert.equal(statSync(join(folder, segmentName(0))).size, segment.bytes.length);
});

test('starts one after the other: blocks are counted on, also over empty segments', (t) => {
  const folder = temporaryFolder(t);
  let count = 0;
  for (const blocks of [3, 0, 1, 0, 0, 2]) {
    const found = recoverJournal(folder, NOTHING_SEEN);
    assert.equal(found.nextBlockOrdinal, count);
    const { nextPosition, nextOrdinal, nextBlockOrdinal } = found;
    const segment = new SegmentBuilder(nextPosition, nextOrdinal, nextBlockOrdinal);
    for (let i = 0; i < blocks; i++) segment.add(samplePayload(40 + i, count));
    // Killed in the midst of an append: what is torn was not a block yet.
    segment.writeTo(folder, Buffer.concat([segment.bytes, samplePayload(70, 5)]));
    count += blocks;
  }
  const reader = new JournalReader(folder, { limitPosition: () => Number.MAX_SAFE_INTEGER });
  const ordinals: number[] = [];
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    ordinals.push(block.header.blockOrdinal);
  }
  reader.close();
  assert.deepEqual(ordinals, [0, 1, 2, 3, 4, 5]);
});

test('a journal of before blocks were counted goes on with 1', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder();
  for (let i = 0; i < 3; i++) segment.add(samplePayload(40, i), { isCounted: false });
  segment.writeTo(folder);
  assert.equal(recoverJournal(folder, NOTHING_SEEN).nextBlockOrdinal, 1);
});
