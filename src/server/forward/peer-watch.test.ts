/** A peer that stands still: it is there while it answers. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { ForwardPeer } from '../../../test/support/forward-peer.ts';
import {
  ConnectionRig,
  memoryParcel,
  type RigOptions,
  someRecords,
} from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { native, replaceNative } from '../../toolkit/sys/load.ts';

const needsAddon = { skip: addonSkipReason() };
const RECORDS = 400;

interface Bench {
  readonly peer: ForwardPeer;
  readonly rig: ConnectionRig;
}

/** A connection whose peer has stopped reading, with more to send than goes. */
function stoppedBench(t: TestContext, options: RigOptions): Bench {
  const peer = new ForwardPeer({ receiveBufferBytes: 4_096 });
  const rig = new ConnectionRig({ port: peer.port, sendBufferBytes: 8_192, ...options });
  t.after(() => {
    rig.close();
    peer.close();
  });
  const parcel = memoryParcel(someRecords(new Prng(1), 0, RECORDS), RECORDS);
  const fill = (): void => {
    while (rig.connection.tryAdd(parcel)) {
      // As many as it takes.
    }
    peer.accept();
  };
  rig.until(() => peer.streams.length === 1 && rig.counts.sentBytes > 0, fill);
  for (let turns = 0; turns < 20; turns++) rig.turn();
  return { peer, rig };
}

for (const resend of ['none', 'unacked'] as const) {
  test(`one that answers and reads nothing stands, however long: ${resend}`, needsAddon, (t) => {
    const userTimeoutMs = 200;
    const { peer, rig } = stoppedBench(t, { resend, userTimeoutMs });
    // The kernel's clock, as it would be the kernel that ends the connection.
    const startMs = Date.now();
    const zeroMs = rig.nowMs;
    while (Date.now() < startMs + 6 * userTimeoutMs) {
      rig.nowMs = zeroMs + Date.now() - startMs;
      rig.poller.wait(5);
      rig.connection.turn(rig.nowMs);
    }
    assert.equal(rig.connection.state, 'up');
    assert.equal(rig.counts.breaks, 0);
    const { sentBytes } = rig.counts;
    rig.until(
      () => rig.counts.sentBytes > sentBytes,
      () => peer.pump(),
    );
  });
}

/** Nobody answers: TCP knows of nothing. */
function forgetAnswers(t: TestContext): void {
  const before = native();
  replaceNative({ ...before, getsockoptBytes: () => -constants.errno.EPERM });
  t.after(() => replaceNative(before));
}

test(
  'one that is silent for userTimeoutMs has gone, and what the socket holds is given up',
  needsAddon,
  (t) => {
    const { peer, rig } = stoppedBench(t, { userTimeoutMs: 30_000 });
    forgetAnswers(t);
    let heardMs = rig.nowMs;
    let { ackedBytes } = rig.counts;
    rig.until(
      () => rig.counts.breaks === 1,
      () => {
        if (rig.counts.ackedBytes > ackedBytes) heardMs = rig.nowMs;
        ackedBytes = rig.counts.ackedBytes;
      },
    );
    assert.match(rig.connection.reason, /ETIMEDOUT/);
    assert.ok(rig.nowMs >= heardMs + 30_000, `${rig.nowMs - heardMs}`);
    assert.ok(rig.nowMs <= heardMs + 31_000, `${rig.nowMs - heardMs}`);
    assert.ok(rig.connection.parcelCount > 0, 'they are sent again');
    rig.close();
    const stream = peer.streams[0]!;
    while (stream.end === null) peer.pump();
    assert.equal(stream.end, -constants.errno.ECONNRESET);
  },
);

test('userTimeoutMs 0: it is left to TCP', needsAddon, (t) => {
  const { rig } = stoppedBench(t, { userTimeoutMs: 0 });
  forgetAnswers(t);
  for (let turns = 0; turns < 200; turns++) {
    rig.nowMs += 1_000;
    rig.turn();
  }
  assert.equal(rig.connection.state, 'up');
});
