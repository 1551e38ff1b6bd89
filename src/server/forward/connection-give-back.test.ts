/** What a connection gives back of what it was handed: what stands, and what does not. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import {
  ConnectionRig,
  ParcelFile,
  type RigOptions,
  someRecords,
} from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason, failCall } from '../../toolkit/sys/index.ts';

const { EIO, ENOMEM } = constants.errno;
const RECORDS = 100;
const isOld = (): boolean => true;
const needsAddon = { skip: addonSkipReason() };

function makeBench(t: TestContext, options: RigOptions = {}, receiveBufferBytes = 0) {
  const peer = new ForwardPeer({ receiveBufferBytes });
  const rig = new ConnectionRig({ port: peer.port, sendBufferBytes: 8_192, ...options });
  const file = new ParcelFile();
  t.after(() => {
    rig.close();
    peer.close();
    file.close();
  });
  const prng = new Prng(9);
  const pieces = Array.from({ length: 8 }, (_, i) => someRecords(prng, 100 * i, RECORDS));
  const parcels = pieces.map((piece) => file.parcel(piece, RECORDS));
  return { peer, rig, parcels, pieces };
}

for (const resend of ['none', 'unacked'] as const) {
  test(`one that stands gives back what is too old and not begun: ${resend}`, needsAddon, (t) => {
    const { peer, rig, parcels, pieces } = makeBench(t, { resend }, 4_096);
    const arrived: number[] = [];
    let next = 0;
    const add = (): void => {
      while (next < parcels.length && rig.connection.tryAdd(parcels[next]!)) next += 1;
    };
    add();
    rig.until(() => rig.counts.sentBytes > 0);
    for (let i = 0; i < 50; i++) {
      rig.turn();
      add();
    }
    const settled = rig.settled.length;
    const held = rig.connection.parcelCount;
    assert.ok(held > 1 && settled + held === next, 'the peer does not read');
    rig.connection.giveBack(() => false);
    assert.equal(rig.settled.length, settled, 'nothing is too old');
    const oldest = next - (resend === 'none' ? 1 : 2);
    rig.connection.giveBack((parcel) => parcels.indexOf(parcel) <= oldest);
    const back = rig.settled.splice(settled);
    assert.ok(back.length > 0 && back.length < held, 'not what is begun');
    assert.equal(rig.connection.parcelCount, held - back.length);
    for (const [i, { parcel, settlement }] of back.entries()) {
      const { delivered, resumeBytes } = settlement;
      assert.equal(
        parcel,
        parcels[oldest + 1 - back.length + i],
        'in their order, up to the oldest',
      );
      assert.deepEqual([delivered, resumeBytes], [0, 0]);
    }
    const gone = new Set(back.map(({ parcel }) => parcel));
    for (const [i, parcel] of parcels.entries()) if (!gone.has(parcel)) arrived.push(i);
    const expected = Buffer.concat(arrived.map((i) => pieces[i]!));
    rig.until(
      () => rig.settled.length === arrived.length && peer.last?.bytes === expected.length,
      () => {
        add();
        peer.pump();
      },
    );
    assert.deepEqual(bytesOf(peer.last!), expected);
  });
}

test('one that never stood gives all back, and is tried without it', needsAddon, (t) => {
  const { peer, rig, parcels } = makeBench(t);
  for (const parcel of parcels) assert.ok(rig.connection.tryAdd(parcel));
  rig.connection.giveBack(isOld);
  assert.deepEqual(
    rig.settled.map(({ parcel, settlement }) => [parcel, settlement.delivered]),
    parcels.map((parcel) => [parcel, 0]),
  );
  assert.equal(rig.connection.parcelCount, 0);
  rig.until(
    () => rig.connection.state === 'up' && peer.streams.length === 1,
    () => peer.pump(),
  );
});

test('what may have arrived is not given back before it is known how far', needsAddon, (t) => {
  const { peer, rig, parcels } = makeBench(t, {}, 4_096);
  for (const parcel of parcels) assert.ok(rig.connection.tryAdd(parcel));
  rig.until(
    () => rig.counts.sentBytes > 1_000,
    () => peer.accept(),
  );
  // At the break nothing tells what was acknowledged, and the file does not show the boundaries.
  const faults = [
    failCall({ call: 'socketQueue', nth: 1, errno: ENOMEM, count: 4 }),
    failCall({ call: 'pread', nth: 1, errno: EIO, count: 1 }),
  ];
  t.after(() => {
    for (const fault of faults.toReversed()) fault.restore();
  });
  peer.reset(peer.last!);
  rig.until(() => rig.connection.state === 'waiting');
  assert.equal(faults[1]!.calls, 1, 'it was looked for');
  const settled = rig.settled.length;
  rig.connection.giveBack(isOld);
  assert.equal(rig.settled.length, settled, 'not yet');
  rig.nowMs = rig.connection.nextTimerMs;
  rig.turn();
  rig.connection.giveBack(isOld);
  if (rig.connection.state !== 'up') assert.equal(rig.connection.parcelCount, 0, 'now');
  for (const { parcel, settlement } of rig.settled.slice(settled)) {
    const { delivered, resumeBytes } = settlement;
    assert.ok(delivered < parcel.records && resumeBytes < parcel.bytes, 'the rest goes again');
  }
});
