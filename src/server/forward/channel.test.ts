/**
 * A channel whose connections never stood, or broke with parcels in hand, without sockets: the
 * output is the test's, and says what it takes and what it gives back.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { JournalFeed } from '../../../test/support/forward-engine.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { addonSkipReason } from '../../toolkit/sys/load.ts';
import { BlockCursor } from './block-cursor.ts';
import { Channel } from './channel.ts';
import type { BlockSelector, ChannelOutput } from './channel-parts.ts';
import { GatherPool } from './gather.ts';
import { Ledger } from './ledger.ts';
import type { Parcel } from './parcel.ts';
import { PositionFile } from './position-file.ts';
import { SegmentFiles } from './segment-files.ts';
import { wholeBlock } from './selection.ts';
import { startPosition } from './start-position.ts';

const skip = addonSkipReason();
const UUID = new Uint8Array(16).fill(9);
const EXPORTERS = 2;
const BLOCK_BYTES = 10_000;
const LAG_BYTES_MAX = 100_000;
const SETTLED = { cut: 0, resent: 0, damaged: 0 } as const;

/** One connection for each exporter, which the test settles. */
class FakeOutput implements ChannelOutput {
  /** In the order of tryAdd. */
  held: Parcel[] = [];
  roomParcels = Number.POSITIVE_INFINITY;
  isStanding = true;
  asked = 0;

  tryAdd(parcel: Parcel): boolean {
    if (this.held.length >= this.roomParcels) return false;
    this.held.push(parcel);
    return true;
  }

  isReady(): boolean {
    this.asked++;
    return this.isStanding;
  }

  giveBack: ChannelOutput['giveBack'] = () => {};
}

class Life {
  readonly output = new FakeOutput();
  readonly segments: SegmentFiles;
  readonly channel: Channel;
  readonly #feed: JournalFeed;

  constructor(
    feed: JournalFeed,
    resend: 'none' | 'unacked',
    select: BlockSelector['select'] = wholeBlock,
  ) {
    this.#feed = feed;
    this.segments = new SegmentFiles(feed.journal);
    const { file, found } = PositionFile.open(feed.positions, 'one', UUID);
    const { publishedPosition } = feed.shared;
    const { position } = startPosition(found, 'journal-start', publishedPosition, null);
    const cursor = new BlockCursor({
      files: this.segments,
      limitPosition: () => feed.shared.publishedPosition,
      position: position.position,
      ordinal: position.ordinal,
    });
    cursor.waitBelow(POSITION_MAX);
    this.channel = new Channel({
      name: 'one',
      resend,
      limits: { onLag: 'drop-oldest', lagBytesMax: LAG_BYTES_MAX, lagMsMax: 0 },
      cursor,
      selector: { select },
      output: this.output,
      ledger: new Ledger(position, resend),
      file,
      segments: this.segments,
      pool: new GatherPool(),
    });
  }

  append(blocks: number): void {
    for (let i = 0; i < blocks; i++) this.#feed.append(i % EXPORTERS, BLOCK_BYTES);
  }

  advance(): number {
    return this.channel.advance(100, this.#feed.shared.publishedPosition);
  }

  settle(parcel: Parcel, delivered: number): void {
    this.output.held = this.output.held.filter((one) => one !== parcel);
    const resumeBytes = delivered === 0 ? 0 : parcel.bytes;
    this.channel.onSettled(parcel, { ...SETTLED, delivered, resumeBytes });
  }

  /** As connections that end: each gives back its own parcels, the newer exporter's first. */
  giveBackAll(): void {
    const { held } = this.output;
    const exporters = [...new Set(held.map(({ exporter }) => exporter))].reverse();
    for (const exporter of exporters) {
      for (const parcel of held.filter((one) => one.exporter === exporter)) this.settle(parcel, 0);
    }
  }

  /** Received is what became of it. */
  closes(): void {
    const { ledger } = this.channel;
    const { delivered, filtered, ...dropped } = ledger.totals();
    const sum = Object.values(dropped).reduce((all, one) => all + one, 0);
    const { startOrdinal } = ledger.committed;
    assert.equal(ledger.readOrdinal - startOrdinal, delivered + filtered + sum + ledger.waiting);
  }

  close(): void {
    this.channel.retract();
    this.channel.writePosition(0, true);
    this.channel.close();
  }
}

function makeFeed(t: TestContext): JournalFeed {
  const feed = new JournalFeed(3, EXPORTERS);
  t.after(() => feed.close());
  return feed;
}

const placesOf = (parcels: readonly Parcel[]): number[] => parcels.map(({ position }) => position);
const sum = (parcels: readonly Parcel[]): number =>
  parcels.reduce((all, { records }) => all + records, 0);

test('what several connections give back goes in the order of the journal', { skip }, (t) => {
  const life = new Life(makeFeed(t), 'unacked');
  life.append(8);
  life.advance();
  const places = placesOf(life.output.held);
  assert.equal(places.length, 8);
  life.giveBackAll();
  life.advance();
  assert.deepEqual(placesOf(life.output.held), places);
  // And what was given back and never sent is taken out of the ledger, newest first.
  life.giveBackAll();
  life.close();
  assert.equal(life.channel.ledger.held, 0);
  assert.equal(life.channel.ledger.committed.position, 0);
  assert.equal(life.segments.openCount, 0);
});

test('none: a block is begun when its connection stands, and asked for once', { skip }, (t) => {
  const feed = makeFeed(t);
  const life = new Life(feed, 'none');
  life.append(2);
  life.output.isStanding = false;
  for (let turn = 0; turn < 5; turn++) assert.equal(life.advance(), 0);
  assert.equal(life.channel.waitsFor, 'output');
  assert.equal(life.output.asked, 1, 'it is not asked again before something has changed');
  assert.equal(life.channel.ledger.committed.begun, 0);
  life.output.isStanding = true;
  life.channel.retry();
  assert.equal(life.advance(), 2);
  assert.equal(life.channel.ledger.committed.begun, sum(life.output.held));
  for (const parcel of [...life.output.held]) life.settle(parcel, parcel.records);
  life.close();
});

for (const resend of ['none', 'unacked'] as const) {
  test(`what is given back and too old is dropped, and that alone: ${resend}`, { skip }, (t) => {
    const feed = makeFeed(t);
    let life = new Life(feed, resend);
    life.append(6);
    life.advance();
    const [...begun] = life.output.held;
    assert.equal(begun.length, 6);
    let isAsked = false;
    life.output.giveBack = () => {
      isAsked = true;
      life.giveBackAll();
    };
    life.advance();
    assert.equal(isAsked, false, 'nothing is too old yet');
    life.output.roomParcels = 0;
    const isOld = ({ endPosition }: Parcel): boolean =>
      feed.shared.publishedPosition - endPosition > LAG_BYTES_MAX;
    while (!isOld(begun[2]!)) life.append(1);
    const old = begun.filter(isOld);
    const young = begun.slice(old.length);
    assert.ok(young.length > 1);
    life.advance();
    assert.ok(isAsked);
    assert.equal(life.channel.ledger.totals().lag, sum(old), 'exactly what is too old');
    life.closes();
    life.output.roomParcels = young.length;
    life.channel.retry();
    life.advance();
    assert.deepEqual(placesOf(life.output.held), placesOf(young), 'the others go on');
    for (const parcel of [...life.output.held]) life.settle(parcel, parcel.records);
    life.output.roomParcels = 0;
    life.output.giveBack = () => {};
    life.close();
    life.closes();
    assert.equal(life.segments.openCount, 0, 'no segment is held for what was dropped');
    // The file knows what was dropped.
    life = new Life(feed, resend);
    const { lag, delivered } = life.channel.ledger.totals();
    assert.deepEqual([lag, delivered], [sum(old), sum(young)]);
    life.close();
  });
}

test('what was skipped behind a block that stands does not make it younger', { skip }, (t) => {
  const feed = makeFeed(t);
  const life = new Life(feed, 'unacked');
  life.append(1);
  life.advance();
  const [first] = life.output.held as [Parcel];
  life.output.roomParcels = 0;
  life.append(12);
  life.advance();
  const { lag } = life.channel.ledger.totals();
  assert.ok(lag > 0, 'blocks behind it are skipped; its connection stands');
  assert.deepEqual(life.output.held, [first]);
  life.output.giveBack = () => life.giveBackAll();
  life.advance();
  assert.equal(life.channel.ledger.totals().lag, lag + first.records, 'it has broken');
  life.closes();
  life.close();
  assert.equal(life.segments.openCount, 0);
});

test('what a filter passed behind a block does not make it younger', { skip }, (t) => {
  const feed = makeFeed(t);
  const life = new Life(feed, 'unacked', (block) =>
    block.header.firstOrdinal === 0 ? wholeBlock(block) : { records: 0, pieces: [] },
  );
  life.append(1);
  life.advance();
  const [first] = life.output.held as [Parcel];
  life.append(4);
  life.advance();
  life.output.giveBack = () => life.giveBackAll();
  const lagBytes = (): number => feed.shared.publishedPosition - first.endPosition;
  while (lagBytes() <= LAG_BYTES_MAX) life.append(1);
  life.advance();
  assert.equal(life.channel.ledger.totals().lag, first.records);
  life.closes();
  life.close();
});
