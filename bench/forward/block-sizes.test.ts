import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { listSegments } from '../../src/server/journal/segment-list.ts';
import { addonSkipReason } from '../../src/toolkit/sys/load.ts';
import { JournalFeed } from '../../test/support/forward-engine.ts';
import { blockBytes, newestBlockBytes } from './block-sizes.ts';

const SIZES = [1_000, 40_000, 3_000, 60_000];

test('the payload bytes of each block, of the newest segment that is whole', {
  skip: addonSkipReason(),
}, (t) => {
  const feed = new JournalFeed(1, 1);
  t.after(() => feed.close());
  assert.deepEqual(newestBlockBytes(feed.journal), [], 'there is none yet');
  const lengths = [feed.append(0, 500)];
  assert.deepEqual(newestBlockBytes(feed.journal), lengths, 'the only one');
  for (let round = 0; round < 8; round++) {
    for (const bytes of SIZES) lengths.push(feed.append(0, bytes));
  }
  const segments = listSegments(feed.journal);
  assert.ok(segments.length >= 3);
  const found = segments.map(({ path }) => blockBytes(path));
  assert.deepEqual(found.flat(), lengths, 'all of them, in order');
  assert.deepEqual(newestBlockBytes(feed.journal), found.at(-2));
  assert.throws(() => blockBytes(join(feed.journal, 'none')), { code: 'ENOENT' });
});
