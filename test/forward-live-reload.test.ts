/**
 * Reload of what connections can bear: they stay, no byte is lost or doubled, and what is chosen is
 * chosen by whole blocks: up to the one that was begun by the old options, from there by the new.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { compileFilter } from '../src/rdr/filter/compile.ts';
import { parseFilter } from '../src/rdr/filter/parser.ts';
import { frameLength } from '../src/rdr/index.ts';
import type { ChannelOptions } from '../src/server/forward/options.ts';
import { JournalReader } from '../src/server/journal/reader.ts';
import { Prng } from '../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { channelOptions, EngineLife, JournalFeed } from './support/forward-engine.ts';
import { bytesOf, ForwardPeer } from './support/forward-peer.ts';

const skip = addonSkipReason();
const TIMEOUT_MS = 60_000;
const EXPORTERS = 3;
const FILTERS = ['', 'tag = TRANSACTION_USAGE', "subscriber_id ~ '1'"];
const ROUNDS = 60;

function pick<T>(prng: Prng, list: readonly T[]): T {
  return list[prng.below(list.length)]!;
}

/** A journal that grows, a forwarder, and a peer that reads what the test says. */
class Bench {
  readonly feed: JournalFeed;
  readonly prng: Prng;
  readonly peers: readonly ForwardPeer[];
  life: EngineLife;

  constructor(
    t: TestContext,
    seed: number,
    peerCount: number,
    channels: (ports: readonly number[]) => readonly ChannelOptions[],
  ) {
    t.diagnostic(`seed ${seed}`);
    this.prng = new Prng(seed);
    this.feed = new JournalFeed(seed, EXPORTERS);
    this.peers = Array.from(
      { length: peerCount },
      () => new ForwardPeer({ receiveBufferBytes: 65_536 }),
    );
    this.life = new EngineLife(this.feed, channels(this.ports), this.prng);
    t.after(() => {
      this.life.close();
      for (const peer of this.peers) peer.close();
      this.feed.close();
    });
  }

  get ports(): readonly number[] {
    return this.peers.map(({ port }) => port);
  }

  step(): void {
    const { prng, feed, peers } = this;
    if (prng.chance(0.7)) feed.append(prng.below(EXPORTERS), prng.below(60_000));
    this.life.turn(1 + prng.below(4));
    for (const peer of peers) {
      peer.accept();
      for (const stream of peer.streams) peer.read(stream, prng.below(60_000));
    }
  }

  until(what: string, isReached: () => boolean): void {
    for (const endMs = Date.now() + TIMEOUT_MS; !isReached(); ) {
      assert.ok(Date.now() < endMs, `${what}: ${JSON.stringify(this.life.report())}`);
      this.life.turn();
      for (const peer of this.peers) peer.pump();
    }
  }

  /** Whole blocks: each by the filter that was in force when it was begun. */
  expected(filterAt: (position: number) => string): Buffer {
    const reader = new JournalReader(this.feed.journal);
    const records: Buffer[] = [];
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      const { bytes, offset, length, header } = block;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const filter = filterAt(header.position);
      const predicate = filter === '' ? null : compileFilter(parseFilter(filter));
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

for (const resend of ['none', 'unacked'] as const) {
  test(`options change under load, the connection stays: ${resend}`, { skip }, (t) => {
    const one = (port: number, more: Partial<ChannelOptions>, keys: object): ChannelOptions =>
      channelOptions('one', [port], more, { resend, connections: 'merged', ...keys });
    const bench = new Bench(t, 31, 1, ([port]) => [one(port!, {}, {})]);
    const { prng, peers, life } = bench;
    const [peer] = peers as [ForwardPeer];
    const changes: { position: number; filter: string }[] = [{ position: 0, filter: '' }];
    for (let round = 0; round < ROUNDS; round++) {
      for (let step = prng.below(30); step >= 0; step--) bench.step();
      const filter = pick(prng, FILTERS);
      const more = {
        filter,
        lagBytesMax: prng.below(2) * 1e9,
        lagMsMax: prng.below(2) * 1e9,
        onLag: pick(prng, ['hold', 'drop-oldest'] as const),
      };
      changes.push({ position: life.lanes.all[0]!.channel.ledger.readPosition, filter });
      life.reload([
        one(peer.port, more, {
          lingerMs: prng.below(3),
          mechanism: pick(prng, ['auto', 'copy'] as const),
          rateBytesPerSecond: pick(prng, [0, 50_000_000]),
          keepAliveMs: pick(prng, [0, 5_000]),
          userTimeoutMs: pick(prng, [0, 30_000]),
          reconnectMsMin: 1 + prng.below(9),
        }),
      ]);
      const { received, delivered, filtered, pending } = life.report()[0]!;
      assert.equal(received, delivered + filtered + pending, 'the ledger closes');
    }
    bench.until('settled', () => life.isSettled);
    const expected = bench.expected(
      (position) => changes.findLast((change) => change.position <= position)!.filter,
    );
    bench.until('all has come', () => peer.streams[0]!.bytes >= expected.length);
    assert.equal(peer.streams.length, 1, 'one connection');
    assert.ok(bytesOf(peer.streams[0]!).equals(expected), 'each record once, in order');
    const report = life.report()[0]!;
    const { received, delivered, filtered, dropped, resent, destinations } = report;
    assert.equal(received, delivered + filtered, JSON.stringify(dropped));
    assert.ok(filtered > 0 && delivered > 0 && resent === 0);
    assert.equal(destinations[0]!.breaks, 0);
  });
}

test('limits of a reload hold from then on', { skip }, (t) => {
  const one = (port: number, more: Partial<ChannelOptions>): ChannelOptions =>
    channelOptions('one', [port], more, { connections: 'merged', sendBufferBytes: 16_384 });
  const bench = new Bench(t, 8, 1, ([port]) => [one(port!, {})]);
  const { feed, life, peers } = bench;
  const { port } = peers[0]!;
  for (let i = 0; i < 200; i++) feed.append(0, 60_000);
  for (let i = 0; i < 100; i++) life.turn();
  assert.equal(life.lanes.heldPosition, life.lanes.all[0]!.writtenPosition);
  assert.equal(life.report()[0]!.dropped.lag, 0);
  life.reload([one(port, { onLag: 'drop-oldest', lagBytesMax: 1_000_000 })]);
  assert.equal(life.lanes.heldPosition, Number.MAX_SAFE_INTEGER, 'it holds the journal no more');
  bench.until('settled', () => life.isSettled);
  const { dropped, delivered, received, destinations } = life.report()[0]!;
  assert.ok(dropped.lag > 0);
  assert.equal(received, delivered + dropped.lag);
  assert.deepEqual([peers[0]!.streams.length, destinations[0]!.breaks], [1, 0]);
});

test('priorities change: the stream stays until the better one has proved itself', {
  skip,
}, (t) => {
  const pair = (first: number, second: number, names: readonly string[]): ChannelOptions => {
    const more = { mode: 'redundancy', group: 'pair', switchBackMs: 0 } as const;
    const made = channelOptions('pair', [first, second], more, { connections: 'merged' });
    const destinations = made.destinations.map((one, i) => ({ ...one, name: names[i]! }));
    return { ...made, destinations };
  };
  const bench = new Bench(t, 5, 2, ([a, b]) => [pair(a!, b!, ['a', 'b'])]);
  const { life, peers, ports } = bench;
  const activeName = (): string =>
    life.report()[0]!.destinations.find(({ isActive }) => isActive)!.name;
  for (let i = 0; i < 40; i++) bench.step();
  assert.equal(activeName(), 'a');
  life.reload([pair(ports[1]!, ports[0]!, ['b', 'a'])]);
  assert.equal(activeName(), 'a', 'not left by the reload itself');
  bench.until('it is taken', () => activeName() === 'b');
  for (let i = 0; i < 40; i++) bench.step();
  bench.until('settled', () => life.isSettled);
  const got = peers.map((peer) => Buffer.concat(peer.streams.map(bytesOf)));
  bench.until('all has come', () => {
    const bytes = peers.flatMap(({ streams }) => streams).reduce((sum, one) => sum + one.bytes, 0);
    return bytes >= bench.expected(() => '').length;
  });
  assert.ok(
    got.every(({ length }) => length > 0),
    'both had a part',
  );
  const all = Buffer.concat(peers.map((peer) => Buffer.concat(peer.streams.map(bytesOf))));
  assert.ok(all.equals(bench.expected(() => '')), 'no gap, no double at the boundary');
});
