import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ColdPages } from '../../../test/support/cold-pages.ts';
import { SegmentBuilder, temporaryFolder } from '../../../test/support/journal-files.ts';
import { IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  eventfdClear,
  eventfdCreate,
} from '../../toolkit/sys/index.ts';
import { COMMAND_DRAIN, Commands, Control } from '../control.ts';
import { BlockCursor, CURSOR_BLOCK, CURSOR_COLD, CURSOR_NOTHING } from './block-cursor.ts';
import { CatchupClient, NO_REQUEST } from './catchup-client.ts';
import { CatchupWords, createCatchup } from './catchup-slot.ts';
import { CatchupStage } from './catchup-stage.ts';
import { SegmentFiles } from './segment-files.ts';
import { WarmingCursor, WINDOW_BYTES } from './warming-cursor.ts';

const needsAddon = { skip: addonSkipReason() };
const PAYLOAD = new Uint8Array(250_000).fill(7);
const BLOCKS_PER_SEGMENT = 50;
const SEGMENTS = 2;

/** Made once: 25 MB. */
const segments: SegmentBuilder[] = [];

function makeSegments(): readonly SegmentBuilder[] {
  while (segments.length < SEGMENTS) {
    const last = segments.at(-1);
    const segment = new SegmentBuilder(last?.endPosition, last?.nextOrdinal);
    for (let b = 0; b < BLOCKS_PER_SEGMENT; b++) segment.add(PAYLOAD);
    segments.push(segment);
  }
  return segments;
}

/** A journal of 25 MB, all of it cold; a cursor at its start; and a catch-up stage to be turned. */
class Rig {
  readonly cold: ColdPages;
  readonly files: SegmentFiles;
  readonly positions: number[] = [];
  readonly client: CatchupClient;
  readonly handle = createCatchup();
  readonly wakeFd = checked('eventfd', eventfdCreate());
  readonly commands = new Commands();
  readonly endPosition: number;
  nowMs = 0;

  constructor(t: TestContext) {
    const folder = temporaryFolder(t);
    for (const segment of makeSegments()) {
      segment.writeTo(folder);
      this.positions.push(...segment.blocks.map((block) => block.position));
    }
    this.endPosition = segments.at(-1)!.endPosition;
    this.cold = new ColdPages();
    this.files = new SegmentFiles(folder);
    this.client = new CatchupClient(this.handle, this.files, () => this.nowMs);
    t.after(() => {
      this.cold.restore();
      closeFd(this.wakeFd);
    });
  }

  block(position = 0): BlockCursor {
    const limitPosition = (): number => this.endPosition;
    return new BlockCursor({ files: this.files, limitPosition, position });
  }

  cursor(position = 0): WarmingCursor {
    return new WarmingCursor(this.block(position), this.client);
  }

  stage(): CatchupStage {
    return new CatchupStage({
      requests: SpscRing.consumer(this.handle.ring),
      words: new CatchupWords(this.handle.done),
      sleeper: IdleStrategy.sleeper(this.handle.idle),
      control: new Control(this.commands.handle),
      wakeFd: this.wakeFd,
    });
  }

  get requests(): number {
    return new SpscRing(this.handle.ring).used();
  }

  /** What the supervisor does when the catch-up worker has died. */
  bury(): void {
    assert.ok(new SpscRing(this.handle.ring).abandonConsumer());
    new IdleStrategy(this.handle.idle).abandonSleeper();
    this.commands.abandon();
  }
}

test('what is cold is said to be cold, and the disk is not waited for', needsAddon, (t) => {
  const rig = new Rig(t);
  const cursor = rig.block();
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.deepEqual([cursor.position, cursor.coldLength], [0, 128]);
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(rig.cold.waits, 0);
  // The head of the segment brings the first header with it, but not the end of the payload.
  cursor.waitBelow(1);
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.deepEqual([cursor.position, cursor.coldLength], [128, 128 + PAYLOAD.length]);
  cursor.waitBelow(129);
  assert.equal(cursor.next(), CURSOR_BLOCK);
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(cursor.position, rig.positions[1]);
  cursor.close();
});

test('a cold journal is read by the catch-up worker, windows ahead', needsAddon, (t) => {
  const rig = new Rig(t);
  const cursor = rig.cursor();
  const stage = rig.stage();
  const found: number[] = [];
  let colds = 0;
  for (let step = cursor.next(); step !== CURSOR_NOTHING; step = cursor.next()) {
    if (step === CURSOR_COLD) colds++;
    else found.push(cursor.block.position);
    const waited = rig.cold.waits;
    if (rig.requests > 0) {
      assert.equal(stage.doWork(), 1);
      assert.ok(eventfdClear(rig.wakeFd) > 0);
    } else assert.equal(step, CURSOR_BLOCK, 'cold, and nobody is asked');
    rig.cold.waits = waited;
  }
  assert.deepEqual(found, rig.positions);
  assert.equal(rig.cold.waits, 0, 'the forwarder has waited for the disk');
  assert.equal(colds, SEGMENTS);
  const windows = rig.endPosition / WINDOW_BYTES;
  assert.ok(rig.client.asked >= windows - 1 && rig.client.asked <= windows + 2 * SEGMENTS);
  assert.ok(rig.client.bytes >= rig.endPosition - SEGMENTS * WINDOW_BYTES);
  cursor.close();
  stage.onClose();
  rig.client.close();
  assert.equal(rig.files.openCount, 0);
});

test('a warm journal asks for nothing', needsAddon, (t) => {
  const rig = new Rig(t);
  const warm = rig.block();
  warm.waitBelow(rig.endPosition);
  while (warm.next() !== CURSOR_NOTHING);
  const cursor = rig.cursor();
  for (const position of rig.positions) {
    assert.equal(cursor.next(), CURSOR_BLOCK);
    assert.equal(cursor.block.position, position);
  }
  assert.equal(rig.client.asked, 0);
  cursor.close();
  warm.close();
});

test('a catch-up worker that dies: its successor does what it had not done', needsAddon, (t) => {
  const rig = new Rig(t);
  const cursor = rig.cursor();
  const first = rig.stage();
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(rig.client.asked, 1);
  // It dies with the request in hand.
  assert.equal(first.done, false);
  rig.bury();
  const second = rig.stage();
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(second.doWork(), 1);
  rig.cold.waits = 0;
  assert.equal(cursor.next(), CURSOR_BLOCK);
  assert.equal(rig.cold.waits, 0);
  // The next forwarder's ids go on where those of the last one ended.
  cursor.close();
  new SpscRing(rig.handle.ring).abandonProducer();
  const client = new CatchupClient(rig.handle, rig.files);
  const next = new WarmingCursor(rig.block(), client);
  rig.cold.evict();
  assert.equal(next.next(), CURSOR_COLD);
  assert.equal(next.next(), CURSOR_COLD, 'done by an id of before');
  second.doWork();
  assert.equal(next.next(), CURSOR_BLOCK);
  next.close();
});

test('without a catch-up worker nothing hangs', needsAddon, (t) => {
  const rig = new Rig(t);
  const cursor = rig.cursor();
  assert.equal(cursor.next(), CURSOR_COLD);
  rig.nowMs = 29_000;
  assert.equal(cursor.next(), CURSOR_COLD);
  rig.nowMs = 31_000;
  // The head of the segment; its first block is cold at another place.
  assert.equal(cursor.next(), CURSOR_COLD);
  rig.nowMs = 62_000;
  assert.equal(cursor.next(), CURSOR_BLOCK);
  assert.equal(rig.client.abandoned, 2);
  assert.ok(rig.cold.waits > 0);
  cursor.close();
});

test('what is cold again at once is waited for', needsAddon, (t) => {
  const rig = new Rig(t);
  const cursor = rig.cursor();
  const stage = rig.stage();
  const found: number[] = [];
  for (let turns = 0; found.length < rig.positions.length && turns < 1_000; turns++) {
    const step = cursor.next();
    if (step === CURSOR_BLOCK) found.push(cursor.block.position);
    if (rig.requests > 0) stage.doWork();
    rig.cold.evict();
  }
  assert.deepEqual(found, rig.positions);
  cursor.close();
});

test('a full ring is an answer, and a closed cursor leaves no fd', needsAddon, (t) => {
  const rig = new Rig(t);
  const stage = rig.stage();
  const other = rig.block();
  other.waitBelow(129);
  assert.equal(other.next(), CURSOR_BLOCK);
  const { segment } = other.block;
  while (rig.client.request(segment, 0, 100) !== NO_REQUEST);
  assert.equal(rig.requests, rig.handle.ring.capacity);
  const cursor = rig.cursor(rig.positions[10]!);
  for (let i = 0; i < 3; i++) assert.equal(cursor.next(), CURSOR_COLD);
  while (rig.requests > 0) stage.doWork();
  assert.equal(cursor.next(), CURSOR_COLD);
  assert.equal(rig.requests, 1);
  cursor.close();
  other.close();
  assert.equal(rig.files.openCount, 1, 'the request holds it');
  stage.doWork();
  rig.client.poll();
  assert.equal(rig.files.openCount, 0);
});

test('a drain does not wait for requests', needsAddon, (t) => {
  const rig = new Rig(t);
  const stage = rig.stage();
  assert.equal(rig.cursor().next(), CURSOR_COLD);
  rig.commands.send(COMMAND_DRAIN);
  assert.equal(stage.doWork(), 0);
  assert.ok(stage.done);
  stage.onClose();
});
