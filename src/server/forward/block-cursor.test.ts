import assert from 'node:assert/strict';
import { closeSync, openSync, renameSync, truncateSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  SegmentBuilder,
  samplePayload,
  temporaryFolder,
  type WrittenBlock,
} from '../../../test/support/journal-files.ts';
import { JournalRig } from '../../../test/support/journal-rig.ts';
import { withoutFds } from '../../../test/support/without-fds.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { failCall } from '../../toolkit/sys/faults.ts';
import { addonSkipReason, EACCES, pread } from '../../toolkit/sys/index.ts';
import { native, replaceNative } from '../../toolkit/sys/load.ts';
import { segmentName } from '../journal/format.ts';
import { JournalReader } from '../journal/reader.ts';
import {
  BlockCursor,
  CURSOR_BLOCK,
  CURSOR_NOTHING,
  type LostRecords,
  ORDINAL_UNKNOWN,
} from './block-cursor.ts';
import { AGAIN_MS_MAX, SegmentFiles } from './segment-files.ts';

const needsAddon = { skip: addonSkipReason() };
const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);
const FIRST_ORDINAL = 1_000;

interface Journal {
  readonly folder: string;
  readonly segments: readonly SegmentBuilder[];
  readonly blocks: readonly WrittenBlock[];
  readonly endPosition: number;
  readonly endOrdinal: number;
}

/** Three segments on disk, with `gap` positions between them that hold nothing. */
function makeJournal(t: TestContext, gap = 0): Journal {
  const folder = temporaryFolder(t);
  const segments: SegmentBuilder[] = [];
  let position = 5_000;
  let ordinal = FIRST_ORDINAL;
  for (let s = 0; s < 3; s++) {
    const segment = new SegmentBuilder(position, ordinal);
    for (let b = 0; b < 4; b++) {
      // One without a payload, too.
      segment.add(samplePayload(b === 2 ? 0 : 9 + 5 * b, s), { recordCount: 1 + b + s });
    }
    segment.writeTo(folder);
    segments.push(segment);
    position = segment.endPosition + gap;
    ordinal = segment.nextOrdinal;
  }
  const endPosition = segments[2]!.endPosition;
  const blocks = segments.flatMap((segment) => segment.blocks);
  return { folder, segments, blocks, endPosition, endOrdinal: ordinal };
}

interface Walk {
  readonly positions: number[];
  readonly records: number;
  readonly lost: LostRecords;
}

/** Reads on until there is nothing, as from a warm cache. */
function walk(cursor: BlockCursor): Walk {
  const positions: number[] = [];
  let records = 0;
  cursor.waitBelow(Number.MAX_SAFE_INTEGER);
  for (let step = cursor.next(); step !== CURSOR_NOTHING; step = cursor.next()) {
    assert.equal(step, CURSOR_BLOCK);
    const { block } = cursor;
    assert.equal(block.header.position, block.position);
    assert.equal(cursor.position, block.endPosition);
    assert.equal(cursor.ordinal, block.header.firstOrdinal + block.header.recordCount);
    positions.push(block.position);
    records += block.header.recordCount;
  }
  return { positions, records, lost: { ...cursor.takeLost() } };
}

function cursorOf(journal: Journal, position = 0, ordinal = FIRST_ORDINAL): BlockCursor {
  const files = new SegmentFiles(journal.folder);
  const limitPosition = (): number => journal.endPosition;
  return new BlockCursor({ files, limitPosition, position, ordinal });
}

function positionsOf(blocks: readonly WrittenBlock[]): number[] {
  return blocks.map((block) => block.position);
}

function recordsOf(blocks: readonly WrittenBlock[]): number {
  return blocks.reduce((sum, block) => sum + block.recordCount, 0);
}

test('every block once, with its place in the file', needsAddon, (t) => {
  for (const gap of [0, 777]) {
    const journal = makeJournal(t, gap);
    const files = new SegmentFiles(journal.folder);
    const limitPosition = (): number => journal.endPosition;
    const cursor = new BlockCursor({ files, limitPosition, position: 0 });
    assert.equal(cursor.ordinal, ORDINAL_UNKNOWN);
    for (const written of journal.blocks) {
      assert.equal(cursor.next(), CURSOR_BLOCK);
      const { block } = cursor;
      assert.equal(block.position, written.position);
      assert.equal(block.endPosition, written.endPosition);
      assert.equal(block.header.firstOrdinal, written.firstOrdinal);
      const bytes = new Uint8Array(block.length);
      assert.equal(
        pread(block.segment.fd, bytes, 0, block.length, block.fileOffset),
        written.payload.length,
      );
      assert.deepEqual(bytes, written.payload);
      assert.equal(files.openCount, 1);
    }
    assert.equal(cursor.next(), CURSOR_NOTHING);
    assert.deepEqual(cursor.takeLost(), { retention: 0, damaged: 0 });
    cursor.close();
    assert.equal(files.openCount, 0);
  }
});

test('nothing at or above the limit is read', needsAddon, (t) => {
  const journal = makeJournal(t);
  const files = new SegmentFiles(journal.folder);
  let limit = 0;
  const cursor = new BlockCursor({ files, limitPosition: () => limit, position: 0 });
  const before = native();
  let highest = 0;
  const [segment] = journal.segments;
  replaceNative({
    ...before,
    preadNoWait: (fd, bytes, offset, length, fileOffset) => {
      if (cursor.position < segment!.endPosition) {
        highest = Math.max(highest, segment!.position + fileOffset + length);
      }
      return before.preadNoWait(fd, bytes, offset, length, fileOffset);
    },
  });
  t.after(() => replaceNative(before));
  for (const [index, { endPosition }] of journal.blocks.entries()) {
    assert.equal(cursor.next(), CURSOR_NOTHING);
    assert.ok(highest <= limit, `read up to ${highest}, the limit is ${limit}`);
    limit = endPosition;
    assert.equal(cursor.next(), CURSOR_BLOCK, `block ${index}`);
    assert.equal(cursor.position, limit);
  }
  assert.equal(cursor.next(), CURSOR_NOTHING);
  assert.deepEqual(cursor.takeLost(), { retention: 0, damaged: 0 });
  cursor.close();
});

/** What the journal's own reader says: blocks, and those whose payload alone is damaged. */
function readerSays(journal: Journal): number[] {
  const positions: number[] = [];
  const reader = new JournalReader(journal.folder, {
    limitPosition: () => journal.endPosition,
    onDamage: (damage) => {
      if (damage.kind === 'payload') positions.push(damage.position);
    },
  });
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    positions.push(block.header.position);
  }
  reader.close();
  return positions.sort((a, b) => a - b);
}

function assertAccounted(journal: Journal, where: string): void {
  const cursor = cursorOf(journal);
  const { positions, records, lost } = walk(cursor);
  assert.deepEqual(positions, readerSays(journal), where);
  const behind = journal.endOrdinal - cursor.ordinal;
  assert.equal(FIRST_ORDINAL + records + lost.damaged + behind, journal.endOrdinal, where);
  assert.equal(lost.retention, 0, where);
  cursor.close();
}

test(
  'a byte flipped anywhere: blocks as the reader has them, the rest is lost',
  needsAddon,
  (t) => {
    for (const index of [1, 2]) {
      const journal = makeJournal(t);
      const segment = journal.segments[index]!;
      for (let at = 0; at < segment.bytes.length; at++) {
        const bytes = segment.bytes.slice();
        bytes[at] = bytes[at]! ^ (1 << (at % 8));
        segment.writeTo(journal.folder, bytes);
        assertAccounted(journal, `byte ${at} of segment ${index}`);
      }
    }
  },
);

test('behind a damaged header, a block whose payload alone is damaged', needsAddon, (t) => {
  const journal = makeJournal(t);
  const segment = journal.segments[1]!;
  const bytes = segment.bytes.slice();
  const [first, second] = segment.blocks;
  bytes[first!.position - segment.position]! ^= 1;
  bytes[second!.endPosition - 1 - segment.position]! ^= 1;
  segment.writeTo(journal.folder, bytes);
  assertAccounted(journal, 'two blocks');
});

test('a segment cut anywhere: likewise', needsAddon, (t) => {
  for (const index of [0, 1, 2]) {
    const journal = makeJournal(t);
    const path = journal.segments[index]!.writeTo(journal.folder);
    for (let size = journal.segments[index]!.bytes.length - 1; size >= 0; size--) {
      truncateSync(path, size);
      assertAccounted(journal, `segment ${index} of ${size} bytes`);
    }
  }
});

test('any start gives the blocks from there on', needsAddon, (t) => {
  for (const gap of [0, 300]) {
    const journal = makeJournal(t, gap);
    for (let position = 4_900; position <= journal.endPosition + 100; position++) {
      const after = journal.blocks.filter((block) => block.position >= position);
      const cursor = cursorOf(journal, position, ORDINAL_UNKNOWN);
      const { positions, lost } = walk(cursor);
      assert.deepEqual(positions, positionsOf(after), `from ${position}`);
      assert.deepEqual(lost, { retention: 0, damaged: 0 }, `from ${position}`);
      cursor.close();
    }
  }
});

test('segments that are gone before they are read are lost to retention', needsAddon, (t) => {
  for (const gap of [0, 300]) {
    const journal = makeJournal(t, gap);
    const [first, second] = journal.segments;
    const cursor = cursorOf(journal);
    assert.equal(cursor.next(), CURSOR_BLOCK);
    unlinkSync(join(journal.folder, segmentName(first!.position)));
    unlinkSync(join(journal.folder, segmentName(second!.position)));
    // The one that is open is read to its end.
    const { positions, lost } = walk(cursor);
    assert.deepEqual(
      positions,
      positionsOf([...first!.blocks.slice(1), ...journal.segments[2]!.blocks]),
    );
    assert.deepEqual(lost, { retention: recordsOf(second!.blocks), damaged: 0 });
    const late = cursorOf(journal);
    const again = walk(late);
    late.close();
    assert.equal(again.lost.retention, recordsOf([...first!.blocks, ...second!.blocks]));
    cursor.close();
  }
});

test('who looks for an unlinked segment finds it while another has it open', needsAddon, (t) => {
  const journal = makeJournal(t);
  const files = new SegmentFiles(journal.folder);
  const limitPosition = (): number => journal.endPosition;
  const a = new BlockCursor({ files, limitPosition, position: 0, ordinal: FIRST_ORDINAL });
  const b = new BlockCursor({ files, limitPosition, position: 0, ordinal: FIRST_ORDINAL });
  assert.equal(a.next(), CURSOR_BLOCK);
  const { segment } = a.block;
  files.retain(segment);
  a.close();
  unlinkSync(join(journal.folder, segmentName(segment.position)));
  assert.equal(walk(b).lost.retention, 0);
  assert.equal(files.openCount, 2);
  files.release(segment);
  b.close();
  assert.equal(files.openCount, 0);
});

test('a hole that retention cannot have made is damage', needsAddon, (t) => {
  const journal = makeJournal(t);
  const middle = journal.segments[1]!;
  unlinkSync(join(journal.folder, segmentName(middle.position)));
  const cursor = cursorOf(journal);
  assert.deepEqual(walk(cursor).lost, { retention: 0, damaged: recordsOf(middle.blocks) });
  cursor.close();
});

test('without any segment there is nothing, until the limit moves', needsAddon, (t) => {
  const journal = makeJournal(t);
  const [first] = journal.segments;
  for (const { position } of journal.segments) {
    renameSync(
      join(journal.folder, segmentName(position)),
      join(journal.folder, `away-${position}`),
    );
  }
  let limit = first!.blocks[0]!.endPosition;
  const files = new SegmentFiles(journal.folder);
  const cursor = new BlockCursor({ files, limitPosition: () => limit, position: 0 });
  assert.equal(cursor.next(), CURSOR_NOTHING);
  first!.writeTo(journal.folder);
  limit = first!.blocks[1]!.endPosition;
  assert.equal(walk(cursor).positions.length, 2);
  cursor.close();
});

/** A cursor at the beginning of its second segment, whose files live by a clock of the test. */
function blockedRig(t: TestContext) {
  const journal = makeJournal(t);
  const clock = { ms: 1_000 };
  const files = new SegmentFiles(journal.folder, null, () => clock.ms);
  const limitPosition = (): number => journal.endPosition;
  const cursor = new BlockCursor({ files, limitPosition, position: 0, ordinal: FIRST_ORDINAL });
  for (const _ of journal.segments[0]!.blocks) assert.equal(cursor.next(), CURSOR_BLOCK);
  const rest = positionsOf(journal.blocks.slice(journal.segments[0]!.blocks.length));
  t.after(() => cursor.close());
  return { clock, files, cursor, rest };
}

test('a segment that cannot be opened is waited for, with back-off', needsAddon, (t) => {
  const { clock, files, cursor, rest } = blockedRig(t);
  const fault = failCall({ call: 'openFile', nth: 1, errno: EACCES, count: 1e9 });
  t.after(() => fault.restore());
  for (let i = 0; i < 50; i++) assert.equal(cursor.next(), CURSOR_NOTHING);
  assert.match(cursor.problem, /^the segment \S+\.seg cannot be opened: EACCES; check the perm/);
  assert.equal(fault.calls, 1, 'asked once, until its time has come');
  for (let ms = 0; ms < 60_000; ms += 10) {
    clock.ms += 10;
    assert.equal(cursor.next(), CURSOR_NOTHING);
  }
  assert.ok(fault.calls > 25 && fault.calls < 40, `${fault.calls} calls in a minute`);
  assert.equal(files.openErrors, fault.calls);
  fault.restore();
  clock.ms += AGAIN_MS_MAX;
  // No record has come meanwhile.
  const { positions, lost } = walk(cursor);
  assert.deepEqual(positions, rest);
  assert.deepEqual(lost, { retention: 0, damaged: 0 });
  assert.equal(cursor.problem, '');
});

test('EMFILE: the folder cannot even be listed', needsAddon, (t) => {
  const { clock, cursor, rest } = blockedRig(t);
  withoutFds(() => assert.equal(cursor.next(), CURSOR_NOTHING));
  assert.match(cursor.problem, /^the journal folder \S+ cannot be read: EMFILE; raise the limit/);
  clock.ms += AGAIN_MS_MAX;
  assert.deepEqual(walk(cursor).positions, rest);
});

test('EMFILE while damage is looked behind is no damage', needsAddon, (t) => {
  const journal = makeJournal(t);
  const [segment] = journal.segments;
  const bytes = segment!.bytes.slice();
  bytes[segment!.blocks[1]!.position - segment!.position]! ^= 1;
  segment!.writeTo(journal.folder, bytes);
  const clock = { ms: 1_000 };
  const files = new SegmentFiles(journal.folder, null, () => clock.ms);
  const limitPosition = (): number => journal.endPosition;
  const cursor = new BlockCursor({ files, limitPosition, position: 0, ordinal: FIRST_ORDINAL });
  t.after(() => cursor.close());
  assert.equal(cursor.next(), CURSOR_BLOCK);
  withoutFds(() => assert.equal(cursor.next(), CURSOR_NOTHING));
  assert.match(cursor.problem, /journal folder .* EMFILE/);
  clock.ms += AGAIN_MS_MAX;
  // There is one for the list of segments; when the search opens its file somebody has taken it.
  const nextPosition = files.nextPosition.bind(files);
  let taken = -1;
  files.nextPosition = (position) => {
    const next = nextPosition(position);
    taken = openSync('/dev/null', 'r');
    return next;
  };
  withoutFds(() => assert.equal(cursor.next(), CURSOR_NOTHING), 1);
  closeSync(taken);
  files.nextPosition = nextPosition;
  assert.match(cursor.problem, /segment .* EMFILE/);
  clock.ms += AGAIN_MS_MAX;
  const { positions, lost } = walk(cursor);
  assert.deepEqual(positions, positionsOf(journal.blocks.slice(2)));
  assert.equal(lost.damaged, segment!.blocks[1]!.recordCount);
});

test('one that cannot be opened costs a cursor elsewhere nothing', needsAddon, (t) => {
  const { files, cursor, rest } = blockedRig(t);
  const fault = failCall({ call: 'openFile', nth: 1, errno: EACCES });
  t.after(() => fault.restore());
  assert.equal(cursor.next(), CURSOR_NOTHING);
  const position = rest.at(-1)!;
  const other = new BlockCursor({ files, limitPosition: () => position + 1e6, position });
  t.after(() => other.close());
  assert.equal(other.next(), CURSOR_BLOCK);
  assert.equal(other.block.position, position);
});

test(`follows a journal that rolls over (seed ${SEED})`, needsAddon, (t) => {
  const prng = new Prng(SEED);
  const folder = temporaryFolder(t);
  const rig = new JournalRig({ folder, segmentBytes: 100_000, readers: 1 });
  const files = new SegmentFiles(folder);
  const cursor = new BlockCursor({
    files,
    limitPosition: () => rig.shared.publishedPosition,
    position: rig.firstPosition,
    ordinal: rig.firstOrdinal,
  });
  cursor.waitBelow(Number.MAX_SAFE_INTEGER);
  rig.bury(0);
  let seen = 0;
  for (let round = 0; round < 600; round++) {
    rig.produce(prng);
    if (prng.chance(0.7)) rig.turn(prng.chance(0.05) ? -28 : 0);
    while (prng.chance(0.9) && cursor.next() === CURSOR_BLOCK) {
      const made = rig.journaled[seen++];
      assert.equal(cursor.block.length, made!.payload.length);
      assert.equal(cursor.block.header.recordCount, made!.records);
    }
  }
  rig.turn();
  seen += walk(cursor).positions.length;
  assert.equal(seen, rig.journaled.length);
  assert.equal(cursor.ordinal, rig.shared.publishedOrdinal);
  assert.ok(rig.writer.segments > 3);
  assert.deepEqual(cursor.takeLost(), { retention: 0, damaged: 0 });
  cursor.close();
  rig.close();
});
