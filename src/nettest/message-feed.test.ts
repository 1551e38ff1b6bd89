import assert from 'node:assert/strict';
import { fstatSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { addonSkipReason } from '../toolkit/sys/load.ts';
import { GOOD, MessageChecker } from './message-checker.ts';
import { alignedStride, makeFileFeed, makePageFeed, makePayloadFeed } from './message-feed.ts';

const skip = addonSkipReason();
const OPTIONS = {
  messageBytes: 5000,
  fill: 'always',
  hasCrc: true,
  hasStamps: true,
  poolBytes: 32_768,
  isHuge: false,
} as const;

function check(bytes: Uint8Array, offset: number): number {
  return new MessageChecker(bytes, OPTIONS).check(offset);
}

test('pages: one message a page, none when all are held, the same one again when free', {
  skip,
}, () => {
  const feed = makePageFeed(OPTIONS);
  assert.deepEqual([feed.roomCount, feed.strideBytes], [4, 8192]);
  const cursors = Array.from({ length: 5 }, (_, connection) => feed.cursor(connection));
  for (const cursor of cursors.slice(0, 4)) {
    assert.equal(cursor.next(0), true);
    const { source } = cursor;
    assert.ok(source.kind === 'page');
    assert.equal(check(source.bytes, source.start), GOOD);
  }
  assert.equal(cursors[4]!.next(0), false);
  cursors[2]!.done();
  assert.equal(cursors[4]!.next(0), true);
  const [third, fifth] = [cursors[2]!.source, cursors[4]!.source];
  assert.equal(fifth, third);
});

test('pages that are filled once keep their message', { skip }, () => {
  const feed = makePageFeed({ ...OPTIONS, fill: 'once' });
  const cursor = feed.cursor(0);
  cursor.next(0);
  const { source } = cursor;
  assert.ok(source.kind === 'page');
  const first = source.bytes.slice(source.start, source.start + OPTIONS.messageBytes);
  cursor.done();
  cursor.next(1);
  assert.equal(cursor.source, source);
  const second = source.bytes.slice(source.start, source.start + OPTIONS.messageBytes);
  assert.deepEqual(second, first);
});

test('payload: a ring of good messages that differ', { skip }, () => {
  for (const stride of [OPTIONS.messageBytes, alignedStride(OPTIONS.messageBytes)]) {
    const feed = makePayloadFeed(OPTIONS, stride, 32_768);
    const cursor = feed.cursor(0);
    const offsets = Array.from({ length: feed.roomCount + 1 }, (_, sequence) => {
      cursor.next(sequence);
      return cursor.offset;
    });
    assert.equal(offsets.at(-1), 0);
    assert.deepEqual(
      offsets.slice(0, -1),
      Array.from({ length: feed.roomCount }, (_, index) => index * stride),
    );
    const bytes = feed.payload.bytes.slice();
    const lone = new Uint8Array(alignedStride(OPTIONS.messageBytes));
    const seen = new Set<string>();
    for (const offset of offsets.slice(0, -1)) {
      lone.set(bytes.subarray(offset, offset + OPTIONS.messageBytes));
      assert.equal(check(lone, 0), GOOD);
      seen.add(Buffer.from(lone).toString('hex'));
    }
    assert.equal(seen.size, feed.roomCount);
  }
});

test('file: the same messages, in a file without a name', () => {
  const feed = makeFileFeed(OPTIONS);
  const cursor = feed.cursor(0);
  cursor.next(3);
  assert.ok(cursor.source.kind === 'file');
  assert.equal(fstatSync(cursor.source.fd).nlink, 0);
  const bytes = new Uint8Array(8192);
  readSync(cursor.source.fd, bytes, 0, OPTIONS.messageBytes, cursor.offset);
  assert.equal(check(bytes, 0), GOOD);
  feed.close();
});
