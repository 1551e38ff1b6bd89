import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentBuilder, temporaryFolder } from '../../../test/support/journal-files.ts';
import { makeFieldFinder } from '../../rdr/filter/field-finder.ts';
import { wallMs } from '../../toolkit/base/clock.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { BlockBytes } from './block-bytes.ts';
import { BlockCursor, CURSOR_BLOCK, type CursorBlock } from './block-cursor.ts';
import type { BlockSelector } from './channel-parts.ts';
import { Epochs } from './epochs.ts';
import { FRESH_MS, isFresh } from './fresh.ts';
import { Gather, GatherPool } from './gather.ts';
import { SegmentFiles } from './segment-files.ts';
import { FilterSelection, Pieces, wholeBlock } from './selection.ts';
import { Shares } from './shares.ts';

const needsAddon = { skip: addonSkipReason() };

test('what was written a moment ago is fresh; what is old, or of the future, is not', () => {
  const atMs = (ageMs: number): boolean => isFresh({ arrivalUs: (wallMs() - ageMs) * 1000 });
  assert.equal(atMs(FRESH_MS / 2), true);
  assert.equal(atMs(FRESH_MS + 1000), false);
  assert.equal(atMs(-60_000), false);
});

test(
  'records that do not add up are damage, whether or not a checksum was asked',
  needsAddon,
  (t) => {
    const folder = temporaryFolder(t);
    const segment = new SegmentBuilder();
    const noRecords = new Uint8Array(300).fill(0x41);
    segment.add(noRecords, { arrivalUs: wallMs() * 1000, recordCount: 7 });
    segment.add(noRecords, { recordCount: 7 });
    segment.writeTo(folder, segment.bytes);
    const cursor = new BlockCursor({
      files: new SegmentFiles(folder),
      limitPosition: () => segment.endPosition,
      position: 0,
    });
    t.after(() => cursor.close());
    const pieces = (): Pieces => new Pieces(new Gather(new GatherPool()));
    const bytes = new BlockBytes();
    const shares = new Shares({
      how: { by: 'field', finder: makeFieldFinder('subscriber_id') },
      epochs: new Epochs([{ position: 0, members: ['a', 'b'] }]),
      whole: { select: wholeBlock },
      predicate: null,
      bytes,
      pieces: pieces(),
    });
    const selectors: BlockSelector[] = [
      new FilterSelection(() => true, bytes, pieces()),
      shares.selectorOf('a'),
    ];
    for (let block = 0; block < 2; block++) {
      assert.equal(cursor.next(), CURSOR_BLOCK);
      const current: CursorBlock = cursor.block;
      for (const selector of selectors) assert.equal(selector.select(current), 'damaged');
    }
  },
);
