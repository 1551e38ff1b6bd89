import assert from 'node:assert/strict';
import { appendFileSync, ftruncateSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
  type WrittenBlock,
} from '../../../test/support/journal-files.ts';
import { BLOCK_HEADER_BYTES, SEGMENT_HEAD_BYTES } from './format.ts';
import { type Damage, describeSegment, JournalReader, listSegments } from './reader.ts';

interface Seen {
  readonly positions: number[];
  readonly damage: Damage[];
}

/** Reads all there is; every block must equal the written one at its position. */
function readAll(reader: JournalReader, written: readonly WrittenBlock[], damage: Damage[]): Seen {
  const byPosition = new Map(written.map((block) => [block.position, block]));
  const positions: number[] = [];
  for (;;) {
    const block = reader.tryNext();
    if (block === null) return { positions, damage };
    const expected = byPosition.get(block.header.position);
    assert.ok(expected, `a block at ${block.header.position} that nobody wrote`);
    const payload = block.bytes.subarray(block.offset, block.offset + block.length);
    assert.deepEqual(Buffer.from(payload), Buffer.from(expected.payload));
    assert.equal(block.view.buffer, block.bytes.buffer);
    assert.equal(block.endPosition, expected.endPosition);
    assert.equal(block.header.firstOrdinal, expected.firstOrdinal);
    assert.equal(block.header.recordCount, expected.recordCount);
    positions.push(block.header.position);
  }
}

function open(folder: string, damage: Damage[] = [], position = 0): JournalReader {
  return new JournalReader(folder, { position, onDamage: (found) => damage.push(found) });
}

function positionsOf(...segments: SegmentBuilder[]): number[] {
  return segments.flatMap((segment) => segment.blocks.map((block) => block.position));
}

/** Three segments: 3, 0 and 2 blocks; a gap of positions before the third. */
function threeSegments(folder: string): SegmentBuilder[] {
  const first = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) first.add(samplePayload(20 + i * 50, i), { recordCount: i + 1 });
  const second = new SegmentBuilder(first.endPosition, first.nextOrdinal);
  const third = new SegmentBuilder(second.endPosition + 4096, first.nextOrdinal);
  for (let i = 0; i < 2; i++) third.add(samplePayload(30, 7 + i));
  const segments = [first, second, third];
  for (const segment of segments) segment.writeTo(folder);
  return segments;
}

test('reads every block of several segments in order, across gaps', (t) => {
  const folder = temporaryFolder(t);
  const segments = threeSegments(folder);
  const written = segments.flatMap((segment) => segment.blocks);
  const reader = open(folder);
  const seen = readAll(reader, written, []);
  assert.deepEqual(seen.positions, positionsOf(...segments));
  assert.equal(reader.position, segments[2]!.endPosition);
  assert.equal(reader.skippedBytes, 0);
  assert.equal(reader.pendingTail(), null);
  reader.close();
});

test('starts at any block, at a segment, inside a gap and below the oldest', (t) => {
  const folder = temporaryFolder(t);
  const segments = threeSegments(folder);
  const all = positionsOf(...segments);
  const written = segments.flatMap((segment) => segment.blocks);
  const starts = [...all, ...written.map((block) => block.endPosition)];
  starts.push(...segments.map((segment) => segment.position), segments[1]!.endPosition + 100);
  for (const start of starts) {
    const damage: Damage[] = [];
    const reader = open(folder, damage, start);
    const expected = all.filter((position) => position >= start);
    assert.deepEqual(readAll(reader, written, damage).positions, expected, `from ${start}`);
    assert.deepEqual(damage, []);
    reader.close();
  }
  rmSync(join(folder, listSegments(folder)[0]!.path.slice(folder.length + 1)));
  const reader = open(folder);
  assert.deepEqual(readAll(reader, written, []).positions, positionsOf(segments[2]!));
  reader.close();
});

test('an empty folder, an empty file and a lone head are nothing new yet', (t) => {
  const folder = temporaryFolder(t);
  const reader = open(folder);
  assert.equal(reader.tryNext(), null);
  const segment = new SegmentBuilder(0);
  const path = segment.writeTo(folder, new Uint8Array(0));
  assert.equal(reader.tryNext(), null);
  writeFileSync(path, segment.bytes.subarray(0, 60));
  assert.equal(reader.tryNext(), null);
  writeFileSync(path, segment.bytes);
  assert.equal(reader.tryNext(), null);
  segment.add(samplePayload(10, 1));
  writeFileSync(path, segment.bytes);
  assert.deepEqual(readAll(reader, segment.blocks, []).positions, positionsOf(segment));
  assert.equal(reader.skippedBytes, 0);
  reader.close();
});

test('a folder that does not exist is MR_INPUT', () => {
  assert.throws(() => open('/nonexistent/journal').tryNext(), { code: 'MR_INPUT' });
});

test('cut at every byte: the newest segment waits, and goes on when the rest arrives', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(17 + i * 20, i));
  for (let cut = 0; cut < segment.bytes.length; cut++) {
    const damage: Damage[] = [];
    const path = segment.writeTo(folder, segment.bytes.subarray(0, cut));
    const reader = open(folder, damage);
    const before = readAll(reader, segment.blocks, damage).positions;
    const whole = segment.blocks.filter((block) => block.endPosition <= cut);
    assert.equal(before.length, whole.length, `cut at ${cut}`);
    assert.equal(reader.tryNext(), null);
    appendFileSync(path, segment.bytes.subarray(cut));
    const after = readAll(reader, segment.blocks, damage).positions;
    assert.deepEqual([...before, ...after], positionsOf(segment), `cut at ${cut}`);
    assert.deepEqual(damage, []);
    reader.close();
  }
});

test('cut at every byte: a sealed segment reports the torn block and the next one is read', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(17 + i * 20, i));
  const next = new SegmentBuilder(segment.endPosition + 77, segment.nextOrdinal);
  next.add(samplePayload(40, 9));
  next.writeTo(folder);
  const written = [...segment.blocks, ...next.blocks];
  for (let cut = SEGMENT_HEAD_BYTES; cut < segment.bytes.length; cut++) {
    const damage: Damage[] = [];
    segment.writeTo(folder, segment.bytes.subarray(0, cut));
    const reader = open(folder, damage);
    const whole = segment.blocks.filter((block) => block.endPosition <= cut);
    const expected = [...whole.map((block) => block.position), ...positionsOf(next)];
    assert.deepEqual(readAll(reader, written, damage).positions, expected, `cut at ${cut}`);
    const torn = cut - (whole.at(-1)?.endPosition ?? SEGMENT_HEAD_BYTES);
    assert.equal(reader.skippedBytes, torn);
    assert.deepEqual(
      damage.map((found) => [found.kind, found.bytes]),
      torn === 0 ? [] : [['tail', torn]],
    );
    reader.close();
  }
});

test('every flipped bit of a sealed segment costs its own block and no other', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(1000);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(8, i), { recordCount: 5 });
  const next = new SegmentBuilder(segment.endPosition, segment.nextOrdinal);
  next.add(samplePayload(40, 9));
  next.writeTo(folder);
  const written = [...segment.blocks, ...next.blocks];
  for (let bit = 0; bit < segment.bytes.length * 8; bit++) {
    const at = bit >> 3;
    const bytes = segment.bytes.slice();
    bytes[at]! ^= 1 << (bit & 7);
    segment.writeTo(folder, bytes);
    const damage: Damage[] = [];
    const reader = open(folder, damage);
    const hit = written.find(
      (block) => block.position - 1000 <= at && at < block.endPosition - 1000,
    );
    const isVersion = at >= 8 && at < 16;
    const expected = positionsOf(segment, next).filter((position) => position !== hit?.position);
    assert.deepEqual(readAll(reader, written, damage).positions, expected, `bit ${bit}`);
    assert.equal(damage.length, 1, `bit ${bit}`);
    const found = damage[0]!;
    if (hit === undefined) {
      assert.equal(found.kind, 'segment-head', `bit ${bit}, version ${isVersion}`);
      assert.equal(reader.skippedBytes, 0);
    } else {
      const isPayload = at - (hit.position - 1000) >= BLOCK_HEADER_BYTES;
      assert.equal(found.position, hit.position);
      assert.equal(found.bytes, hit.endPosition - hit.position);
      assert.equal(found.records, isPayload ? 5 : null);
      assert.equal(
        found.kind,
        isPayload ? 'payload' : hit === segment.blocks[2] ? 'tail' : 'header',
      );
    }
    reader.close();
  }
});

test('a flipped bit in the newest segment: payloads are damage, a last header is not yet', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(24, i));
  for (let at = SEGMENT_HEAD_BYTES; at < segment.bytes.length; at++) {
    const bytes = segment.bytes.slice();
    bytes[at]! ^= 0x10;
    segment.writeTo(folder, bytes);
    const damage: Damage[] = [];
    const reader = open(folder, damage);
    const index = segment.blocks.findIndex((block) => at < block.endPosition);
    const expected = positionsOf(segment).filter((_, i) => i !== index);
    assert.deepEqual(readAll(reader, segment.blocks, damage).positions, expected, `byte ${at}`);
    const isLastHeader = index === 2 && at < segment.blocks[2]!.position + BLOCK_HEADER_BYTES;
    assert.equal(damage.length, isLastHeader ? 0 : 1, `byte ${at}`);
    assert.equal(reader.pendingTail() === null, !isLastHeader);
    reader.close();
  }
});

test('a live tail that grows byte by byte, appended or written into preallocated zeros', (t) => {
  for (const isPreallocated of [false, true]) {
    const folder = temporaryFolder(t);
    const segment = new SegmentBuilder(0);
    for (let i = 0; i < 2; i++) segment.add(samplePayload(50, i + 1));
    const path = segment.writeTo(folder, new Uint8Array(0));
    const fd = openSync(path, 'r+');
    if (isPreallocated) ftruncateSync(fd, 4096);
    const damage: Damage[] = [];
    const reader = open(folder, damage);
    const seen: number[] = [];
    for (let at = 0; at < segment.bytes.length; at++) {
      writeSync(fd, segment.bytes, at, 1, at);
      seen.push(...readAll(reader, segment.blocks, damage).positions);
      const ready = segment.blocks.filter((block) => block.endPosition <= at + 1);
      assert.equal(seen.length, ready.length, `preallocated ${isPreallocated}, byte ${at}`);
    }
    const next = new SegmentBuilder(8192, 2);
    next.add(samplePayload(9, 9));
    next.writeTo(folder);
    assert.deepEqual(readAll(reader, next.blocks, damage).positions, positionsOf(next));
    assert.deepEqual(damage, []);
    assert.equal(reader.skippedBytes, 0);
    reader.close();
  }
});

test('blocks that were appended before the next segment appeared are not missed', (t) => {
  const folder = temporaryFolder(t);
  const first = new SegmentBuilder(0);
  first.add(samplePayload(30, 1));
  const path = first.writeTo(folder);
  const reader = open(folder);
  assert.notEqual(reader.tryNext(), null);
  assert.equal(reader.tryNext(), null);
  first.add(samplePayload(30, 2));
  writeFileSync(path, first.bytes);
  const second = new SegmentBuilder(first.endPosition, first.nextOrdinal);
  second.add(samplePayload(30, 3));
  second.writeTo(folder);
  const written = [...first.blocks, ...second.blocks];
  const positions = readAll(reader, written, []).positions;
  assert.deepEqual(positions, [first.blocks[1]!.position, second.blocks[0]!.position]);
  reader.close();
});

test('limitPosition: nothing above it is read, and what lies below it is settled', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(24, i));
  const bytes = segment.bytes.slice();
  bytes[segment.blocks[1]!.position]! ^= 1;
  segment.writeTo(folder, bytes);
  let limit = 0;
  const damage: Damage[] = [];
  const onDamage = (found: Damage): number => damage.push(found);
  const reader = new JournalReader(folder, { limitPosition: () => limit, onDamage });
  assert.equal(reader.tryNext(), null);
  limit = segment.blocks[0]!.endPosition;
  assert.equal(readAll(reader, segment.blocks, damage).positions.length, 1);
  limit = segment.blocks[1]!.endPosition;
  assert.equal(readAll(reader, segment.blocks, damage).positions.length, 0);
  assert.deepEqual(damage.length, 1);
  assert.equal(damage[0]!.kind, 'tail');
  limit = segment.blocks[2]!.endPosition;
  assert.equal(readAll(reader, segment.blocks, damage).positions.length, 1);
  reader.close();
});

test('a block larger than the window, and many small ones around it', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (const length of [10, 300_000, 1, 262_144, 1_500_000, 5, 131_000, 131_000, 131_000]) {
    segment.add(samplePayload(length, length));
  }
  segment.writeTo(folder);
  const reader = open(folder);
  const seen = readAll(reader, segment.blocks, []);
  assert.deepEqual(seen.positions, positionsOf(segment));
  reader.close();
});

test('retention may take segments away while they are read', (t) => {
  const folder = temporaryFolder(t);
  const segments = threeSegments(folder);
  const reader = open(folder);
  assert.notEqual(reader.tryNext(), null);
  for (const file of listSegments(folder).slice(0, 2)) rmSync(file.path);
  const written = segments.flatMap((segment) => segment.blocks);
  const rest = readAll(reader, written, []).positions;
  assert.deepEqual(rest, positionsOf(...segments).slice(1));
  reader.close();
});

test('a segment of another version is refused by name, not skipped', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  const bytes = segment.bytes.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(124, crc32(bytes.subarray(0, 124)), true);
  segment.writeTo(folder, bytes);
  const reader = open(folder);
  assert.throws(() => reader.tryNext(), { code: 'MR_JOURNAL_FORMAT', message: /version 2/ });
  reader.close();
});

test('describeSegment shows uuid, position, sizes and ordinals', (t) => {
  const folder = temporaryFolder(t);
  const [, , third] = threeSegments(folder);
  const info = describeSegment(listSegments(folder)[2]!);
  assert.equal(info.position, third!.position);
  assert.equal(info.endPosition, third!.endPosition);
  assert.equal(info.firstOrdinal, 6);
  assert.equal(info.uuid, 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf');
  assert.equal(info.createdUs, 1_700_000_000_000_000);
});

test('a block that stands elsewhere than it says is no block', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(24, i));
  const [first, second, third] = segment.blocks as [WrittenBlock, WrittenBlock, WrittenBlock];
  const bytes = segment.bytes.slice();
  bytes.copyWithin(second.position, first.position, first.endPosition);
  segment.writeTo(folder, bytes);
  const damage: Damage[] = [];
  const reader = open(folder, damage);
  const { positions } = readAll(reader, segment.blocks, damage);
  assert.deepEqual(positions, [first.position, third.position]);
  assert.deepEqual(
    damage.map((found) => [found.kind, found.position]),
    [['header', second.position]],
  );
  reader.close();
});

test('a block inside the payload of a damaged one is not taken for a block', (t) => {
  const folder = temporaryFolder(t);
  const inner = new SegmentBuilder(5000);
  inner.add(samplePayload(24, 1));
  const segment = new SegmentBuilder(0);
  segment.add(inner.bytes);
  segment.add(samplePayload(24, 2));
  const bytes = segment.bytes.slice();
  bytes[segment.blocks[0]!.position + 70]! ^= 1;
  segment.writeTo(folder, bytes);
  const damage: Damage[] = [];
  const reader = open(folder, damage);
  const { positions } = readAll(reader, segment.blocks, damage);
  assert.deepEqual(positions, [segment.blocks[1]!.position]);
  assert.equal(damage.length, 1);
  reader.close();
});

test('behind a damaged header, a block whose payload is cut off is part of the damage', (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(24, i));
  const next = new SegmentBuilder(segment.endPosition + 10);
  next.writeTo(folder);
  const bytes = segment.bytes.slice(0, -1);
  bytes[segment.blocks[1]!.position]! ^= 1;
  segment.writeTo(folder, bytes);
  const damage: Damage[] = [];
  const reader = open(folder, damage);
  readAll(reader, segment.blocks, damage);
  const expected = bytes.length - segment.blocks[1]!.position;
  assert.deepEqual(
    damage.map((found) => [found.kind, found.bytes]),
    [['tail', expected]],
  );
  reader.close();
});

test('behind a damaged header, a live segment is searched across the end of the last look', (t) => {
  const segment = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) segment.add(samplePayload(24, i));
  const [first, second, third] = segment.blocks as [WrittenBlock, WrittenBlock, WrittenBlock];
  const bytes = segment.bytes.slice();
  bytes[second.position]! ^= 1;
  for (let cut = third.position - 3; cut < third.endPosition; cut++) {
    const folder = temporaryFolder(t);
    const path = segment.writeTo(folder, bytes.subarray(0, cut));
    const damage: Damage[] = [];
    const reader = open(folder, damage);
    assert.deepEqual(readAll(reader, segment.blocks, damage).positions, [first.position]);
    assert.deepEqual(damage, []);
    appendFileSync(path, bytes.subarray(cut));
    const rest = readAll(reader, segment.blocks, damage).positions;
    assert.deepEqual(rest, [third.position], `cut at ${cut}`);
    assert.equal(damage.length, 1);
    reader.close();
  }
});
