import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
} from '../../../test/support/journal-files.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { BlockBytes } from './block-bytes.ts';
import { BlockCursor, CURSOR_BLOCK } from './block-cursor.ts';
import { SegmentFiles } from './segment-files.ts';

const needsAddon = { skip: addonSkipReason() };
const LENGTHS = [10, 0, 70_000, 4_096, 300_000, 1];

/** A cursor over one segment of blocks of LENGTHS, one of which is damaged. */
function cursorOver(
  t: TestContext,
  segment: SegmentBuilder,
  bytes: Uint8Array,
  position = 0,
): BlockCursor {
  const folder = temporaryFolder(t);
  segment.writeTo(folder, bytes);
  const files = new SegmentFiles(folder);
  const cursor = new BlockCursor({
    files,
    limitPosition: () => segment.endPosition,
    position,
  });
  cursor.waitBelow(segment.endPosition);
  t.after(() => cursor.close());
  return cursor;
}

/** The block of a segment that stands at `index`. */
function cursorAt(t: TestContext, segment: SegmentBuilder, index: number): BlockCursor {
  return cursorOver(t, segment, segment.bytes, segment.blocks[index]!.position);
}

function segmentOf(lengths: readonly number[]): SegmentBuilder {
  const segment = new SegmentBuilder();
  for (const [index, length] of lengths.entries()) segment.add(samplePayload(length, index));
  return segment;
}

test('a payload is read once for all who ask, whole', needsAddon, (t) => {
  const segment = segmentOf(LENGTHS);
  const cursor = cursorOver(t, segment, segment.bytes);
  const blocks = new BlockBytes(2);
  for (const [index, written] of segment.blocks.entries()) {
    assert.equal(cursor.next(), CURSOR_BLOCK);
    for (let channel = 0; channel < 3; channel++) {
      const payload = blocks.read(cursor.block);
      assert.ok(payload !== null);
      assert.equal(payload.length, written.payload.length);
      assert.deepEqual(payload.bytes.slice(0, payload.length), written.payload);
      if (payload.length > 0) assert.equal(payload.view.getUint8(0), written.payload[0]);
    }
    assert.equal(blocks.reads, index + 1);
  }
});

test('the one that was asked for longest ago makes room', needsAddon, (t) => {
  const segment = segmentOf([10, 20, 30]);
  const blocks = new BlockBytes(2);
  const readAt = (index: number): void => {
    const cursor = cursorAt(t, segment, index);
    assert.equal(cursor.next(), CURSOR_BLOCK);
    const payload = blocks.read(cursor.block);
    assert.deepEqual(payload!.bytes.slice(0, payload!.length), segment.blocks[index]!.payload);
  };
  for (const index of [0, 1, 0, 2, 0]) readAt(index);
  assert.equal(blocks.reads, 3);
  readAt(1);
  assert.equal(blocks.reads, 4);
});

test("a damaged payload is nobody's, and its neighbours are whole", needsAddon, (t) => {
  const segment = segmentOf(LENGTHS);
  const bytes = segment.bytes.slice();
  const damaged = segment.blocks[2]!;
  bytes[damaged.endPosition - 1]! ^= 1;
  const cursor = cursorOver(t, segment, bytes);
  const blocks = new BlockBytes();
  for (const written of segment.blocks) {
    assert.equal(cursor.next(), CURSOR_BLOCK);
    assert.equal(blocks.read(cursor.block) === null, written === damaged);
    assert.equal(blocks.read(cursor.block) === null, written === damaged);
  }
  assert.equal(blocks.reads, segment.blocks.length);
});
