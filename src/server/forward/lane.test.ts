/**
 * Lane: what a redundancy group does with its stream at a switch-over, without sockets: the
 * destinations are the test's.
 */
import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { channelOptions, JournalFeed } from '../../../test/support/forward-engine.ts';
import { compileFilter } from '../../rdr/filter/compile.ts';
import { parseFilter } from '../../rdr/filter/parser.ts';
import { frameLength } from '../../rdr/index.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/load.ts';
import { JournalReader } from '../journal/reader.ts';
import { BlockBytes } from './block-bytes.ts';
import { BlockCursor } from './block-cursor.ts';
import type { BlockSelector } from './channel-parts.ts';
import { makeConnectionCounts } from './connection-counts.ts';
import { GATHER_BUFFERS_MAX, Gather, GatherPool } from './gather.ts';
import { Lane, LEAVING_MS } from './lane.ts';
import type { LaneDestination } from './lane-parts.ts';
import type { ChannelOptions } from './options.ts';
import type { Parcel, Settlement } from './parcel.ts';
import { SegmentFiles } from './segment-files.ts';
import { FilterSelection, Pieces, wholeBlock } from './selection.ts';

const skip = addonSkipReason();
const UUID = new Uint8Array(16).fill(9);
/** Some runs are longer, so that a block has many parcels. */
const GATHER_BELOW_BYTES = 700;
const SWITCH_MS = 1_000;
const FILTER = 'tag != TRANSACTION_USAGE';

function bytesOf({ file, memory, bytes }: Parcel): Buffer {
  if (memory !== null) {
    return Buffer.from(memory.bytes.subarray(memory.offset, memory.offset + bytes));
  }
  const into = Buffer.alloc(bytes);
  readSync(file!.segment.fd, into, 0, bytes, file!.offset);
  return into;
}

/** Offset behind the first `count` records. */
function boundary(bytes: Uint8Array, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at += frameLength(bytes, at);
  return at;
}

/** Takes parcels, and answers for as much as the test says. */
class FakeDestination implements LaneDestination {
  upSinceMs: number | null = 0;
  downSinceMs: number | null = null;
  isClosed = false;
  changes = 0;
  probes = 0;
  readonly nextTimerMs = Number.POSITIVE_INFINITY;
  roomParcels = Number.POSITIVE_INFINITY;
  /** Else a drain ends at once. */
  isSlowToDrain = false;
  /** What arrived. */
  readonly received: Buffer[];
  readonly #held: Parcel[] = [];
  readonly #onSettled: (parcel: Parcel, settlement: Settlement) => void;

  constructor(received: Buffer[], onSettled: (parcel: Parcel, settlement: Settlement) => void) {
    this.received = received;
    this.#onSettled = onSettled;
  }

  get heldCount(): number {
    return this.#held.length;
  }

  tryAdd(parcel: Parcel): boolean {
    if (this.#held.length >= this.roomParcels) return false;
    this.#held.push(parcel);
    return true;
  }

  isReady(): boolean {
    return this.upSinceMs !== null;
  }

  giveBack(): void {}

  configure(): void {}

  /** The first parcel, or only its first `records`: then it is closed in its midst. */
  settleFirst(records = this.#held[0]!.records): void {
    const parcel = this.#held.shift()!;
    const bytes = bytesOf(parcel);
    const resumeBytes = boundary(bytes, records);
    this.received.push(bytes.subarray(0, resumeBytes));
    this.#onSettled(parcel, { delivered: records, cut: 0, resent: 0, damaged: 0, resumeBytes });
  }

  turn(): number {
    return 0;
  }

  probe(): void {
    this.probes++;
  }

  drain(): void {
    this.isClosed = !this.isSlowToDrain;
  }

  close(): void {
    this.isClosed = true;
    // Some of what the first one holds has been acknowledged, of the others nothing.
    if (this.#held.length > 0) this.settleFirst(this.#held[0]!.records >> 1);
    while (this.#held.length > 0) this.settleFirst(0);
  }

  report(): ReturnType<LaneDestination['report']> {
    return {
      ...makeConnectionCounts(),
      name: '',
      state: 'up',
      address: '',
      reason: '',
      connections: 1,
      connectionsUp: 1,
      parcels: this.#held.length,
      mechanism: '',
      mechanismWhy: '',
      cpuMs: 0,
    };
  }
}

function selectorOf(filter: string, pool: GatherPool): BlockSelector {
  if (filter === '') return { select: wholeBlock };
  const predicate = compileFilter(parseFilter(filter));
  return new FilterSelection(
    predicate,
    new BlockBytes(),
    new Pieces(new Gather(pool), GATHER_BELOW_BYTES),
  );
}

/** What lanes of one worker share. */
class Worker {
  readonly feed = new JournalFeed(5, 2);
  readonly segments = new SegmentFiles(this.feed.journal);
  readonly pool = new GatherPool();

  constructor(t: TestContext) {
    t.after(() => this.feed.close());
  }
}

class Rig {
  readonly feed: JournalFeed;
  readonly segments: SegmentFiles;
  /** All that were made, in their order; `received` is common: the stream that arrived. */
  readonly made: FakeDestination[] = [];
  readonly received: Buffer[] = [];
  readonly lane: Lane;

  constructor(
    worker: Worker,
    filter: string,
    resend: 'none' | 'unacked',
    name = 'pair',
    limits: Partial<ChannelOptions> = {},
  ) {
    this.feed = worker.feed;
    this.segments = worker.segments;
    const { pool } = worker;
    const more = { mode: 'redundancy', group: 'pair', filter, switchOverMs: SWITCH_MS } as const;
    const options = channelOptions(name, [1, 2], { ...more, ...limits }, { resend });
    this.lane = new Lane(
      options,
      {
        folder: this.feed.positions,
        uuid: UUID,
        segments: this.segments,
        makeCursor: ({ position, ordinal }) => {
          const limitPosition = (): number => this.feed.shared.publishedPosition;
          const files = this.segments;
          const cursor = new BlockCursor({ files, limitPosition, position, ordinal });
          cursor.waitBelow(POSITION_MAX);
          return cursor;
        },
        makeDestination: (_, isWatched, onSettled) => {
          assert.equal(isWatched, options.mode === 'redundancy');
          const destination = new FakeDestination(this.received, onSettled);
          this.made.push(destination);
          return destination;
        },
        pool,
        selectorOf: () => selectorOf(filter, pool),
        keepSelectors: () => undefined,
        startOf: () => null,
        warn: () => undefined,
      },
      0,
      0,
    );
  }

  advance(nowMs: number): void {
    while (this.lane.advance(100, this.feed.shared.publishedPosition, nowMs) > 0);
  }

  /** What the channel shall send, in the journal's order. */
  expected(filter: string): Buffer {
    const predicate = filter === '' ? null : compileFilter(parseFilter(filter));
    const reader = new JournalReader(this.feed.journal);
    const records: Buffer[] = [];
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      const { bytes, offset, length, header } = block;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = offset; at < offset + length; at += frameLength(bytes, at)) {
        const size = frameLength(bytes, at);
        const isChosen = predicate?.(bytes, view, at, size, header.exporter) ?? true;
        if (isChosen) records.push(Buffer.from(bytes.subarray(at, at + size)));
      }
    }
    reader.close();
    return Buffer.concat(records);
  }
}

for (const filter of ['', FILTER]) {
  for (const resend of ['none', 'unacked'] as const) {
    const what = filter === '' ? 'from files' : 'from memory';
    test(`a switch-over goes on behind the last record that is settled: ${resend}, ${what}`, {
      skip,
    }, (t) => {
      const rig = new Rig(new Worker(t), filter, resend);
      const prng = new Prng(11);
      for (let i = 0; i < 20; i++) rig.feed.append(i % 2, 1 + prng.below(30_000));
      const [first, second] = rig.made as [FakeDestination, FakeDestination];
      first.roomParcels = 8;
      rig.advance(0);
      assert.equal(first.heldCount, 8);
      first.settleFirst();
      first.settleFirst();
      rig.advance(0);
      first.downSinceMs = 1;
      first.upSinceMs = null;
      rig.lane.turn(1);
      rig.lane.turn(1 + SWITCH_MS);
      assert.ok(first.isClosed);
      assert.equal(first.heldCount, 0);
      second.roomParcels = 3;
      for (let i = 0; i < 10_000; i++) {
        rig.advance(2 + SWITCH_MS);
        if (second.heldCount > 0) second.settleFirst();
      }
      assert.ok(Buffer.concat(rig.received).equals(rig.expected(filter)), 'no gap, no double');
      const { pending, received, delivered, filtered } = rig.lane.report(rig.feed.shared);
      assert.deepEqual([pending, received], [0, delivered + filtered]);
      rig.lane.close(2 + SWITCH_MS);
      assert.equal(rig.segments.openCount, 0, 'nothing is held any more');
    });
  }
}

for (const isInTime of [true, false]) {
  const how = isInTime ? 'finishes what is under way' : 'is closed when that takes too long';
  test(`a member that is left while it stands ${how}`, { skip }, (t) => {
    const rig = new Rig(new Worker(t), '', 'none');
    for (let i = 0; i < 6; i++) rig.feed.append(i % 2, 5_000);
    const [first, second] = rig.made as [FakeDestination, FakeDestination];
    first.downSinceMs = 1;
    first.upSinceMs = null;
    rig.lane.turn(1);
    rig.lane.turn(1 + SWITCH_MS);
    second.isSlowToDrain = true;
    rig.advance(2 + SWITCH_MS);
    const held = second.heldCount;
    assert.ok(held > 1);
    const better = rig.made[2]!;
    const backMs = 3 + 2 * SWITCH_MS;
    rig.lane.turn(backMs);
    rig.lane.turn(backMs + rig.lane.options.switchBackMs);
    const leftMs = backMs + rig.lane.options.switchBackMs;
    rig.advance(leftMs);
    assert.deepEqual([second.heldCount, better.heldCount], [held, 0], 'nobody gets anything');
    if (isInTime) {
      second.settleFirst();
      second.isClosed = true;
      rig.lane.turn(leftMs + 1);
    } else {
      rig.lane.turn(leftMs + LEAVING_MS);
    }
    assert.ok(second.isClosed);
    rig.advance(leftMs + LEAVING_MS);
    while (better.heldCount > 0) better.settleFirst();
    assert.ok(Buffer.concat(rig.received).equals(rig.expected('')), 'no gap, no double');
    rig.lane.close(leftMs + LEAVING_MS);
    assert.equal(rig.segments.openCount, 0, 'nothing is held any more');
  });
}

test('a drain waits for a member that is not known to be down', { skip }, (t) => {
  const rig = new Rig(new Worker(t), '', 'unacked');
  const [first] = rig.made as [FakeDestination];
  rig.feed.append(0, 1_000);
  rig.advance(0);
  const isStuck = (): boolean => rig.lane.isStuck(rig.feed.shared.publishedPosition);
  first.upSinceMs = null;
  assert.equal(isStuck(), false, 'it connects');
  first.downSinceMs = 1;
  assert.equal(isStuck(), true);
  first.downSinceMs = null;
  first.settleFirst();
  assert.equal(isStuck(), true, 'nothing is left');
  rig.lane.close(1);
});

test('a lane that ends leaves nobody for another one', { skip }, (t) => {
  const rig = new Rig(new Worker(t), '', 'unacked');
  const [first] = rig.made as [FakeDestination];
  first.downSinceMs = 1;
  first.upSinceMs = null;
  rig.lane.turn(1);
  rig.lane.drain(2, SWITCH_MS);
  rig.lane.turn(2 + 2 * SWITCH_MS);
  assert.equal(rig.made.length, 2);
  assert.ok(rig.lane.isClosed);
  rig.lane.close(2 + 2 * SWITCH_MS);
});

test('memory: a hundred stopped receivers with filters stay within the pool, and starve nobody', {
  skip,
}, (t) => {
  const worker = new Worker(t);
  for (let i = 0; i < 100; i++) worker.feed.append(i % 2, 60_000);
  const filters = Array.from({ length: 100 }, (_, i) => `tag != TRANSACTION_USAGE and tag != ${i}`);
  const rigs = filters.map((filter, i) => new Rig(worker, filter, 'unacked', `channel-${i}`));
  for (const rig of rigs) {
    rig.advance(0);
    assert.ok(worker.pool.heldCount <= GATHER_BUFFERS_MAX);
    assert.ok(rig.made[0]!.heldCount > 0, 'each has something to send');
  }
  assert.ok(worker.pool.isTight, 'the bound was met');
  const last = rigs.at(-1)!;
  assert.equal(last.lane.channel.waitsFor, 'memory');
  for (let i = 0; i < 10_000 && last.made[0]!.heldCount > 0; i++) {
    last.made[0]!.settleFirst();
    last.advance(0);
  }
  const expected = last.expected(filters.at(-1)!);
  assert.ok(Buffer.concat(last.received).equals(expected), 'who reads gets all');
  assert.ok(worker.pool.heldCount <= GATHER_BUFFERS_MAX);
  for (const { lane } of rigs) lane.close(0);
});

test('a connection that comes up, or ends, is new room: it is told as work, once', {
  skip,
}, (t) => {
  const rig = new Rig(new Worker(t), '', 'none');
  const [active, other] = rig.made as [FakeDestination, FakeDestination];
  rig.feed.append(0, 1_000);
  active.upSinceMs = null;
  rig.advance(0);
  assert.equal(active.heldCount, 0, 'its connection does not stand');
  for (const one of [active, other]) {
    one.changes++;
    assert.equal(rig.lane.turn(1), 1, 'or the worker would go to sleep');
    assert.equal(rig.lane.turn(1), 0);
  }
  active.upSinceMs = 1;
  active.changes++;
  rig.lane.turn(1);
  rig.advance(1);
  assert.equal(active.heldCount, 1, 'it was offered again');
  active.settleFirst();
  rig.lane.close(1);
});

test('drop-oldest: one that is down has one block at most, and is tried', { skip }, (t) => {
  const limits = { onLag: 'drop-oldest', lagBytesMax: 1e9 } as const;
  const rig = new Rig(new Worker(t), '', 'unacked', 'pair', limits);
  const [active] = rig.made as [FakeDestination];
  active.upSinceMs = null;
  active.downSinceMs = 0;
  for (let i = 0; i < 5; i++) rig.feed.append(i % 2, 1_000);
  rig.advance(0);
  assert.equal(active.heldCount, 1);
  assert.ok(active.probes > 0, 'what it refuses is no reason to forget it');
  active.upSinceMs = 1;
  active.downSinceMs = null;
  active.changes++;
  rig.lane.turn(1);
  rig.advance(1);
  assert.equal(active.heldCount, 5);
  while (active.heldCount > 0) active.settleFirst();
  rig.lane.close(1);
});
