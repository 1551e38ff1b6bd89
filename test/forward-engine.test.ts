/**
 * Forward engine: all kinds of channels over one journal, with connections that break, destinations
 * that die and forwarders that are killed, at random; every record is looked at.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ChannelOptions } from '../src/server/forward/options.ts';
import type { ChannelReport } from '../src/server/forward/report.ts';
import { Prng } from '../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { type BreakMode, ForwardDestination } from './support/forward-destination.ts';
import { channelOptions, EngineLife, JournalFeed } from './support/forward-engine.ts';
import { type JudgeOptions, judge } from './support/forward-judge.ts';
import { truthOfJournal } from './support/forward-truth.ts';

const skip = addonSkipReason();
const TIMEOUT_MS = 60_000;
const EXPORTERS = 4;
const STEPS = 500;
const EACH = { connections: 'per-exporter' } as const;
/** A socket's buffers on both sides, and what the forwarder holds of it. */
const UNDER_WAY_BYTES = 8e6;

function closes(report: ChannelReport): void {
  const { received, delivered, filtered, pending, dropped } = report;
  const sum = Object.values(dropped).reduce((all, one) => all + one, 0);
  assert.equal(received, delivered + filtered + pending + sum, `${report.name} closes`);
}

class Chaos {
  readonly feed: JournalFeed;
  readonly peers: ForwardDestination[];
  readonly prng: Prng;
  readonly #channels: readonly ChannelOptions[];
  /** Of all lives: how often the members of a group have changed is up to the clock. */
  readonly #memberChanges: unknown[][] = [];
  life: EngineLife;

  constructor(
    t: TestContext,
    seed: number,
    names: readonly string[],
    makeChannels: (ports: readonly number[]) => readonly ChannelOptions[],
  ) {
    t.diagnostic(`seed ${seed}`);
    this.prng = new Prng(seed);
    this.feed = new JournalFeed(seed, EXPORTERS);
    const clock = { next: 0 };
    this.peers = names.map((name) => new ForwardDestination(name, clock));
    for (const peer of this.peers) peer.start();
    this.#channels = makeChannels(this.peers.map(({ port }) => port));
    this.life = this.#begin();
    t.after(() => {
      for (const peer of this.peers) peer.kill();
      this.feed.close();
    });
  }

  step(): void {
    const { prng, feed, peers, life } = this;
    if (prng.chance(0.5)) feed.append(prng.below(EXPORTERS), prng.below(60_000));
    life.turn(1 + prng.below(8));
    for (const peer of peers) if (prng.chance(0.7)) peer.turn();
    for (const report of life.report()) closes(report);
  }

  /** Another life, after the last one was closed. */
  restart(): void {
    this.life = this.#begin();
  }

  #begin(): EngineLife {
    const life = new EngineLife(this.feed, this.#channels, this.prng);
    this.#memberChanges.push(life.memberChanges);
    return life;
  }

  memberChanges(group: string): number {
    return this.#memberChanges.flat().filter((name) => name === group).length;
  }

  killForwarder(): void {
    this.life.kill();
    for (const peer of this.peers) {
      peer.isServerKilled = true;
      peer.turn();
      peer.isServerKilled = false;
    }
    this.restart();
  }

  /** Everybody is up, until all is settled; then the end. */
  finish(): void {
    for (const peer of this.peers) if (!peer.isUp) peer.start();
    this.until('settled', () => this.life.isSettled);
    for (const report of this.life.report()) closes(report);
    this.life.drain();
    this.until('drained', () => this.life.lanes.areClosed);
    for (let bytes = 1; bytes > 0; ) {
      bytes = this.peers.reduce((sum, peer) => sum + peer.turn(), 0);
    }
  }

  until(what: string, isReached: () => boolean): void {
    const endMs = Date.now() + TIMEOUT_MS;
    while (!isReached()) {
      if (Date.now() > endMs) {
        throw new Error(`not reached: ${what}: ${JSON.stringify(this.life.report())}`);
      }
      this.life.turn();
      for (const peer of this.peers) peer.turn();
    }
  }

  verdict(members: readonly number[], more: Partial<JudgeOptions>): void {
    const truth = truthOfJournal(this.feed.journal, more.mode === 'hash');
    const underWayBytesMax = more.resend === 'none' ? UNDER_WAY_BYTES : 0;
    const verdict = judge({
      truth,
      underWayBytesMax,
      members: members.map((i) => this.peers[i]!),
      ...more,
    });
    assert.deepEqual(verdict.findings, [], JSON.stringify(this.life.report()));
    assert.ok(verdict.received > 0);
  }
}

/** In the order of the peers' names. */
function sixChannels(resend: 'none' | 'unacked') {
  return (ports: readonly number[]): ChannelOptions[] => {
    const [merged, each, some, one, other, better, worse, even, odd] = ports as number[];
    const farm = (name: string, port: number, by: 'hash' | 'block', self: number) => {
      const members = [`${by}/0-0`, `${by}/1-0`];
      const balance = { by, field: 'subscriber_id', members, self };
      const more = { group: by, mode: 'load-balancing', balance } as const;
      return channelOptions(name, [port], more, { resend });
    };
    return [
      channelOptions('merged', [merged!], {}, { resend, connections: 'merged' }),
      channelOptions('each', [each!], {}, { resend, connections: 'per-exporter' }),
      channelOptions('some', [some!], { filter: 'tag = TRANSACTION_USAGE' }, { resend }),
      farm('hash/0', one!, 'hash', 0),
      farm('hash/1', other!, 'hash', 1),
      channelOptions('pair', [better!, worse!], { group: 'pair', mode: 'redundancy' }, { resend }),
      farm('block/0', even!, 'block', 0),
      farm('block/1', odd!, 'block', 1),
    ];
  };
}

const NAMES = ['merged', 'each', 'some', 'one', 'other', 'better', 'worse', 'even', 'odd'];
const USAGE = 0xf0f0f438;

function judgeAll(chaos: Chaos, resend: 'none' | 'unacked'): void {
  const common = { resend, connections: 'merged' } as const;
  chaos.verdict([0], common);
  chaos.verdict([1], { resend });
  chaos.verdict([2], { ...common, chosen: (stream, i) => stream.tags[i] === USAGE });
  const membershipChanges = chaos.memberChanges('hash');
  chaos.verdict([3, 4], { ...common, mode: 'hash', membershipChanges });
  chaos.verdict([5, 6], { ...common, mode: 'redundancy' });
  chaos.verdict([7, 8], { ...common, mode: 'block' });
}

for (const resend of ['unacked', 'none'] as const) {
  test(`${resend}: in peace everybody gets all that is its own, once`, { skip }, (t) => {
    const chaos = new Chaos(t, randomInt(2 ** 31), NAMES, sixChannels(resend));
    for (let i = 0; i < 200; i++) chaos.step();
    chaos.finish();
    judgeAll(chaos, resend);
    assert.deepEqual([chaos.memberChanges('hash'), chaos.memberChanges('block')], [0, 0]);
    for (const report of chaos.life.report()) {
      assert.equal(report.pending, 0);
      assert.deepEqual(Object.values(report.dropped), [0, 0, 0, 0, 0, 0]);
      assert.equal(report.resent, 0);
    }
    chaos.life.close();
  });
}

function upset(chaos: Chaos, modes: readonly BreakMode[], steps: number): void {
  const { prng } = chaos;
  for (let i = 0; i < steps; i++) {
    chaos.step();
    const peer = chaos.peers[prng.below(chaos.peers.length)]!;
    if (prng.chance(0.03)) peer.breakOne(prng.below(4), modes[prng.below(modes.length)]!);
    if (prng.chance(0.01)) peer.kill(modes[prng.below(modes.length)]!);
    if (prng.chance(0.05) && !peer.isUp) peer.start();
    if (prng.chance(0.02)) chaos.killForwarder();
  }
  chaos.finish();
}

test('unacked: whatever breaks, nothing is missing, and doubles come behind breaks only', {
  skip,
}, (t) => {
  const chaos = new Chaos(t, randomInt(2 ** 31), NAMES, sixChannels('unacked'));
  upset(chaos, ['drained', 'peeked'], STEPS);
  t.diagnostic(`${chaos.memberChanges('hash')} changes of members`);
  judgeAll(chaos, 'unacked');
  chaos.life.close();
});

test('none: whatever breaks, nothing comes twice, and what is missing was under way', {
  skip,
}, (t) => {
  const chaos = new Chaos(t, randomInt(2 ** 31), NAMES, sixChannels('none'));
  upset(chaos, ['drained', 'unread', 'peeked'], STEPS);
  t.diagnostic(`${chaos.memberChanges('hash')} changes of members`);
  judgeAll(chaos, 'none');
  chaos.life.close();
});

test('a dead destination is skipped over by its lag, counted, and costs the others nothing', {
  skip,
}, (t) => {
  const chaos = new Chaos(t, randomInt(2 ** 31), ['dead', 'alive'], ([dead, alive]) => [
    channelOptions('dead', [dead!], { onLag: 'drop-oldest', lagBytesMax: 1e6 }),
    channelOptions('alive', [alive!]),
  ]);
  const [dead] = chaos.peers as [ForwardDestination];
  dead.kill();
  for (let i = 0; i < 500; i++) chaos.step();
  chaos.until('the one that is alive has all', () => chaos.life.report()[1]!.pending === 0);
  const lagging = chaos.life.report()[0]!;
  assert.ok(lagging.dropped.lag > 0, JSON.stringify(lagging));
  assert.ok(lagging.pending > 0);
  dead.start();
  chaos.until('the other goes on', () => chaos.life.isSettled);
  const [after] = chaos.life.report() as [ChannelReport];
  closes(after);
  assert.equal(after.delivered, dead.records);
  chaos.life.close();
});

test('retention that overtakes a channel is counted, and the channel goes on behind it', {
  skip,
}, (t) => {
  const chaos = new Chaos(t, randomInt(2 ** 31), ['late'], ([port]) => [
    channelOptions('late', [port!]),
  ]);
  const [late] = chaos.peers as [ForwardDestination];
  chaos.feed.append(0, 1000);
  chaos.until('it has begun', () => chaos.life.isSettled && late.records > 0);
  chaos.life.close();
  for (let i = 0; i < 60; i++) chaos.feed.append(i % EXPORTERS, 30_000);
  const segments = readdirSync(chaos.feed.journal).sort();
  for (const name of segments.slice(0, 4)) rmSync(join(chaos.feed.journal, name));
  chaos.restart();
  chaos.until('it is at the end', () => chaos.life.isSettled);
  const [report] = chaos.life.report() as [ChannelReport];
  closes(report);
  assert.ok(report.dropped.retention > 0);
  assert.equal(report.delivered, late.records);
  assert.equal(report.received, report.delivered + report.dropped.retention);
  chaos.life.close();
});

test('a reload adds, removes and changes channels, and leaves the others alone', { skip }, (t) => {
  const names = ['stays', 'goes', 'changes', 'comes'];
  const chaos = new Chaos(t, randomInt(2 ** 31), names, ([stays, goes, changes]) => [
    channelOptions('stays', [stays!], {}, EACH),
    channelOptions('goes', [goes!]),
    channelOptions('changes', [changes!]),
  ]);
  const [stays, , changes, comes] = chaos.peers.map(({ port }) => port) as [
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < 60; i++) chaos.step();
  const kept = chaos.life.lanes.all[0]!;
  const files = (): string[] => readdirSync(chaos.feed.positions).sort();
  assert.deepEqual(files(), ['changes.position', 'goes.position', 'stays.position']);
  chaos.life.reload([
    channelOptions('stays', [stays], {}, EACH),
    channelOptions('changes', [changes], { filter: 'tag = TRANSACTION_USAGE' }),
    channelOptions('comes', [comes], {}, EACH),
  ]);
  for (let i = 0; i < 60; i++) chaos.step();
  chaos.until('all three run', () => chaos.life.lanes.all.length === 3);
  chaos.finish();
  assert.equal(chaos.life.lanes.all[0], kept, 'the same one, with its connections');
  assert.deepEqual(files(), ['changes.position', 'comes.position', 'stays.position']);
  chaos.verdict([0], EACH);
  chaos.verdict([3], EACH);
  assert.equal(chaos.peers[0]!.connections.length, EXPORTERS, 'no connection was dropped');
  const changed = chaos.life.report().find(({ name }) => name === 'changes')!;
  closes(changed);
  assert.ok(changed.filtered > 0);
  assert.equal(changed.delivered, chaos.peers[2]!.records);
  chaos.life.close();
});
