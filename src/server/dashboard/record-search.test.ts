import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { SegmentBuilder, temporaryFolder } from '../../../test/support/journal-files.ts';
import { record, text, uint32 } from '../../../test/support/records.ts';
import { compileFilter, parseFilter } from '../../rdr/index.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { BLOCK_HEADER_BYTES } from '../journal/format.ts';
import { BlockStarts } from './block-starts.ts';
import { RecordDoor } from './record-door.ts';
import {
  RecordSearch,
  type SearchAnswer,
  type SearchBounds,
  type SearchQuestion,
} from './record-search.ts';
import type { SearchedJournal } from './source.ts';

const TUR = 0xf0f0f438;
const ARRIVAL_MS = 1_700_000_000_000;
/** Small, so that a small journal has many chunks. */
const SMALL: Partial<SearchBounds> = { chunkBytes: 2_048 };
/** Of every search whose test is not about time: a busy machine must not end it. */
const UNHURRIED: Partial<SearchBounds> = { timeMsMax: 600_000 };

/** A record whose subscriber is its ordinal. */
function numbered(ordinal: number, fillBytes = 0): Buffer {
  return record(TUR, [text(`sub-${ordinal}`), uint32(ordinal), text('x'.repeat(fillBytes))]);
}

interface Written {
  readonly folder: string;
  readonly segments: readonly SegmentBuilder[];
  readonly records: number;
  readonly journal: SearchedJournal;
}

/** Block n arrives n seconds after the first. */
function writeJournal(context: TestContext, blocksBySegment: readonly number[], seed = 1): Written {
  const folder = temporaryFolder(context);
  const random = new Prng(seed);
  const segments: SegmentBuilder[] = [];
  let ordinal = 0;
  let block = 0;
  let position = 0;
  for (const blocks of blocksBySegment) {
    const segment = new SegmentBuilder(position, ordinal);
    for (let i = 0; i < blocks; i++, block++) {
      const recordCount = 1 + (random.nextU32() % 9);
      const payload = Buffer.concat(
        Array.from({ length: recordCount }, (_, n) =>
          numbered(ordinal + n, random.nextU32() % 200),
        ),
      );
      segment.add(payload, { recordCount, arrivalUs: (ARRIVAL_MS + 1_000 * block) * 1_000 });
      ordinal += recordCount;
    }
    segment.writeTo(folder);
    segments.push(segment);
    position = segment.endPosition + (random.nextU32() % 2) * 512;
  }
  const end = segments.at(-1)!.endPosition;
  const journal = { folder, publishedPosition: () => end, categories: () => ({}) };
  return { folder, segments, records: ordinal, journal };
}

function asking(filter: string, limit: number, isWanted = () => true): SearchQuestion {
  return { isChosen: compileFilter(parseFilter(filter)), limit, isWanted };
}

async function search(
  journal: SearchedJournal,
  question: SearchQuestion,
  bounds = SMALL,
  starts = new BlockStarts(512),
): Promise<SearchAnswer> {
  return await new RecordSearch(journal, starts, question, { ...UNHURRIED, ...bounds }).run();
}

function ordinalsOf(answer: SearchAnswer): number[] {
  return answer.records.map(({ ordinal }) => ordinal as number);
}

/** Newest first: from - 1 down to 0. */
function downFrom(from: number): number[] {
  return Array.from({ length: from }, (_, n) => from - 1 - n);
}

test('finds what a walk over everything finds, newest first, over segments and gaps', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const written = writeJournal(t, [40, 0, 1, 60, 30], seed);
  const starts = new BlockStarts(512);
  for (const [modulus, limit] of [
    [1, 1],
    [1, 50],
    [1, 5_000],
    [7, 20],
    [7, 5_000],
    [1_000_000, 3],
  ] as const) {
    const wanted = downFrom(written.records).filter((ordinal) => ordinal % modulus === 0);
    const list = wanted.map((ordinal) => `'sub-${ordinal}'`);
    const filter = modulus === 1 ? '' : `subscriber_id in (${list.join(', ')})`;
    // The second time with what the first has learnt.
    for (let round = 0; round < 2; round++) {
      const answer = await search(written.journal, asking(filter, limit), SMALL, starts);
      const why = `seed ${seed}, every ${modulus}th, limit ${limit}`;
      assert.deepEqual(ordinalsOf(answer), wanted.slice(0, limit), why);
      assert.equal(answer.isWhole, wanted.length < limit, why);
      assert.equal(answer.endedBy, answer.isWhole ? 'journal' : 'limit', why);
      if (answer.isWhole) {
        assert.equal(answer.searchedRecords, written.records, why);
        assert.equal(answer.oldestSearchedMs, ARRIVAL_MS, why);
      }
      for (const { ordinal, fields, position } of answer.records) {
        assert.equal((fields as { subscriber_id: string }).subscriber_id, `sub-${Number(ordinal)}`);
        const block = written.segments
          .flatMap(({ blocks }) => blocks)
          .findLast((one) => one.firstOrdinal <= (ordinal as number))!;
        assert.ok((position as number) >= block.position + BLOCK_HEADER_BYTES, why);
        assert.ok((position as number) < block.endPosition, why);
      }
    }
  }
});

test('what is not published is not read', async (t) => {
  const { journal, segments } = writeJournal(t, [20]);
  const { blocks } = segments[0]!;
  const published = blocks[11]!;
  const answer = await search(
    { ...journal, publishedPosition: () => published.endPosition },
    asking('', 500),
  );
  assert.deepEqual(ordinalsOf(answer), downFrom(blocks[12]!.firstOrdinal));
  const empty = await search({ ...journal, publishedPosition: () => 0 }, asking('', 500));
  assert.deepEqual(empty.records, []);
  assert.equal(empty.oldestSearchedMs, null);
  assert.equal(empty.isWhole, true);
});

test('a damaged block costs its own records, and is told', async (t) => {
  const { journal, folder, segments } = writeJournal(t, [10, 10]);
  const [first] = segments as [SegmentBuilder];
  const payloadHit = first.blocks[3]!;
  const headerHit = first.blocks[7]!;
  const bytes = first.bytes.slice();
  bytes[payloadHit.position + BLOCK_HEADER_BYTES + 30]! ^= 1;
  bytes[headerHit.position + 20]! ^= 1;
  first.writeTo(folder, bytes);
  const answer = await search(journal, asking('', 500));
  const lost = [payloadHit, headerHit].flatMap(({ firstOrdinal, recordCount }) =>
    Array.from({ length: recordCount }, (_, n) => firstOrdinal + n),
  );
  const all = downFrom(segments[1]!.nextOrdinal);
  assert.deepEqual(
    ordinalsOf(answer),
    all.filter((ordinal) => !lost.includes(ordinal)),
  );
  const bytesLost = [payloadHit, headerHit].reduce(
    (sum, { position, endPosition }) => sum + endPosition - position,
    0,
  );
  assert.equal(answer.damagedBytes, bytesLost);
  assert.equal(answer.isWhole, true);
});

test('a header of a block inside of a record is the text that it is', async (t) => {
  const { folder } = writeJournal(t, [0]);
  const segment = new SegmentBuilder(0, 0);
  // What stands in the record is a whole block, with its true position, of another exporter.
  const inside = new SegmentBuilder(segment.endPosition + BLOCK_HEADER_BYTES + 25 - 128, 0);
  inside.add(numbered(666), { exporter: '10.9.9.9' });
  const forged = inside.bytes.subarray(128);
  const hostile = record(TUR, [text(forged)]);
  assert.deepEqual(hostile.subarray(25, 25 + forged.length), Buffer.from(forged));
  segment.add(hostile);
  segment.writeTo(folder);
  const journal = {
    folder,
    publishedPosition: () => segment.endPosition,
    categories: () => ({}),
  };
  const answer = await search(journal, asking('', 10), { chunkBytes: forged.length + 10 });
  assert.deepEqual(
    answer.records.map(({ exporter }) => exporter),
    ['10.1.2.3'],
  );
  assert.equal(answer.damagedBytes, 0);
});

test('a segment that retention takes during the search is not found, and no error', async (t) => {
  const { journal, segments, folder } = writeJournal(t, [20, 20, 20]);
  let looks = 0;
  const isWanted = (): boolean => {
    looks += 1;
    if (looks === 3) for (const one of segments.slice(0, 2)) rmSync(one.writeTo(folder));
    return true;
  };
  const answer = await search(journal, asking('', 500, isWanted), { chunkBytes: 512 });
  const kept = downFrom(segments[2]!.nextOrdinal).filter(
    (ordinal) => ordinal >= segments[2]!.blocks[0]!.firstOrdinal,
  );
  assert.deepEqual(ordinalsOf(answer), kept);
  assert.equal(answer.isWhole, true);
});

test('bytes and time are bounded, and the answer says how far it looked', async (t) => {
  const { journal, segments, records } = writeJournal(t, [60]);
  const { blocks, endPosition } = segments[0]!;
  const answer = await search(journal, asking('', 500), { ...SMALL, bytesMax: 5_000 });
  assert.equal(answer.endedBy, 'bytes');
  assert.equal(answer.isWhole, false);
  assert.ok(answer.searchedBytes >= 5_000 && answer.searchedBytes <= 5_000 + 2 * 2_048);
  const oldest = blocks.findIndex(
    ({ position }) => position === endPosition - answer.searchedBytes,
  );
  assert.equal(answer.oldestSearchedMs, ARRIVAL_MS + 1_000 * oldest);
  assert.equal(answer.searchedRecords, records - blocks[oldest]!.firstOrdinal);
  assert.deepEqual(ordinalsOf(answer), downFrom(records).slice(0, answer.searchedRecords));
  const late = await search(journal, asking('', 500), { ...SMALL, timeMsMax: -1 });
  assert.deepEqual([late.endedBy, late.records.length], ['time', 0]);
  const gone = await search(
    journal,
    asking('', 500, () => false),
  );
  assert.deepEqual([gone.endedBy, gone.searchedRecords], ['gone', 0]);
});

test('others get their turn between slices', async (t) => {
  const { journal, records } = writeJournal(t, [40]);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const answer = await search(journal, asking('', 1), { sliceMs: 0 });
  isOver = true;
  assert.equal(answer.searchedRecords, records);
  // Once for each block at least.
  assert.ok(turns >= 40, `${turns} turns`);
  // Most blocks are walked here only to learn where they begin.
  turns = 0;
  isOver = false;
  setImmediate(count);
  const short = await search(journal, asking('', 1), { ...SMALL, sliceMs: 0 });
  isOver = true;
  assert.ok(short.searchedRecords < records / 2);
  assert.ok(turns >= 40, `${turns} turns`);
});

test('one search at a time; a few wait, the others are told so', async (t) => {
  const { journal } = writeJournal(t, [40, 40]);
  const looks: number[] = [];
  const door = new RecordDoor(journal);
  const ask = async (_: unknown, id: number): Promise<string> => {
    try {
      const { endedBy } = await door.search('', 500, () => looks.push(id) > 0);
      return endedBy;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const answers = await Promise.all(Array.from({ length: 12 }, ask));
  assert.deepEqual(answers.slice(0, 9), new Array(9).fill('journal'));
  assert.deepEqual(answers.slice(9), new Array(3).fill('MR_HTTP_SEARCH'));
  assert.deepEqual(
    looks,
    looks.toSorted((a, b) => a - b),
    'each looks when the one before has ended',
  );
  assert.ok(looks.length >= 2 * 9);
  assert.equal(await ask(null, 12), 'journal');
});

test('a folder that cannot be read is an error for who asked, the next is served', async (t) => {
  const { journal, folder } = writeJournal(t, [3]);
  let place = `${folder}/none`;
  const door = new RecordDoor({
    get folder() {
      return place;
    },
    publishedPosition: journal.publishedPosition,
    categories: () => ({ usage: [TUR] }),
  });
  await assert.rejects(
    door.search('', 1, () => true),
    { code: 'MR_HTTP_SEARCH' },
  );
  place = folder;
  const { records } = await door.search('category = usage', 1, () => true);
  assert.equal(records.length, 1);
  await assert.rejects(
    door.search('category = usagee', 1, () => true),
    { code: 'MR_FILTER' },
  );
});
