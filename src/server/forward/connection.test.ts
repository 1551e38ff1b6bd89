/** One connection against a peer in the same thread: streams, breaks, timers. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { someParcels } from '../../../test/support/forward-breaks.ts';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import {
  ConnectionRig,
  memoryParcel,
  ParcelFile,
  type RigOptions,
  someRecords,
} from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { addressBytes } from '../address.ts';

import { makeLoopCheck } from './loop.ts';
import { LINGER_BYTES, TURN_BYTES_MAX } from './outgoing-stream.ts';
import type { Parcel } from './parcel.ts';

const needsAddon = { skip: addonSkipReason() };

interface Bench {
  readonly peer: ForwardPeer;
  readonly rig: ConnectionRig;
  readonly file: ParcelFile;
}

function makeBench(t: TestContext, options: RigOptions = {}): Bench {
  const peer = new ForwardPeer();
  const rig = new ConnectionRig({ port: peer.port, ...options });
  const file = new ParcelFile();
  t.after(() => {
    rig.close();
    peer.close();
    file.close();
  });
  return { peer, rig, file };
}

for (const resend of ['none', 'unacked'] as const) {
  for (const mechanism of ['auto', 'copy'] as const) {
    test(`a stream is the parcels' bytes: ${resend}, ${mechanism}`, needsAddon, (t) => {
      const { peer, rig, file } = makeBench(t, { resend, mechanism });
      const seed = 7;
      const [parcels, expected] = someParcels(new Prng(seed), 60, file);
      let next = 0;
      rig.until(
        () => rig.settled.length === parcels.length && peer.last?.bytes === expected.length,
        () => {
          while (next < parcels.length && rig.connection.tryAdd(parcels[next]!)) next += 1;
          peer.pump();
        },
      );
      assert.deepEqual(bytesOf(peer.last!), expected);
      assert.deepEqual(
        rig.settled.map(({ parcel }) => parcel),
        parcels,
      );
      for (const { parcel, settlement } of rig.settled) {
        assert.deepEqual(settlement, {
          delivered: parcel.records,
          cut: 0,
          resent: 0,
          damaged: 0,
          resumeBytes: parcel.bytes,
        });
      }
      assert.equal(rig.counts.sentBytes, expected.length);
      const records = parcels.reduce((sum, parcel) => sum + parcel.records, 0);
      assert.equal(rig.counts.sentRecords, records);
    });
  }
}

function oneParcel(seed: number, records = 20): [Parcel, Buffer] {
  const bytes = someRecords(new Prng(seed), 1000 * seed, records);
  return [memoryParcel(bytes, records), bytes];
}

test('adjacent parcels of one buffer leave in one call, others too, in order', needsAddon, (t) => {
  const { peer, rig } = makeBench(t);
  const pieces = [1, 2, 3].map((seed) => someRecords(new Prng(seed), seed, 5));
  const whole = Buffer.concat(pieces);
  let offset = 0;
  for (const piece of pieces) {
    const parcel = { ...memoryParcel(piece, 5), memory: { bytes: whole, offset } };
    offset += piece.length;
    assert.ok(rig.connection.tryAdd(parcel));
  }
  const [last, lastBytes] = oneParcel(4);
  assert.ok(rig.connection.tryAdd(last));
  rig.until(
    () => rig.settled.length === 4,
    () => peer.pump(),
  );
  assert.deepEqual(bytesOf(peer.last!), Buffer.concat([whole, lastBytes]));
});

test('a turn sends no more than its bound', needsAddon, (t) => {
  const { peer, rig, file } = makeBench(t);
  const records = 6_000;
  const bytes = someRecords(new Prng(3), 0, records);
  assert.ok(bytes.length > TURN_BYTES_MAX);
  rig.connection.tryAdd(file.parcel(bytes, records));
  let most = 0;
  for (let before = 0; rig.settled.length === 0; before = rig.counts.sentBytes) {
    rig.until(
      () => rig.counts.sentBytes > before || rig.settled.length > 0,
      () => peer.pump(),
    );
    most = Math.max(most, rig.counts.sentBytes - before);
  }
  assert.ok(most <= TURN_BYTES_MAX, `${most}`);
  peer.pump();
  assert.deepEqual(bytesOf(peer.last!), bytes);
});

/** A connection that stands, with nothing to do. */
function connectedBench(t: TestContext, options: RigOptions = {}): Bench {
  const bench = makeBench(t, options);
  const { rig, peer } = bench;
  rig.connection.open();
  rig.until(
    () => rig.connection.state === 'up' && peer.streams.length === 1,
    () => peer.pump(),
  );
  return bench;
}

test('little waits for lingerMs, much or a full outbox does not', needsAddon, (t) => {
  const { rig } = connectedBench(t, { lingerMs: 5, resend: 'none' });
  const startMs = rig.nowMs;
  rig.connection.tryAdd(oneParcel(1)[0]);
  assert.equal(rig.turn(), 0);
  assert.equal(rig.connection.nextTimerMs, startMs + 5);
  rig.nowMs = startMs + 4.9;
  assert.equal(rig.turn(), 0);
  rig.nowMs = startMs + 5;
  assert.ok(rig.turn() > 0, 'its time has come');
  rig.connection.tryAdd(oneParcel(1)[0]);
  assert.equal(rig.turn(), 0, 'the next one waits as long');
  rig.connection.tryAdd(oneParcel(2)[0]);
  assert.ok(rig.turn() > 0, 'no more fits in');
  const records = 600;
  const [much] = oneParcel(3, records);
  assert.ok(much.bytes > LINGER_BYTES);
  rig.connection.tryAdd(much);
  assert.ok(rig.turn() > 0, 'enough for a call');
});

test('unacked: settled when acknowledged; none: when TCP took it', needsAddon, (t) => {
  for (const resend of ['none', 'unacked'] as const) {
    const { rig } = connectedBench(t, { resend });
    rig.connection.tryAdd(oneParcel(1)[0]);
    assert.ok(rig.turn() > 0);
    if (resend === 'none') assert.equal(rig.settled.length, 1);
    rig.until(() => rig.settled.length === 1 && rig.counts.ackedBytes === rig.counts.sentBytes);
  }
});

test('what a destination says is thrown away and counted', needsAddon, (t) => {
  const { peer, rig } = connectedBench(t);
  peer.say(peer.last!, new Uint8Array(100_000));
  rig.until(() => rig.counts.talkedBackBytes === 100_000);
  assert.equal(rig.connection.state, 'up');
  const [parcel, bytes] = oneParcel(1);
  rig.connection.tryAdd(parcel);
  rig.until(
    () => rig.settled.length === 1,
    () => peer.pump(),
  );
  assert.deepEqual(bytesOf(peer.last!), bytes);
});

test('a destination that closes its end is gone', needsAddon, (t) => {
  const { peer, rig } = connectedBench(t);
  peer.hangUp(peer.last!);
  rig.until(() => rig.connection.state === 'idle');
  assert.match(rig.connection.reason, /closed its end/);
  assert.equal(rig.connection.downSinceMs, null, 'it was not tried');
  const [parcel, bytes] = oneParcel(1);
  rig.connection.tryAdd(parcel);
  rig.until(
    () => rig.settled.length === 1,
    () => peer.pump(),
  );
  assert.equal(rig.counts.reconnects, 1);
  assert.deepEqual(bytesOf(peer.streams[1]!), bytes);
});

test('an idle connection is closed in order, and opened for the next parcel', needsAddon, (t) => {
  const { peer, rig } = connectedBench(t, { idleTimeoutMs: 60_000 });
  rig.connection.tryAdd(oneParcel(1)[0]);
  rig.until(() => rig.settled.length === 1);
  assert.ok(rig.connection.nextTimerMs <= rig.nowMs + 60_000);
  rig.until(
    () => rig.connection.state === 'idle',
    () => peer.pump(),
  );
  assert.equal(rig.connection.nextTimerMs, Infinity);
  peer.pump();
  assert.equal(peer.last!.end, 0);
  rig.connection.tryAdd(oneParcel(2)[0]);
  rig.until(() => rig.settled.length === 2);
  assert.equal(rig.counts.breaks, 0);
  assert.equal(rig.counts.reconnects, 0);
});

test('a peer that never reads: bounded, and it stands', needsAddon, (t) => {
  const { rig } = connectedBench(t, { sendBufferBytes: 8_192 });
  let added = 0;
  const [parcel] = oneParcel(1, 400);
  while (rig.connection.tryAdd(parcel)) {
    added += parcel.bytes;
    rig.turn();
    assert.ok(added < 64 << 20, 'the outbox has a bound');
  }
  const before = rig.counts.sentBytes;
  for (let i = 0; i < 100; i++) {
    rig.nowMs += 100;
    rig.turn();
    assert.ok(rig.connection.nextTimerMs > rig.nowMs, 'no spinning');
  }
  assert.ok(rig.counts.sentBytes - before < 1 << 20);
  assert.equal(rig.connection.state, 'up');
});

test(
  'refused: the back-off doubles to its maximum, jitter takes off up to half',
  needsAddon,
  (t) => {
    const bench = makeBench(t, { reconnectMsMin: 100, reconnectMsMax: 1_000, random: () => 0 });
    const { rig } = bench;
    const closed = new ForwardPeer();
    closed.stopListening();
    const refused = new ConnectionRig({
      port: closed.port,
      reconnectMsMin: 100,
      reconnectMsMax: 1_000,
    });
    refused.connection.open();
    const gaps: number[] = [];
    for (let errors = 1; errors <= 7; errors++) {
      refused.until(() => refused.counts.connectErrors === errors);
      gaps.push(refused.connection.nextTimerMs - refused.nowMs);
    }
    assert.deepEqual(gaps, [100, 200, 400, 800, 1000, 1000, 1000]);
    assert.match(refused.connection.reason, /127\.0\.0\.1 port \d+: ECONNREFUSED/);
    refused.close();
    assert.equal(rig.connection.state, 'idle');
  },
);

test('names: addresses are tried in turn; none is counted and retried', needsAddon, (t) => {
  const answers: [Uint8Array[], string][] = [[[], 'ENOTFOUND']];
  const resolver = {
    resolve: (_: string, onResolved: (a: readonly Uint8Array[], r: string) => void) =>
      onResolved(...answers.at(-1)!),
  };
  const { peer, rig } = makeBench(t, { host: 'mediation.example', resolver });
  rig.connection.open();
  rig.until(() => rig.counts.resolveErrors === 2);
  assert.equal(rig.connection.state, 'waiting');
  assert.match(rig.connection.reason, /mediation.example cannot be resolved: ENOTFOUND/);
  // Nobody listens at the first one.
  const addresses = ['127.0.0.77', '127.0.0.1'].map((text) => addressBytes(text)!);
  answers.push([addresses, '']);
  rig.until(
    () => peer.streams.length === 1,
    () => peer.pump(),
  );
  assert.equal(rig.counts.connectErrors, 1);
});

test('a resolver that never answers is asked again', needsAddon, (t) => {
  const { rig } = makeBench(t, { host: 'x.example', resolver: { resolve: () => {} } });
  rig.connection.open();
  const startMs = rig.nowMs;
  rig.until(() => rig.counts.resolveErrors === 1);
  assert.equal(rig.nowMs - startMs, 10_000);
});

test('a full backlog: connectTimeoutMs ends the attempt', needsAddon, (t) => {
  const full = new ForwardPeer({ backlog: 0 });
  const rigs = [1, 2, 3].map(() => new ConnectionRig({ port: full.port }));
  t.after(() => {
    for (const rig of rigs) rig.close();
    full.close();
  });
  const isStuck = (rig: ConnectionRig): boolean => rig.connection.state === 'connecting';
  for (const rig of rigs) {
    rig.connection.open();
    for (let i = 0; i < 3; i++) rig.turn();
  }
  const stuck = rigs.find(isStuck);
  assert.ok(stuck !== undefined, 'a backlog of 0 takes one');
  assert.equal(stuck.connection.nextTimerMs, stuck.nowMs + 10_000);
  stuck.nowMs += 10_000;
  stuck.turn();
  assert.equal(stuck.counts.connectErrors, 1);
  assert.match(stuck.connection.reason, /no answer within connectTimeoutMs/);
});

test('a destination that is one of our listeners is a loop', needsAddon, (t) => {
  const peer = new ForwardPeer();
  const isLoop = makeLoopCheck([{ host: '0.0.0.0', port: peer.port }]);
  const rig = new ConnectionRig({ port: peer.port, isLoop });
  t.after(() => {
    rig.close();
    peer.close();
  });
  rig.connection.tryAdd(oneParcel(1)[0]);
  rig.until(() => rig.connection.state === 'loop');
  assert.equal(rig.connection.nextTimerMs, rig.nowMs + 30_000, 'retried slowly');
  assert.match(rig.connection.reason, /this server itself/);
  peer.pump();
  assert.equal(peer.last!.bytes, 0);
});

test('drain ends behind the parcel under way, and gives up the others', needsAddon, (t) => {
  for (const resend of ['none', 'unacked'] as const) {
    const { peer, rig, file } = connectedBench(t, { resend, sendBufferBytes: 4_096 });
    const bytes = someRecords(new Prng(1), 0, 4_000);
    const big = file.parcel(bytes, 4_000);
    const [next] = oneParcel(2);
    assert.ok(rig.connection.tryAdd(big) && rig.connection.tryAdd(next));
    rig.until(() => rig.counts.sentBytes > 0);
    assert.ok(rig.counts.sentBytes < big.bytes, 'it is under way');
    rig.connection.drain(rig.nowMs, 1e9);
    assert.equal(rig.connection.tryAdd(next), false);
    rig.until(
      () => rig.connection.state === 'closed',
      () => peer.pump(),
    );
    peer.pump();
    assert.deepEqual(bytesOf(peer.last!), bytes);
    assert.equal(peer.last!.end, 0);
    const [one, other] = rig.settled.map(({ settlement }) => settlement);
    assert.equal(one!.delivered, 4_000);
    assert.equal(other!.delivered, 0);
    assert.equal(other!.resumeBytes, 0);
    assert.equal(rig.counts.cutRecords, 0);
  }
});

test('a drain that waits for a peer that never reads does not spin', needsAddon, (t) => {
  const { rig } = connectedBench(t, { resend: 'none', sendBufferBytes: 4_096 });
  const [small] = oneParcel(1, 1);
  rig.until(() => {
    while (rig.connection.tryAdd(small)) rig.turn();
    return rig.counts.sentBytes > 4_096;
  });
  rig.connection.drain(rig.nowMs, 1e9);
  for (let i = 0; i < 100; i++) {
    rig.nowMs += 100;
    rig.turn();
    assert.ok(rig.connection.nextTimerMs > rig.nowMs, 'no spinning');
  }
  assert.equal(rig.connection.state, 'up', 'it waits for an acknowledgement');
  assert.equal(rig.counts.cutRecords, 0);
});

test('close in mid-parcel says where it stands', needsAddon, (t) => {
  const { peer, rig } = connectedBench(t, { resend: 'none', sendBufferBytes: 4_096 });
  const [big, bytes] = oneParcel(1, 4_000);
  rig.connection.tryAdd(big);
  rig.until(() => rig.counts.sentBytes > 0);
  rig.connection.close(rig.nowMs);
  const { delivered, cut, resumeBytes } = rig.settled[0]!.settlement;
  const ends = someRecords(new Prng(1), 1000, delivered + cut);
  assert.deepEqual(ends, bytes.subarray(0, resumeBytes));
  assert.ok(resumeBytes >= rig.counts.sentBytes);
  for (let i = 0; i < 100; i++) peer.pump();
  assert.ok(bytes.subarray(0, peer.last!.bytes).equals(bytesOf(peer.last!)));
});

test('a file that is cut short: its rest is damaged, the next parcel goes on', needsAddon, (t) => {
  for (const resend of ['none', 'unacked'] as const) {
    const { peer, rig, file } = makeBench(t, { resend });
    const bytes = someRecords(new Prng(1), 0, 100);
    const short = { ...file.parcel(bytes, 100), records: 103, bytes: bytes.length + 777 };
    const [next, nextBytes] = oneParcel(2);
    rig.connection.tryAdd(short);
    rig.connection.tryAdd(next);
    rig.until(
      () => rig.settled.length === 2,
      () => peer.pump(),
    );
    const { delivered, cut, damaged } = rig.settled[0]!.settlement;
    assert.deepEqual({ delivered, cut, damaged }, { delivered: 100, cut: 0, damaged: 3 });
    peer.pump();
    assert.deepEqual(bytesOf(peer.last!).subarray(-nextBytes.length), nextBytes);
  }
});
