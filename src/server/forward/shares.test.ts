/**
 * Shares by block: strict turns, which every member knows from a block's header alone, whatever it
 * has not read; and no block goes to two members or to none, whoever reads when.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
} from '../../../test/support/journal-files.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/load.ts';
import { makeBlockHeader } from '../journal/format.ts';
import { BlockBytes } from './block-bytes.ts';
import { BlockCursor, CURSOR_BLOCK, type CursorBlock } from './block-cursor.ts';
import { SELECT_FULL } from './channel-parts.ts';
import { Epochs } from './epochs.ts';
import { Gather, GatherPool } from './gather.ts';
import { SegmentFiles } from './segment-files.ts';
import { Pieces, wholeBlock } from './selection.ts';
import { Shares } from './shares.ts';

const BLOCK_BYTES = 1_000;
const skip = addonSkipReason() ?? false;

/** The block with this ordinal, in a journal of blocks of one size. */
function blockOf(blockOrdinal: number, position = blockOrdinal * BLOCK_BYTES): CursorBlock {
  const header = { ...makeBlockHeader(), position, blockOrdinal, recordCount: 3 };
  const segment = { fd: -1, position: 0 };
  return { header, segment, fileOffset: 0, length: 64, position, endPosition: position + 192 };
}

/** As each member has them: nothing is shared between two of these but the epochs. */
function sharesOf(epochs: Epochs): Shares {
  return new Shares({
    how: { by: 'block' },
    epochs,
    whole: { select: wholeBlock },
    predicate: null,
    bytes: new BlockBytes(),
    pieces: new Pieces(new Gather(new GatherPool())),
  });
}

function takes(shares: Shares, member: string, block: CursorBlock): boolean {
  const selected = shares.selectorOf(member).select(block);
  assert.ok(typeof selected !== 'string');
  assert.ok(selected.records === 0 || selected.records === block.header.recordCount, 'all or none');
  return selected.records > 0;
}

/** Who takes the block; exactly one of all. */
function takerOf(shares: Shares, all: readonly string[], block: CursorBlock): string {
  const takers = all.filter((member) => takes(shares, member, block));
  assert.equal(takers.length, 1, `block ${block.header.blockOrdinal}: ${takers.join()}`);
  return takers[0]!;
}

test('consecutive blocks go to the members one after the other, without an exception', () => {
  for (const count of [1, 2, 3, 5, 8]) {
    const members = Array.from({ length: count }, (_, i) => `m${i}`);
    const shares = sharesOf(new Epochs([{ position: 0, members }]));
    for (const first of [0, 1, 2 ** 32 - 5, 2 ** 45 + 1]) {
      for (let ordinal = first; ordinal < first + 40; ordinal++) {
        // Where a block stands and how large it is says nothing.
        const block = blockOf(ordinal, 128 + ((ordinal * 7_919) % 1_000_003));
        assert.equal(takerOf(shares, members, block), members[ordinal % count]);
      }
    }
  }
});

test('the order is that of the names, however the group was configured', () => {
  const epochs = new Epochs([{ position: 0, members: ['a', 'b', 'c'] }]);
  assert.equal(epochs.add(0, ['c', 'a', 'b']), false);
  const shares = sharesOf(epochs);
  const turns = [0, 1, 2, 3].map((i) => takerOf(shares, ['c', 'b', 'a'], blockOf(i)));
  assert.deepEqual(turns, ['a', 'b', 'c', 'a']);
});

test('behind a change that is not on disk nobody says anything', () => {
  const members = ['a', 'b'];
  const epochs = new Epochs([{ position: 0, members }]);
  const shares = sharesOf(epochs);
  epochs.heldPosition = 10 * BLOCK_BYTES;
  assert.equal(takerOf(shares, members, blockOf(9)), 'b');
  for (const member of members) {
    for (const ordinal of [10, 11]) {
      assert.equal(shares.selectorOf(member).select(blockOf(ordinal)), SELECT_FULL);
    }
  }
});

test('from an epoch on its members alone have turns, and all of them', () => {
  const all = ['a', 'b', 'c', 'd'];
  const epochs = new Epochs([{ position: 0, members: all }]);
  epochs.add(10 * BLOCK_BYTES, ['a', 'c', 'd']);
  epochs.add(20 * BLOCK_BYTES, ['d']);
  epochs.add(30 * BLOCK_BYTES, all);
  const shares = sharesOf(epochs);
  const turns = Array.from({ length: 40 }, (_, i) => takerOf(shares, all, blockOf(i)));
  assert.equal(turns.slice(0, 10).join(''), 'abcdabcdab');
  assert.equal(turns.slice(10, 20).join(''), 'cdacdacdac');
  assert.equal(turns.slice(20, 30).join(''), 'dddddddddd');
  assert.equal(turns.slice(30, 40).join(''), 'cdabcdabcd');
  // A member that comes there an hour later, with nothing but the epochs, has decided the same.
  const later = sharesOf(epochs);
  for (let i = 39; i >= 0; i--) assert.equal(takerOf(later, all, blockOf(i)), turns[i]);
});

test('who has missed blocks knows whose turn the next one is', () => {
  const members = ['a', 'b', 'c'];
  const epochs = new Epochs([{ position: 0, members }]);
  const seed = randomInt(2 ** 32);
  const prng = new Prng(seed);
  const turns = 'abc';
  for (const member of members) {
    const shares = sharesOf(epochs);
    for (let ordinal = 0; ordinal < 2_000; ordinal += 1 + prng.below(9)) {
      const isMine = takes(shares, member, blockOf(ordinal));
      assert.equal(isMine, turns[ordinal % 3] === member, `seed ${seed}: block ${ordinal}`);
    }
  }
});

test('random members, readers and gaps: each block is taken by one, and no other', () => {
  const seed = randomInt(2 ** 32);
  const prng = new Prng(seed);
  const all = ['a', 'b', 'c', 'd', 'e'];
  const blocks = 400;
  for (let round = 0; round < 30; round++) {
    const epochs = new Epochs([{ position: 0, members: all }]);
    const lives = all.map((name) => ({ name, at: 0, shares: sharesOf(epochs) }));
    const taken = new Int32Array(blocks);
    const isLost = Array.from({ length: blocks }, () => prng.chance(0.1));
    while (Math.min(...lives.map(({ at }) => at)) < blocks) {
      const life = lives[prng.below(lives.length)]!;
      if (prng.chance(0.05)) life.shares = sharesOf(epochs);
      if (life.at < blocks) {
        // Damaged for one is damaged for all: nobody gets it, and the turns of others stay.
        if (!isLost[life.at] && takes(life.shares, life.name, blockOf(life.at))) taken[life.at]!++;
        life.at++;
      }
      if (!prng.chance(0.02)) continue;
      const members = all.filter(() => prng.chance(0.6));
      const readTo = Math.max(...lives.map(({ at }) => at)) * BLOCK_BYTES;
      if (members.length > 0) epochs.add(readTo, members);
      epochs.prune(Math.min(...lives.map(({ at }) => at)) * BLOCK_BYTES);
    }
    for (let i = 0; i < blocks; i++) {
      assert.equal(taken[i], isLost[i] ? 0 : 1, `seed ${seed} round ${round}: block ${i}`);
    }
  }
});

test('files: a damaged header costs one turn, a new segment and a restart none', { skip }, (t) => {
  const folder = temporaryFolder(t);
  const blockCount = 6;
  const damaged = 3;
  let segment: SegmentBuilder | undefined;
  for (let number = 0; number < 3; number++) {
    // Behind the first there is the gap of a restart.
    const position = (segment?.endPosition ?? 0) + (number === 1 ? 5_000 : 0);
    segment = new SegmentBuilder(position, segment?.nextOrdinal, segment?.nextBlockOrdinal);
    for (let i = 0; i < blockCount; i++) segment.add(samplePayload(50 + 13 * i, number));
    const path = segment.writeTo(folder);
    if (number !== 0) continue;
    const bytes = segment.bytes.slice();
    // In the ordinal of the block itself: the header's checksum has to know it.
    bytes[segment.blocks[damaged]!.position + 88]! ^= 1;
    writeFileSync(path, bytes);
  }
  const { endPosition } = segment!;
  const members = ['a', 'b', 'c', 'd'];
  const epochs = new Epochs([{ position: 0, members }]);
  const seen = members.map((member) => {
    const shares = sharesOf(epochs);
    const files = new SegmentFiles(folder);
    const limitPosition = (): number => endPosition;
    const cursor = new BlockCursor({ files, limitPosition, position: 0, ordinal: 0 });
    cursor.waitBelow(POSITION_MAX);
    const ordinals: number[] = [];
    while (cursor.next() === CURSOR_BLOCK) {
      const { block } = cursor;
      if (takes(shares, member, block)) ordinals.push(block.header.blockOrdinal);
    }
    assert.deepEqual({ ...cursor.takeLost() }, { retention: 0, damaged: 1 });
    cursor.close();
    return ordinals;
  });
  assert.deepEqual(seen, [
    [0, 4, 8, 12, 16],
    [1, 5, 9, 13, 17],
    [2, 6, 10, 14],
    [7, 11, 15],
  ]);
});
