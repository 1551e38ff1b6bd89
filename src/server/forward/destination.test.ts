/** The connections of one destination: one for each exporter, or one; up, down, gone. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import { DESTINATION, memoryParcel, someRecords } from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason, getSocketOption } from '../../toolkit/sys/index.ts';
import { native, replaceNative } from '../../toolkit/sys/load.ts';
import { addressBytes, formatAddress } from '../address.ts';
import { CONNECTIONS_MAX, Destination, EXPORTER_GONE_MS } from './destination.ts';
import { describeDestination } from './destination-text.ts';
import type { DestinationOptions } from './options.ts';
import type { Parcel } from './parcel.ts';
import { Poller } from './poller.ts';

const needsAddon = { skip: addonSkipReason() };
const ONE = exporter('192.0.2.1');
const OTHER = exporter('192.0.2.2');

function exporter(text: string): string {
  return Buffer.from(addressBytes(text)!).toString('latin1');
}

interface Bench {
  readonly peer: ForwardPeer;
  readonly destination: Destination;
  readonly settled: Parcel[];
  nowMs: number;
  until(isSo: () => boolean, what: string): void;
}

function makeBench(
  t: TestContext,
  options: Partial<DestinationOptions> = {},
  isWatched = false,
): Bench {
  const peer = new ForwardPeer();
  const settled: Parcel[] = [];
  const poller = new Poller({ nowMs: () => 0 });
  const destination = new Destination(
    { ...DESTINATION, port: peer.port, connections: 'per-exporter', ...options },
    {
      poller,
      resolver: { resolve: (_, onResolved) => onResolved([], 'no names here') },
      isLoop: () => false,
      random: () => 0,
      warmth: null,
      isWatched,
      onSettled: (parcel) => settled.push(parcel),
    },
  );
  const bench: Bench = {
    peer,
    destination,
    settled,
    nowMs: 1_000,
    until(isSo, what) {
      for (const endMs = Date.now() + 60_000; !isSo(); ) {
        assert.ok(Date.now() < endMs, what);
        const moved = poller.wait(1) + destination.turn(bench.nowMs) + peer.pump();
        if (moved > 0 || isSo() || poller.wait(1) > 0) continue;
        const { nextTimerMs } = destination;
        if (nextTimerMs < bench.nowMs + 60_000) bench.nowMs = Math.max(bench.nowMs, nextTimerMs);
      }
    },
  };
  t.after(() => {
    destination.close(bench.nowMs);
    assert.equal(poller.size, 0, 'every socket is closed');
    poller.close();
    peer.close();
  });
  return bench;
}

function someParcel(seed: number, from: string): [Parcel, Buffer] {
  const bytes = someRecords(new Prng(seed), 100 * seed, 20);
  return [{ ...memoryParcel(bytes, 20), exporter: from }, bytes];
}

/** What came over all connections, by local address and bytes. */
function streamsOf(peer: ForwardPeer): Buffer[] {
  return peer.streams.map(bytesOf);
}

test('each exporter has a connection, from its own local address', needsAddon, (t) => {
  const bench = makeBench(t, { localAddressByExporter: { '192.0.2.2': '127.0.0.9' } });
  const { destination, peer, settled } = bench;
  const sent = [ONE, OTHER, ONE, OTHER].map((from, i) => someParcel(i + 1, from));
  for (const [parcel] of sent) assert.ok(destination.tryAdd(parcel, bench.nowMs));
  assert.equal(destination.parcelCount, 4);
  bench.until(() => settled.length === 4, 'all are settled');
  assert.equal(destination.parcelCount, 0);
  const expected = [0, 1].map((i) => Buffer.concat([sent[i]![1], sent[i + 2]![1]]));
  const froms = peer.streams.map(({ from }) => formatAddress(from.subarray(0, 16)));
  const streams = streamsOf(peer);
  const other = froms.indexOf('127.0.0.9');
  assert.equal(froms.length, 2);
  assert.deepEqual(streams[other], expected[1]);
  assert.deepEqual(streams[1 - other], expected[0]);
  const report = destination.report();
  assert.equal(report.connectionsUp, 2);
  assert.equal(report.address, '127.0.0.1');
  assert.equal(report.state, 'up');
  assert.equal(report.sentRecords, 80);
  assert.equal(report.ackedBytes, report.sentBytes);
});

test('merged: one connection for all', needsAddon, (t) => {
  const bench = makeBench(t, { connections: 'merged' });
  const sent = [ONE, OTHER, ONE].map((from, i) => someParcel(i + 1, from));
  for (const [parcel] of sent) assert.ok(bench.destination.tryAdd(parcel, bench.nowMs));
  bench.until(() => bench.settled.length === 3, 'all are settled');
  assert.deepEqual(streamsOf(bench.peer), [Buffer.concat(sent.map(([, bytes]) => bytes))]);
});

test('a local address that is not ours: a reason, and retried', needsAddon, (t) => {
  const bench = makeBench(t, { localAddressByExporter: { '192.0.2.1': '192.0.2.77' } });
  bench.destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
  bench.until(() => bench.destination.counts.connectErrors === 3, 'it is tried again');
  const { reason, state } = bench.destination.report();
  assert.equal(state, 'waiting');
  assert.match(reason, /cannot come from 192\.0\.2\.77: EADDRNOTAVAIL/);
  const { why } = describeDestination(bench.destination.options, true, bench.destination.report());
  assert.ok(why.startsWith(`${reason}; `), 'what is wrong comes first');
});

test('down when it fails, up again when a probe gets through', needsAddon, (t) => {
  const bench = makeBench(t, {}, true);
  const { destination, peer } = bench;
  assert.equal(destination.downSinceMs, null, 'not tried yet');
  assert.equal(destination.upSinceMs, null);
  destination.probe(bench.nowMs);
  bench.until(() => destination.upSinceMs !== null, 'the probe connects');
  const sinceMs = destination.upSinceMs!;
  bench.until(() => peer.streams.length === 1, 'is accepted');
  peer.reset(peer.streams[0]!);
  bench.until(() => destination.downSinceMs !== null, 'is down');
  assert.equal(destination.upSinceMs, null);
  assert.ok(destination.downSinceMs! >= sinceMs);
  for (let i = 0; i < 5; i++) {
    bench.nowMs += 1_000;
    destination.probe(bench.nowMs);
    destination.turn(bench.nowMs);
  }
  bench.until(() => destination.downSinceMs === null, 'is up again');
  assert.equal(destination.counts.reconnects, 1);
  assert.equal(destination.counts.sentBytes, 0, 'a probe sends nothing');
});

test('an idle connection does not hide that another one fails', needsAddon, (t) => {
  const bench = makeBench(t, { idleTimeoutMs: 1_000 });
  const { destination, peer } = bench;
  destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 1, 'is settled');
  bench.until(() => destination.report().state === 'idle', 'is closed');
  assert.equal(destination.downSinceMs, null);
  peer.close();
  const usedMs = bench.nowMs;
  destination.tryAdd(someParcel(2, OTHER)[0], usedMs);
  bench.until(() => destination.downSinceMs !== null, 'is down');
  assert.ok(bench.nowMs < usedMs + EXPORTER_GONE_MS / 2, 'the idle one is still there');
});

test('closed by its peer with nothing to send: idle, not down', needsAddon, (t) => {
  const bench = makeBench(t);
  const { destination, peer } = bench;
  destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 1 && peer.streams.length === 1, 'is settled');
  peer.hangUp(peer.streams[0]!);
  bench.until(() => destination.upSinceMs === null, 'the end is seen');
  const { state, connectErrors } = destination.report();
  assert.deepEqual([state, connectErrors], ['idle', 0]);
  assert.equal(destination.downSinceMs, null, 'nobody has tried');
  assert.ok(destination.nextTimerMs > bench.nowMs + 60_000, 'nobody tries');
  const beforeMs = bench.nowMs;
  destination.tryAdd(someParcel(2, ONE)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 2, 'the next one arrives');
  assert.ok(bench.nowMs > beforeMs, 'after the back-off');
});

test('a member of a group is tried after such an end, and found down', needsAddon, (t) => {
  const bench = makeBench(t, {}, true);
  const { destination, peer } = bench;
  destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 1 && peer.streams.length === 1, 'is settled');
  peer.stopListening();
  peer.hangUp(peer.streams[0]!);
  bench.until(() => destination.counts.connectErrors > 1, 'it is tried');
  assert.notEqual(destination.downSinceMs, null);
});

test('an exporter long silent loses its connection, and gets another', needsAddon, (t) => {
  const bench = makeBench(t);
  const { destination, peer } = bench;
  const usedMs = bench.nowMs;
  destination.tryAdd(someParcel(1, ONE)[0], usedMs);
  bench.until(() => bench.settled.length === 1, 'is settled');
  bench.nowMs = usedMs + EXPORTER_GONE_MS - 1;
  destination.turn(bench.nowMs);
  assert.equal(destination.report().connections, 1);
  bench.nowMs += 1;
  bench.until(() => destination.report().connections === 0, 'is closed');
  bench.until(() => peer.streams[0]!.end === 0, 'the peer sees an orderly end');
  destination.tryAdd(someParcel(2, ONE)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 2, 'is settled too');
  assert.equal(peer.streams.length, 2);
});

/** Nobody listens there, so that none of a thousand costs a connection of the kernel's. */
function closedPort(): number {
  const closed = new ForwardPeer();
  closed.stopListening();
  return closed.port;
}

test('the bound of connections: the exporter silent for longest makes room', needsAddon, (t) => {
  const bench = makeBench(t, { port: closedPort() });
  const { destination } = bench;
  const exporters = Array.from({ length: CONNECTIONS_MAX + 1 }, (_, i) =>
    exporter(`10.0.${i >> 8}.${i & 255}`),
  );
  const late = exporters.pop()!;
  for (const [i, one] of exporters.entries()) destination.isReady(one, bench.nowMs + i);
  bench.nowMs += CONNECTIONS_MAX;
  // The two oldest: one has something to send, and the other was just used.
  assert.ok(destination.tryAdd(someParcel(1, exporters[0]!)[0], 0));
  destination.isReady(exporters[1]!, bench.nowMs);
  assert.equal(destination.report().connections, CONNECTIONS_MAX);
  const before = destination.changes;
  const [parcel] = someParcel(2, late);
  assert.equal(destination.tryAdd(parcel, bench.nowMs), false, 'refused for now');
  destination.turn(bench.nowMs);
  assert.equal(destination.changes, before + 1, 'it is said that there is room');
  assert.equal(destination.report().connections, CONNECTIONS_MAX - 1, 'one has gone');
  assert.ok(destination.tryAdd(parcel, bench.nowMs), 'taken when offered again');
  assert.equal(destination.report().connections, CONNECTIONS_MAX);
  assert.equal(destination.parcelCount, 2, 'nobody lost what it had to send');
  // Which one: those that are known make no room when they are asked for.
  for (const index of [0, 1, 3, CONNECTIONS_MAX - 1]) {
    destination.isReady(exporters[index]!, bench.nowMs);
    destination.turn(bench.nowMs);
    assert.equal(destination.report().connections, CONNECTIONS_MAX, `${index} is there`);
  }
  destination.isReady(exporters[2]!, bench.nowMs);
  destination.turn(bench.nowMs);
  assert.equal(destination.report().connections, CONNECTIONS_MAX - 1, 'it was the third');
});

test('at the bound, when all have something to send, the next one waits', needsAddon, (t) => {
  const bench = makeBench(t, { port: closedPort() });
  const { destination } = bench;
  const [parcel] = someParcel(1, exporter('10.1.0.0'));
  for (let i = 0; i < CONNECTIONS_MAX; i++) {
    const from = exporter(`10.0.${i >> 8}.${i & 255}`);
    assert.ok(destination.tryAdd({ ...parcel, exporter: from }, bench.nowMs));
  }
  for (let turn = 0; turn < 3; turn++) {
    assert.equal(destination.tryAdd(parcel, bench.nowMs), false);
    destination.turn(bench.nowMs);
  }
  assert.equal(destination.report().connections, CONNECTIONS_MAX);
  assert.equal(destination.parcelCount, CONNECTIONS_MAX);
  assert.deepEqual(bench.settled, [], 'nobody gives up what it has');
});

test('one rate for all connections of a destination', needsAddon, (t) => {
  const bench = makeBench(t, { rateBytesPerSecond: 10_000, resend: 'none' });
  const { destination } = bench;
  const started = bench.nowMs;
  for (const [i, from] of [ONE, OTHER, ONE, OTHER].entries()) {
    destination.tryAdd(someParcel(i + 1, from)[0], bench.nowMs);
  }
  bench.until(() => bench.settled.length === 4, 'all are sent');
  const seconds = (bench.nowMs - started) / 1000;
  const { sentBytes } = destination.counts;
  assert.ok(sentBytes <= 10_000 * seconds + 1_000, `${sentBytes} bytes in ${seconds} s`);
  assert.ok(sentBytes >= 10_000 * seconds - 1_000, `${sentBytes} bytes in ${seconds} s`);
});

test(
  'other options for a connection that stands: its socket has them, and it stays',
  needsAddon,
  (t) => {
    const fds: number[] = [];
    const before = native();
    replaceNative({
      ...before,
      connect: (fd, ...more) => {
        fds.push(fd);
        return before.connect(fd, ...more);
      },
    });
    t.after(() => replaceNative(before));
    const bench = makeBench(t, { keepAliveMs: 60_000 });
    const { destination, peer, settled } = bench;
    destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
    bench.until(() => settled.length === 1, 'is settled');
    const [fd] = fds as [number];
    const optionsOf = (): number[] => [
      getSocketOption(fd, 'keepAlive'),
      getSocketOption(fd, 'keepAliveIdleSeconds'),
    ];
    assert.deepEqual(optionsOf(), [1, 60]);
    const { options } = destination;
    const sendBefore = getSocketOption(fd, 'sendBufferBytes');
    const other = { keepAliveMs: 7_000, sendBufferBytes: 32_768 };
    destination.configure({ ...options, ...other, mechanism: 'copy', idleTimeoutMs: 5_000 });
    assert.deepEqual(optionsOf(), [1, 7]);
    assert.notEqual(getSocketOption(fd, 'sendBufferBytes'), sendBefore);
    assert.equal(destination.report().mechanism, 'copy');
    destination.configure({ ...destination.options, keepAliveMs: 0 });
    assert.equal(optionsOf()[0], 0);
    assert.equal(destination.report().connectionsUp, 1);
    // A rate from now on: what came before does not count.
    destination.configure({ ...destination.options, rateBytesPerSecond: 10_000 });
    const started = bench.nowMs;
    const { sentBytes } = destination.counts;
    for (const seed of [2, 3, 4]) destination.tryAdd(someParcel(seed, ONE)[0], bench.nowMs);
    bench.until(() => settled.length === 4, 'all are sent');
    const bytes = destination.counts.sentBytes - sentBytes;
    assert.ok(bench.nowMs - started >= (bytes - 1_000) / 10, 'at the new rate');
    assert.equal(peer.streams.length, 1);
    bench.until(() => destination.report().connectionsUp === 0, 'the new idle timeout');
  },
);

test('drain ends all, and takes nothing more', needsAddon, (t) => {
  const bench = makeBench(t);
  const { destination, peer } = bench;
  destination.tryAdd(someParcel(1, ONE)[0], bench.nowMs);
  destination.tryAdd(someParcel(2, OTHER)[0], bench.nowMs);
  bench.until(() => bench.settled.length === 2, 'is settled');
  destination.drain(bench.nowMs, 5_000);
  assert.equal(destination.tryAdd(someParcel(3, ONE)[0], bench.nowMs), false);
  assert.equal(destination.tryAdd(someParcel(4, exporter('192.0.2.3'))[0], bench.nowMs), false);
  bench.until(() => destination.isClosed, 'is closed');
  bench.until(() => peer.streams.every(({ end }) => end === 0), 'orderly ends');
});
