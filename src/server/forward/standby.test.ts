/** A standby of a redundancy group: what proves that it is there, and what does not. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ForwardPeer } from '../../../test/support/forward-peer.ts';
import { ConnectionRig } from '../../../test/support/forward-rig.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { NEW_MS } from './outgoing-stream.ts';
import { type MemberState, Redundancy } from './redundancy.ts';

const needsAddon = { skip: addonSkipReason() };
const SWITCH_BACK_MS = 30_000;

interface Standby {
  readonly peer: ForwardPeer;
  readonly rig: ConnectionRig;
  /** Connects, stands for so long and ends by the peer's doing; what is seen meanwhile. */
  live(standMs: number, how: 'hangUp' | 'reset'): void;
  readonly group: Redundancy;
  decide(): boolean;
}

function makeStandby(t: TestContext): Standby {
  const peer = new ForwardPeer();
  const rig = new ConnectionRig({ port: peer.port, isWatched: true });
  t.after(() => {
    rig.close();
    peer.close();
  });
  const members = ['best', 'second'];
  const times = { switchOverMs: 5_000, switchBackMs: SWITCH_BACK_MS };
  const group = new Redundancy({ members, ...times }, 'second', rig.nowMs);
  const state = (): MemberState => {
    if (rig.connection.upSinceMs !== null) return 'up';
    return rig.connection.downSinceMs === null ? 'unknown' : 'down';
  };
  const look = (): void => {
    peer.accept();
    group.observe(1, 'up', rig.nowMs);
    group.observe(0, state(), rig.nowMs);
    if (state() !== 'up') rig.connection.open();
  };
  return {
    peer,
    rig,
    group,
    live(standMs, how) {
      const { length } = peer.streams;
      rig.until(() => rig.connection.state === 'up' && peer.streams.length > length, look);
      look();
      rig.nowMs += standMs;
      rig.turn();
      look();
      peer[how](peer.last!);
      rig.until(
        () => rig.connection.state !== 'up',
        () => group.observe(0, state(), rig.nowMs),
      );
      look();
    },
    decide: () => group.decide(rig.nowMs),
  };
}

test(
  'one that closes idle connections in order, and takes each new one, is up',
  needsAddon,
  (t) => {
    const standby = makeStandby(t);
    const startMs = standby.rig.nowMs;
    while (standby.rig.nowMs < startMs + SWITCH_BACK_MS) {
      assert.equal(standby.decide(), false, 'not yet');
      standby.live(10_000, 'hangUp');
      assert.equal(standby.rig.connection.downSinceMs, null, 'it did not fail');
    }
    assert.equal(standby.decide(), true);
    assert.equal(standby.group.active, 0);
  },
);

test('one that resets, or closes what was hardly made, is down each time', needsAddon, (t) => {
  for (const [standMs, how] of [
    [10_000, 'reset'],
    [NEW_MS - 1, 'hangUp'],
  ] as const) {
    const standby = makeStandby(t);
    for (let life = 0; life < 10; life++) {
      standby.live(standMs, how);
      assert.notEqual(standby.rig.connection.downSinceMs, null);
      assert.equal(standby.decide(), false);
    }
  }
});

test('one that closed in order and takes no new connection is down', needsAddon, (t) => {
  const standby = makeStandby(t);
  const { peer, rig } = standby;
  standby.live(10_000, 'hangUp');
  peer.stopListening();
  rig.until(() => rig.counts.connectErrors > 0);
  assert.notEqual(rig.connection.downSinceMs, null);
  assert.equal(rig.connection.state, 'waiting');
});
