import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
  type WrittenBlock,
} from '../../../test/support/journal-files.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { SegmentBlockSource } from './block-source.ts';
import { SEGMENT_HEAD_BYTES } from './format.ts';
import { type Damage, JournalReader } from './reader.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

/** Segments with random blocks and gaps; returns them, not yet written to disk. */
function randomJournal(prng: Prng): SegmentBuilder[] {
  const segments: SegmentBuilder[] = [];
  let position = prng.below(2) * 100_000;
  let ordinal = 0;
  for (let s = 1 + prng.below(4); s > 0; s--) {
    const segment = new SegmentBuilder(position, ordinal);
    for (let b = prng.below(6); b > 0; b--) {
      segment.add(samplePayload(prng.below(600), prng.below(256)), {
        recordCount: prng.below(20),
      });
    }
    segments.push(segment);
    ordinal = segment.nextOrdinal;
    position = segment.endPosition + prng.below(2) * prng.below(10_000);
  }
  return segments;
}

/** Damages some bytes behind the segment's head; returns the touched positions. */
function damageSome(prng: Prng, segment: SegmentBuilder, bytes: Uint8Array): Set<number> {
  const touched = new Set<number>();
  if (bytes.length <= SEGMENT_HEAD_BYTES || prng.chance(0.5)) return touched;
  const from = SEGMENT_HEAD_BYTES + prng.below(bytes.length - SEGMENT_HEAD_BYTES);
  const to = Math.min(bytes.length, from + 1 + prng.below(prng.chance(0.5) ? 4 : 400));
  for (let at = from; at < to; at++) {
    bytes[at] = bytes[at]! ^ (1 + prng.below(255));
    touched.add(segment.position + at);
  }
  return touched;
}

function isTouched(block: WrittenBlock, touched: Set<number>): boolean {
  for (const position of touched) {
    if (block.position <= position && position < block.endPosition) return true;
  }
  return false;
}

test(`random damage: untouched blocks come out whole, the rest is counted (seed ${SEED})`, (t) => {
  const prng = new Prng(SEED);
  for (let round = 0; round < 300; round++) {
    const folder = temporaryFolder(t);
    const segments = randomJournal(prng);
    const touched = new Set<number>();
    for (const segment of segments) {
      const bytes = segment.bytes.slice();
      for (const position of damageSome(prng, segment, bytes)) touched.add(position);
      segment.writeTo(folder, bytes);
    }
    const last = new SegmentBuilder(segments.at(-1)!.endPosition + 1);
    last.writeTo(folder);
    const all = segments.flatMap((segment) => segment.blocks);
    const good = all.filter((block) => !isTouched(block, touched));
    let damagedBytes = 0;
    const onDamage = (damage: Damage): void => {
      damagedBytes += damage.bytes;
    };
    const reader = new JournalReader(folder, { onDamage });
    const found: number[] = [];
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      found.push(block.header.position);
    }
    reader.close();
    const where = `seed ${SEED}, round ${round}`;
    assert.deepEqual(
      found,
      good.map((block) => block.position),
      where,
    );
    const size = (blocks: readonly WrittenBlock[]): number =>
      blocks.reduce((sum, block) => sum + block.endPosition - block.position, 0);
    assert.equal(damagedBytes, size(all) - size(good), where);
    assert.equal(reader.skippedBytes, damagedBytes, where);
  }
});

test(`SegmentBlockSource gives the same blocks from any start (seed ${SEED})`, (t) => {
  const prng = new Prng(SEED ^ 1);
  for (let round = 0; round < 100; round++) {
    const folder = temporaryFolder(t);
    const segments = randomJournal(prng);
    for (const segment of segments) segment.writeTo(folder);
    const all = segments.flatMap((segment) => segment.blocks);
    const from = prng.below(all.length + 1);
    const position = all[from]?.position ?? segments.at(-1)!.endPosition;
    const source = new SegmentBlockSource(folder, { position });
    for (const expected of all.slice(from)) {
      const block = source.tryNext();
      assert.equal(block?.header.position, expected.position, `seed ${SEED}, round ${round}`);
      assert.equal(source.position, expected.endPosition);
      source.release();
    }
    assert.equal(source.tryNext(), null);
    assert.equal(source.skippedBytes, 0);
    assert.equal(source.source, 'segments');
    source.close();
  }
});
