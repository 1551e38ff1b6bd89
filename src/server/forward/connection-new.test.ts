/** A connection that is new: what a peer that accepts and closes costs, and when it is proved. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ForwardPeer } from '../../../test/support/forward-peer.ts';
import {
  ConnectionRig,
  ParcelFile,
  type RigOptions,
  someRecords,
} from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { NEW_BYTES_MAX, NEW_MS } from './outgoing-stream.ts';
import type { Parcel } from './parcel.ts';

const needsAddon = { skip: addonSkipReason() };
/** What the peer's kernel takes that reads nothing: its buffer, of which the kernel takes twice. */
const PEER_BYTES = 8_192;
const RECORDS = 3_000;

interface Bench {
  readonly peer: ForwardPeer;
  readonly rig: ConnectionRig;
  readonly parcel: Parcel;
}

function makeBench(t: TestContext, options: RigOptions): Bench {
  const peer = new ForwardPeer({ receiveBufferBytes: PEER_BYTES });
  const rig = new ConnectionRig({ port: peer.port, ...options });
  const file = new ParcelFile();
  const parcel = file.parcel(someRecords(new Prng(1), 0, RECORDS), RECORDS);
  assert.ok(parcel.bytes > 4 * (NEW_BYTES_MAX + 2 * PEER_BYTES));
  t.after(() => {
    rig.close();
    peer.close();
    file.close();
  });
  return { peer, rig, parcel };
}

/** The next connection, with as much in it as goes without a reader. */
function connectAndFill({ peer, rig, parcel }: Bench): void {
  const { length } = peer.streams;
  const fill = (): void => {
    while (rig.connection.tryAdd(parcel)) {
      // As many as it takes.
    }
    peer.accept();
  };
  rig.until(() => rig.connection.state === 'up' && peer.streams.length > length, fill);
  for (let turns = 0; turns < 30; turns++) {
    fill();
    rig.turn();
  }
}

test(
  'none: a peer that accepts and closes costs little, and less and less often',
  needsAddon,
  (t) => {
    const bench = makeBench(t, { resend: 'none' });
    const { peer, rig } = bench;
    const gaps: number[] = [];
    const cycles = 8;
    for (let cycle = 0; cycle < cycles; cycle++) {
      connectAndFill(bench);
      peer.hangUp(peer.last!);
      rig.until(() => rig.connection.state !== 'up');
      gaps.push(rig.connection.nextTimerMs - rig.nowMs);
    }
    assert.deepEqual(gaps, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]);
    const most = cycles * (NEW_BYTES_MAX + 2 * PEER_BYTES);
    assert.ok(rig.counts.sentBytes <= most, `${rig.counts.sentBytes} of ${most} bytes`);
    assert.ok(rig.counts.sentBytes > 0);
  },
);

test(
  'what a new connection holds back goes as it is acknowledged, or is no longer new',
  needsAddon,
  (t) => {
    const bench = makeBench(t, { resend: 'none' });
    const { peer, rig } = bench;
    connectAndFill(bench);
    const held = rig.counts.sentBytes;
    assert.ok(held <= NEW_BYTES_MAX + 2 * PEER_BYTES);
    assert.ok(rig.connection.nextTimerMs > rig.nowMs, 'it does not spin');
    const startMs = rig.nowMs;
    rig.until(
      () => rig.counts.sentBytes > held + NEW_BYTES_MAX,
      () => peer.pump(),
    );
    const before = rig.counts.sentBytes;
    rig.nowMs = startMs + NEW_MS;
    for (let turns = 0; turns < 30; turns++) rig.turn();
    assert.ok(rig.counts.sentBytes > before + 2 * NEW_BYTES_MAX, 'as much as the socket takes');
  },
);

test('unacked: nothing is held back, as nothing is lost', needsAddon, (t) => {
  const bench = makeBench(t, { resend: 'unacked' });
  connectAndFill(bench);
  assert.ok(bench.rig.counts.sentBytes > 2 * NEW_BYTES_MAX);
});

for (const resend of ['none', 'unacked'] as const) {
  test(`the back-off begins anew after a connection that stood: ${resend}`, needsAddon, (t) => {
    const bench = makeBench(t, { resend });
    const { peer, rig } = bench;
    const gapAfter = (standMs: number): number => {
      connectAndFill(bench);
      peer.pump();
      rig.nowMs += standMs;
      rig.turn();
      peer.reset(peer.last!);
      rig.until(() => rig.connection.state !== 'up');
      return rig.connection.nextTimerMs - rig.nowMs;
    };
    assert.equal(gapAfter(0), 200);
    assert.equal(gapAfter(0), 400);
    assert.equal(gapAfter(NEW_MS), 200);
    assert.equal(gapAfter(0), 400);
  });
}
