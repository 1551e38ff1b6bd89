/**
 * Forwarding to who is not there: nothing is lost that was not sent, a lag limit holds while a
 * destination is down, and the stream of a group stays where it is until a member is up.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ChannelOptions } from '../src/server/forward/options.ts';
import type { ChannelReport } from '../src/server/forward/report.ts';
import { Prng } from '../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { ForwardDestination } from './support/forward-destination.ts';
import { channelOptions, EngineLife, JournalFeed } from './support/forward-engine.ts';
import { judge } from './support/forward-judge.ts';
import { truthOfJournal } from './support/forward-truth.ts';

const skip = addonSkipReason();
const TIMEOUT_MS = 60_000;
const SEED = 7;
const EXPORTERS = 3;
const BLOCK_BYTES = 20_000;
const LAG_BYTES_MAX = 200_000;
/** The block that is held or looked at, with the longest record behind its end. */
const SLACK_BYTES = 4 * BLOCK_BYTES;

class Rig {
  readonly feed = new JournalFeed(SEED, EXPORTERS);
  readonly peers: readonly ForwardDestination[];
  readonly #channel: ChannelOptions;
  life: EngineLife;

  constructor(
    t: TestContext,
    peerCount: number,
    makeChannel: (ports: readonly number[]) => ChannelOptions,
  ) {
    const clock = { next: 0 };
    const peers = Array.from(
      { length: peerCount },
      (_, i) => new ForwardDestination(`${i}`, clock),
    );
    // Ports of their own, on which nobody listens.
    for (const peer of peers) peer.start();
    for (const peer of peers) peer.kill();
    this.peers = peers;
    this.#channel = makeChannel(peers.map(({ port }) => port));
    this.life = this.#live();
    t.after(() => {
      for (const peer of peers) peer.kill();
      this.feed.close();
    });
  }

  get report(): ChannelReport {
    return this.life.report()[0]!;
  }

  restart(): void {
    this.life = this.#live();
  }

  append(blocks: number): void {
    for (let i = 0; i < blocks; i++) this.feed.append(i % EXPORTERS, BLOCK_BYTES);
  }

  turn(): void {
    this.life.turn();
    for (const peer of this.peers) peer.turn();
  }

  until(what: string, isReached: () => boolean): void {
    const endMs = Date.now() + TIMEOUT_MS;
    while (!isReached()) {
      assert.ok(Date.now() < endMs, `not reached: ${what}: ${JSON.stringify(this.report)}`);
      this.turn();
    }
  }

  /** Every destination has failed so often, in this life. */
  untilFailed(times: number): void {
    this.until('it fails', () => {
      return this.report.destinations.every(({ connectErrors }) => connectErrors >= times);
    });
  }

  #live(): EngineLife {
    return new EngineLife(this.feed, [this.#channel], new Prng(SEED));
  }
}

for (const connections of ['merged', 'per-exporter'] as const) {
  test(`none, ${connections}: what was never sent is no loss, however the server ends`, {
    skip,
  }, (t) => {
    const rig = new Rig(t, 1, (ports) =>
      channelOptions('dead', ports, {}, { resend: 'none', connections }),
    );
    for (const end of ['kill', 'close', 'drain', 'kill', 'close'] as const) {
      rig.append(6);
      rig.untilFailed(3);
      assert.equal(rig.report.dropped.interrupted, 0, `before ${end}`);
      if (end === 'drain') {
        rig.life.drain();
        rig.until('drained', () => rig.life.lanes.areClosed);
      }
      if (end === 'kill') rig.life.kill();
      else rig.life.close();
      rig.restart();
    }
    rig.peers[0]!.start();
    rig.until('all is sent', () => rig.life.isSettled);
    const { received, delivered } = rig.report;
    assert.equal(delivered, received);
    rig.until('all has arrived', () => rig.peers[0]!.records === received);
    rig.life.close();
  });
}

for (const resend of ['none', 'unacked'] as const) {
  test(`${resend}: what a broken connection left goes back in the journal's order`, {
    skip,
  }, (t) => {
    const rig = new Rig(t, 1, (ports) =>
      channelOptions('gone', ports, {}, { resend, connections: 'per-exporter' }),
    );
    const [peer] = rig.peers as [ForwardDestination];
    peer.start();
    peer.isReading = false;
    rig.append(EXPORTERS);
    rig.until('all are connected', () => rig.report.destinations[0]!.connections === EXPORTERS);
    rig.append(100);
    for (let i = 0; i < 300; i++) rig.turn();
    peer.kill();
    rig.until('all connections are gone', () => rig.report.destinations[0]!.state !== 'up');
    rig.life.close();
    rig.restart();
    // At most the blocks in which a connection broke, and none when what is sent comes again.
    const blockRecords = rig.report.received / rig.feed.shared.publishedPosition;
    const most = resend === 'none' ? 2 * EXPORTERS * 2 * BLOCK_BYTES * blockRecords : 0;
    assert.ok(rig.report.dropped.interrupted <= most, JSON.stringify(rig.report.dropped));
    rig.life.close();
  });

  test(`${resend}, drop-oldest: the limit holds while the destination is down`, { skip }, (t) => {
    const limits = { onLag: 'drop-oldest', lagBytesMax: LAG_BYTES_MAX } as const;
    const rig = new Rig(t, 1, (ports) =>
      channelOptions('dead', ports, limits, { resend, connections: 'per-exporter' }),
    );
    const [peer] = rig.peers as [ForwardDestination];
    const holds = (): void => {
      rig.append(60);
      const { lag } = rig.report.dropped;
      rig.until('what is too old is dropped', () => {
        return rig.report.lagBytes <= LAG_BYTES_MAX + SLACK_BYTES;
      });
      const { dropped, received, delivered, filtered, pending } = rig.report;
      assert.ok(dropped.lag > lag, 'counted');
      const sum = Object.values(dropped).reduce((all, one) => all + one, 0);
      assert.equal(received, delivered + filtered + pending + sum, 'the ledger closes');
    };
    rig.append(3);
    rig.untilFailed(1);
    holds();
    holds();
    peer.start();
    peer.isReading = false;
    rig.until('it is connected', () => rig.report.destinations[0]!.state === 'up');
    for (let i = 0; i < 100; i++) {
      rig.append(1);
      rig.turn();
    }
    peer.kill();
    rig.until('all connections are gone', () => rig.report.destinations[0]!.state !== 'up');
    holds();
    holds();
    peer.start();
    peer.isReading = true;
    rig.until('it goes on', () => rig.life.isSettled);
    rig.append(3);
    rig.until('it goes on', () => rig.life.isSettled);
    rig.life.close();
  });
}

test('redundancy: with all down the stream stays, and goes to the first that comes up', {
  skip,
}, (t) => {
  const rig = new Rig(t, 3, (ports) =>
    channelOptions('pair', ports, { group: 'pair', mode: 'redundancy', switchBackMs: 3_600_000 }),
  );
  const active = (): number => rig.report.destinations.findIndex(({ isActive }) => isActive);
  rig.append(3);
  const endMs = Date.now() + 10 * 30;
  rig.until('time to switch over, ten times', () => {
    assert.equal(active(), 0);
    return Date.now() >= endMs;
  });
  rig.untilFailed(2);
  assert.equal(active(), 0);
  rig.peers[2]!.start();
  rig.until('the third takes over', () => rig.life.isSettled);
  assert.equal(active(), 2);
  rig.peers[2]!.kill();
  rig.append(3);
  rig.peers[1]!.start();
  rig.until('the second takes over', () => rig.life.isSettled);
  assert.equal(active(), 1);
  rig.life.close();
});

test('redundancy, none: one that dies unread behind a switch leaves its gap between two others', {
  skip,
}, (t) => {
  const options = { resend: 'none', connections: 'merged' } as const;
  const rig = new Rig(t, 2, (ports) =>
    channelOptions('pair', ports, { group: 'pair', mode: 'redundancy' }, options),
  );
  const [first, second] = rig.peers as [ForwardDestination, ForwardDestination];
  const active = (): number => rig.report.destinations.findIndex(({ isActive }) => isActive);
  const settle = (): void => rig.until('all is sent', () => rig.life.isSettled);
  const hasRead = (peer: ForwardDestination): boolean => {
    settle();
    const { unackedBytesAtLoss, sentBytes } = rig.report.destinations[rig.peers.indexOf(peer)]!;
    return unackedBytesAtLoss === 0 && peer.bytes === sentBytes;
  };
  second.start();
  rig.append(3);
  rig.until('the second has it', () => hasRead(second));
  first.isReading = false;
  first.start();
  rig.until('the first takes over', () => active() === 0);
  rig.until('the second was left', () => second.connections.every(({ end }) => end === 'fin'));
  rig.append(1);
  settle();
  first.kill('unread');
  rig.until('it is seen', () => rig.report.destinations[0]!.state !== 'up');
  first.isReading = true;
  first.start();
  rig.append(3);
  rig.until('all is sent, to somebody', () => {
    settle();
    return first.openCount + second.openCount > 0;
  });
  rig.life.drain();
  rig.until('all has ended', () => {
    return rig.life.lanes.areClosed && first.openCount + second.openCount === 0;
  });
  const verdict = judge({
    truth: truthOfJournal(rig.feed.journal),
    members: rig.peers,
    mode: 'redundancy',
    resend: 'none',
    connections: 'merged',
    underWayBytesMax: 2 * BLOCK_BYTES,
  });
  assert.ok(verdict.missing > 0 && verdict.received > 0, JSON.stringify(verdict));
  assert.deepEqual(verdict.findings, []);
  rig.life.close();
});
