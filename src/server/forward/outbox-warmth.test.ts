/** What waited in an outbox until its pages had gone: no sendfile(2) waits for the disk. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ColdPages } from '../../../test/support/cold-pages.ts';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import { ConnectionRig, DESTINATION, someRecords } from '../../../test/support/forward-rig.ts';
import { SegmentBuilder, temporaryFolder } from '../../../test/support/journal-files.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import { addonSkipReason, checked, closeFd, eventfdCreate } from '../../toolkit/sys/index.ts';
import { Commands, Control } from '../control.ts';
import { BLOCK_HEADER_BYTES } from '../journal/format.ts';
import { CatchupClient } from './catchup-client.ts';
import { CatchupWords, createCatchup } from './catchup-slot.ts';
import { CatchupStage } from './catchup-stage.ts';
import { LOOK_AGAIN_MS } from './outbox-warmth.ts';
import type { Parcel } from './parcel.ts';
import { SegmentFiles } from './segment-files.ts';

const needsAddon = { skip: addonSkipReason() };
const BLOCKS = 12;
const RECORDS = 1_200;
const BUFFERS_BYTES = 16_384;

/** A connection to a destination that reads nothing yet, its outbox full of a segment's blocks. */
class Rig {
  readonly cold: ColdPages;
  readonly files: SegmentFiles;
  readonly client: CatchupClient;
  readonly stage: CatchupStage;
  readonly peer = new ForwardPeer({ receiveBufferBytes: BUFFERS_BYTES });
  readonly rig: ConnectionRig;
  readonly expected: Buffer;
  readonly parcels: readonly Parcel[];
  readonly #ring: SpscRing;

  constructor(t: TestContext, hasCatchup = true) {
    const folder = temporaryFolder(t);
    const segment = new SegmentBuilder();
    const prng = new Prng(4);
    for (let b = 0; b < BLOCKS; b++) segment.add(someRecords(prng, b * RECORDS, RECORDS));
    segment.writeTo(folder);
    this.expected = Buffer.concat(segment.blocks.map(({ payload }) => payload));
    this.cold = new ColdPages();
    this.files = new SegmentFiles(folder);
    const open = this.files.open(0)!;
    this.parcels = segment.blocks.map(({ position, endPosition, payload }) => ({
      position,
      endPosition,
      records: RECORDS,
      bytes: payload.length,
      exporter: '',
      file: { segment: open, offset: position + BLOCK_HEADER_BYTES },
      memory: null,
      seenMs: 1_000,
    }));
    const handle = createCatchup();
    this.#ring = new SpscRing(handle.ring);
    const wakeFd = checked('eventfd', eventfdCreate());
    this.client = new CatchupClient(handle, this.files, () => this.rig.nowMs);
    this.stage = new CatchupStage({
      requests: SpscRing.consumer(handle.ring),
      words: new CatchupWords(handle.done),
      sleeper: IdleStrategy.sleeper(handle.idle),
      control: new Control(new Commands().handle),
      wakeFd,
    });
    this.rig = new ConnectionRig({
      ...DESTINATION,
      port: this.peer.port,
      sendBufferBytes: BUFFERS_BYTES,
      warmth: hasCatchup ? { files: this.files, catchup: this.client } : null,
    });
    t.after(() => {
      this.rig.close();
      this.files.release(open);
      this.client.close();
      this.peer.close();
      this.cold.restore();
      closeFd(wakeFd);
      assert.equal(this.files.openCount, 0, 'nothing is held');
    });
  }

  get requests(): number {
    return this.#ring.used();
  }

  get sentBytes(): number {
    return this.rig.counts.sentBytes;
  }

  get isDone(): boolean {
    return this.rig.settled.length === BLOCKS;
  }

  /** All is in the outbox, the socket is full. */
  fill(): void {
    for (const parcel of this.parcels) assert.ok(this.rig.connection.tryAdd(parcel));
    let before = -1;
    this.rig.until(
      () => this.sentBytes > 0 && this.sentBytes === before,
      () => {
        before = this.sentBytes;
        this.rig.turn();
      },
    );
    this.cold.waits = 0;
    this.cold.looks = 0;
  }

  /** Later, when memory was needed for something else. */
  evict(): void {
    this.cold.evict();
    this.rig.nowMs += 60_000;
  }

  checkReceived(): void {
    this.peer.pump();
    assert.ok(bytesOf(this.peer.last!).equals(this.expected), 'every byte came');
  }
}

test('what has gone from the page cache is read by the catch-up worker', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, peer, cold, stage } = bench;
  bench.fill();
  bench.evict();
  let windows = 0;
  rig.until(
    () => bench.isDone,
    () => {
      peer.pump();
      if (bench.requests === 0) return;
      // The thread goes on meanwhile, and sends nothing of this.
      const { sentBytes } = bench;
      for (let i = 0; i < 3; i++) assert.equal(rig.turn(), 0);
      rig.nowMs += 100;
      assert.equal(rig.turn(), 0);
      assert.equal(bench.sentBytes, sentBytes);
      assert.equal(bench.requests, 1, 'one request at a time');
      assert.equal(cold.waits, 0, 'the forwarder has waited for the disk');
      assert.equal(stage.doWork(), 1);
      cold.waits = 0;
      windows += 1;
      assert.ok(rig.turn() > 0 || bench.sentBytes > sentBytes, 'at once, without a timer');
    },
  );
  assert.equal(cold.waits, 0);
  assert.equal(windows, 1, 'what lies near goes with it');
  bench.checkReceived();
});

test('nothing is read for a destination that still does not read', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, cold } = bench;
  bench.fill();
  bench.evict();
  for (let i = 0; i < 100; i++) {
    rig.nowMs = Math.max(rig.nowMs + 1, rig.connection.nextTimerMs);
    assert.equal(rig.turn(), 0);
  }
  assert.deepEqual([bench.requests, cold.waits, cold.looks], [0, 0, 0]);
});

test('a destination that reads costs no look', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, peer, cold } = bench;
  for (const parcel of bench.parcels) assert.ok(rig.connection.tryAdd(parcel));
  rig.until(
    () => bench.isDone,
    () => {
      peer.pump();
      rig.nowMs = Math.min(rig.nowMs, 1_000 + LOOK_AGAIN_MS - 1);
    },
  );
  assert.equal(cold.looks, 0);
  bench.checkReceived();
});

test('one that reads slowly is looked after again and again', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, peer, cold, stage } = bench;
  bench.fill();
  let windows = 0;
  rig.until(
    () => bench.isDone,
    () => {
      // The turn before may have asked: a minute more and it would rightly give up.
      if (bench.requests === 0) {
        bench.evict();
        peer.accept();
        for (const stream of peer.streams) peer.read(stream, 8_192);
        rig.turn();
      }
      if (bench.requests === 0) return;
      windows += 1;
      assert.equal(cold.waits, 0);
      stage.doWork();
      cold.waits = 0;
      rig.turn();
      assert.equal(cold.waits, 0, 'what was read goes before it is cold again');
    },
  );
  assert.ok(windows > BLOCKS, `${windows} windows`);
  bench.checkReceived();
});

test('what is cold again at once, or without a catch-up worker, is waited for', needsAddon, (t) => {
  for (const hasCatchup of [true, false]) {
    const bench = new Rig(t, hasCatchup);
    const { rig, peer, cold, stage } = bench;
    bench.fill();
    bench.evict();
    rig.until(
      () => bench.isDone,
      () => {
        peer.pump();
        if (bench.requests > 0) stage.doWork();
        cold.evict();
      },
    );
    bench.checkReceived();
    assert.ok(cold.waits > 0);
    cold.restore();
  }
});

test('a request that nobody does is given up, and the connection goes on', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, peer } = bench;
  bench.fill();
  bench.evict();
  rig.until(
    () => bench.isDone,
    () => {
      peer.pump();
      if (bench.requests > 0) rig.nowMs += 1_000;
    },
  );
  assert.ok(bench.client.abandoned > 0);
  bench.checkReceived();
});

test('a connection that breaks while it waits begins anew', needsAddon, (t) => {
  const bench = new Rig(t);
  const { rig, peer, cold, stage } = bench;
  bench.fill();
  bench.evict();
  rig.until(
    () => bench.requests > 0,
    () => peer.pump(),
  );
  peer.reset(peer.last!);
  rig.until(() => rig.connection.state === 'waiting');
  // What is read is what the last connection needed.
  stage.doWork();
  bench.evict();
  cold.waits = 0;
  rig.until(
    () => bench.isDone,
    () => {
      peer.pump();
      if (bench.requests === 0) return;
      assert.equal(cold.waits, 0);
      stage.doWork();
      cold.waits = 0;
    },
  );
  assert.equal(cold.waits, 0);
  peer.pump();
  const again = bytesOf(peer.last!);
  assert.ok(bench.expected.subarray(-again.length).equals(again), 'from a record on to the end');
});
