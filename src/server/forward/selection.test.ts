/**
 * Selection, shares, gather: what is sent of a block, against a reference that looks at one record
 * after the other: random blocks, filters, members that come and go.
 */
import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { JournalFeed } from '../../../test/support/forward-engine.ts';
import { compileFilter } from '../../rdr/filter/compile.ts';
import { makeFieldFinder } from '../../rdr/filter/field-finder.ts';
import { parseFilter } from '../../rdr/filter/parser.ts';
import { frameLength, readRecord } from '../../rdr/index.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/load.ts';
import { BlockBytes } from './block-bytes.ts';
import { BlockCursor, CURSOR_BLOCK, type CursorBlock } from './block-cursor.ts';
import type { Selected, SelectResult } from './channel-parts.ts';
import { Epochs } from './epochs.ts';
import { GATHER_BUFFER_BYTES, Gather, GatherPool } from './gather.ts';
import { SegmentFiles } from './segment-files.ts';
import { FilterSelection, Pieces, wholeBlock } from './selection.ts';
import { Shares, type SharesBy } from './shares.ts';

const skip = addonSkipReason();
const BLOCKS = 60;

/** Bytes of a block's records, one after the other. */
function recordsOf(block: CursorBlock): Buffer[] {
  const payload = Buffer.alloc(block.length);
  readSync(block.segment.fd, payload, 0, block.length, block.fileOffset);
  const records: Buffer[] = [];
  for (let at = 0; at < payload.length; at += frameLength(payload, at)) {
    records.push(payload.subarray(at, at + frameLength(payload, at)));
  }
  return records;
}

function bytesOf(block: CursorBlock, { pieces }: Selected): Buffer {
  return Buffer.concat(
    pieces.map(({ bytes, memory, payloadOffset }) => {
      const piece = Buffer.alloc(bytes);
      if (memory !== null) piece.set(memory.bytes.subarray(memory.offset, memory.offset + bytes));
      else readSync(block.segment.fd, piece, 0, bytes, block.fileOffset + payloadOffset);
      return piece;
    }),
  );
}

function selected(result: SelectResult): Selected {
  assert.ok(typeof result !== 'string', 'there is memory, and no damage');
  return result;
}

/** Walks a journal of random blocks. */
function eachBlock(t: TestContext, seed: number, onBlock: (block: CursorBlock) => void): void {
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  const feed = new JournalFeed(seed, 3);
  t.after(() => feed.close());
  for (let i = 0; i < BLOCKS; i++) {
    feed.append(prng.below(3), prng.chance(0.3) ? 1 : prng.below(60_000));
  }
  const limitPosition = (): number => feed.shared.publishedPosition;
  const files = new SegmentFiles(feed.journal);
  const cursor = new BlockCursor({ files, limitPosition, position: 0 });
  cursor.waitBelow(POSITION_MAX);
  let blocks = 0;
  for (; cursor.next() === CURSOR_BLOCK; blocks++) onBlock(cursor.block);
  cursor.close();
  assert.equal(blocks, BLOCKS);
}

/** A filter by a record's bytes, that chooses `share` of them, in runs or alone. */
function randomPredicate(salt: number, share: number) {
  return (bytes: Uint8Array, offset: number, length: number): boolean => {
    let hash = salt;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[offset + i]!, 16_777_619);
    return (hash >>> 8) / 2 ** 24 < share;
  };
}

for (const share of [0, 0.02, 0.5, 0.98, 1]) {
  for (const gatherBelowBytes of [1, 700, 16_384]) {
    const what = `${100 * share} of 100 records, runs below ${gatherBelowBytes} bytes gathered`;
    test(`a filter's pieces are the chosen records, in order: ${what}`, { skip }, (t) => {
      const chooses = randomPredicate(share, share);
      const pool = new GatherPool();
      const gather = new Gather(pool);
      const selection = new FilterSelection(
        (bytes, _view, offset, length) => chooses(bytes, offset, length),
        new BlockBytes(),
        new Pieces(gather, gatherBelowBytes),
      );
      eachBlock(t, 100, (block) => {
        const expected = recordsOf(block).filter((one) => chooses(one, 0, one.length));
        const answer = selected(selection.select(block));
        assert.ok(bytesOf(block, answer).equals(Buffer.concat(expected)));
        assert.equal(answer.records, expected.length);
        assert.equal(
          answer.pieces.reduce((sum, piece) => sum + piece.records, 0),
          expected.length,
        );
        for (const piece of answer.pieces) {
          if (piece.memory === null) continue;
          assert.equal(piece.payloadOffset, 0);
          assert.ok(piece.memory.bytes.length === GATHER_BUFFER_BYTES);
        }
        assert.equal(selection.select(block), answer, 'worked out once');
      });
      selection.close();
      assert.equal(pool.heldCount, 0, 'whoever ends lets go of all');
    });
  }
}

const HOWS: readonly { readonly name: string; readonly how: SharesBy }[] = [
  { name: 'block', how: { by: 'block' } },
  { name: 'exporter', how: { by: 'exporter' } },
  { name: 'subscriber', how: { by: 'field', finder: makeFieldFinder('subscriber_id') } },
];

/** What decides about a record. */
function keyOf(name: string, block: CursorBlock, record: Buffer): string {
  if (name === 'block') return `block ${block.position}`;
  const exporter = `exporter ${Buffer.from(block.header.exporter).toString('hex')}`;
  if (name === 'exporter') return exporter;
  const read = readRecord(new Uint8Array(record));
  const subscriber = read.kind === 'record' ? read.values.subscriber_id : undefined;
  return subscriber === undefined ? exporter : `subscriber ${subscriber}`;
}

for (const { name, how } of HOWS) {
  for (const filter of ['', 'tag != TRANSACTION_USAGE']) {
    test(`shares by ${name}: each chosen record once, one key to one member: '${filter}'`, {
      skip,
    }, (t) => {
      const all = ['farm/a', 'farm/b', 'farm/c', 'farm/d'];
      const prng = new Prng(7);
      const predicate = filter === '' ? null : compileFilter(parseFilter(filter));
      const bytes = new BlockBytes();
      const pool = new GatherPool();
      const pieces = new Pieces(new Gather(pool), 700);
      const filtered = predicate === null ? null : new FilterSelection(predicate, bytes, pieces);
      const whole = filtered ?? { select: wholeBlock };
      const epochs = new Epochs([{ position: 0, members: all }]);
      const shares = new Shares({ how, epochs, whole, predicate, bytes, pieces });
      /** By the members that were there. */
      const takerByKey = new Map<string, Map<string, string>>();
      eachBlock(t, 200, (block) => {
        if (prng.chance(0.1)) {
          const members = all.filter(() => prng.chance(0.6));
          if (members.length > 0) epochs.add(block.position, members);
        }
        const { members } = epochs.at(block.position);
        const set = members.join();
        if (!takerByKey.has(set)) takerByKey.set(set, new Map());
        const takers = takerByKey.get(set)!;
        const parts = all.map((member) => ({ member, rest: [] as Buffer[] }));
        for (const part of parts) {
          const answer = selected(shares.selectorOf(part.member).select(block));
          const sent = bytesOf(block, answer);
          for (let at = 0; at < sent.length; at += frameLength(sent, at)) {
            part.rest.push(sent.subarray(at, at + frameLength(sent, at)));
          }
          assert.equal(part.rest.length, answer.records);
          if (!members.includes(part.member)) assert.equal(answer.records, 0);
        }
        for (const record of recordsOf(block)) {
          const view = new DataView(record.buffer, record.byteOffset, record.length);
          const { exporter } = block.header;
          if (!(predicate?.(record, view, 0, record.length, exporter) ?? true)) continue;
          const key = keyOf(name, block, record);
          const takes = parts.filter(({ rest }) => rest[0]?.equals(record));
          const known = takers.get(key);
          const taker = known === undefined ? takes[0] : parts.find((p) => p.member === known);
          assert.ok(taker !== undefined, `${key}: somebody's`);
          assert.ok(taker.rest.shift()?.equals(record), `${key}: whose it is, and in its order`);
          takers.set(key, taker.member);
        }
        for (const { rest, member } of parts) assert.equal(rest.length, 0, `${member}: no more`);
      });
      // Rendezvous: a key moves only when its member goes.
      const ofAll = takerByKey.get(all.join())!;
      for (const [set, takers] of takerByKey) {
        for (const [key, taker] of takers) {
          const before = ofAll.get(key);
          if (before !== undefined && set.split(',').includes(before)) assert.equal(taker, before);
        }
      }
      shares.close();
      filtered?.close();
      assert.equal(pool.heldCount, 0, 'whoever ends lets go of all');
    });
  }
}

test('gathered bytes that somebody holds are never written again', () => {
  const prng = new Prng(3);
  const pool = new GatherPool(16);
  const gather = new Gather(pool);
  const held: { buffer: NonNullable<ReturnType<Gather['room']>>; at: number; mark: number }[] = [];
  let refusals = 0;
  for (let step = 0; step < 20_000; step++) {
    const bytes = 1 + prng.below(GATHER_BUFFER_BYTES / 4);
    const buffer = gather.room(bytes);
    if (buffer === null) refusals++;
    else {
      buffer.retain();
      held.push({ buffer, at: buffer.used, mark: step & 0xff });
      buffer.bytes[buffer.used] = step & 0xff;
      buffer.used += bytes;
    }
    assert.ok(pool.heldCount <= 16);
    while (held.length > 0 && prng.chance(buffer === null ? 0.9 : 0.45)) {
      const [gone] = held.splice(prng.below(held.length), 1);
      assert.equal(gone!.buffer.bytes[gone!.at], gone!.mark);
      gone!.buffer.release();
    }
  }
  assert.ok(refusals > 0, 'the bound was met');
  for (const { buffer } of held) buffer.release();
  gather.close();
  assert.equal(pool.heldCount, 0);
});
