/** The small parts of a connection: rate, back-off, poller, outbox, walk over records. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForwardPeer } from '../../../test/support/forward-peer.ts';
import { memoryParcel, ParcelFile, someRecords } from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import {
  addonSkipReason,
  bind,
  closeFd,
  connect,
  EPOLLIN,
  eventfdCreate,
  eventfdSignal,
  localName,
  SOCKADDR_BYTES_MAX,
  sockaddrPort,
  socketCreate,
} from '../../toolkit/sys/index.ts';
import { addressBytes } from '../address.ts';
import { BackOff } from './back-off.ts';
import { LOOP_ITSELF, LOOP_NONE, loopOfSocket, makeLoopCheck } from './loop.ts';
import { OUTBOX_BYTES_MAX, OUTBOX_MEMORY_BYTES_MAX, Outbox } from './outbox.ts';
import { Poller } from './poller.ts';
import { RecordWalk } from './record-walk.ts';
import { BURST_MS, TokenBucket } from './token-bucket.ts';

const needsAddon = { skip: addonSkipReason() };

test('a bucket never gives more than rate times time and a burst', () => {
  const prng = new Prng(11);
  for (const rate of [10, 1_000, 1_000_000]) {
    const bucket = new TokenBucket(rate);
    let taken = 0;
    let nowMs = 500;
    while (nowMs < 60_500) {
      const available = bucket.available(nowMs);
      const bytes = prng.chance(0.5) ? available : prng.below(available + 1);
      bucket.take(bytes);
      taken += bytes;
      assert.ok(taken <= (rate * (nowMs - 500 + BURST_MS)) / 1000 + 1);
      const { readyMs } = bucket;
      nowMs = bytes === available ? Math.max(readyMs, nowMs) : nowMs + prng.below(20);
      if (bytes === available) assert.ok(bucket.available(readyMs) > 0, 'ready when it says');
    }
    assert.ok(taken >= (rate * 55_000) / 1000, `rate ${rate}: ${taken} bytes in a minute`);
  }
});

test('a back-off doubles to its maximum, and jitter takes off at most half', () => {
  const backOff = new BackOff(200, 30_000, () => 0);
  const delays = Array.from({ length: 9 }, () => backOff.nextMs());
  assert.deepEqual(delays, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
  backOff.reset();
  assert.equal(backOff.nextMs(), 200);
  const jittered = new BackOff(200, 30_000, () => 0.999);
  assert.ok(jittered.nextMs() > 100);
  assert.ok(new BackOff(500, 100, () => 0).nextMs() === 500, 'a maximum below the minimum');
});

test('a poller calls the handler that was added, and no stale one', needsAddon, () => {
  const wakeFd = eventfdCreate();
  const poller = new Poller({ nowMs: () => 42, wakeFd });
  const fds = [eventfdCreate(), eventfdCreate()];
  const calls: string[] = [];
  // Whoever comes first takes the other one out: its event, seen in the same wait, goes nowhere.
  const handler = (self: number) => ({
    onReady: (events: number, nowMs: number): void => {
      calls.push(`${self} ${events & EPOLLIN} ${nowMs}`);
      poller.remove(fds[1 - self]!);
      assert.equal(poller.add(fds[1 - self]!, 0, { onReady: () => calls.push('stale') }), 0);
    },
  });
  assert.equal(poller.add(fds[0]!, EPOLLIN, handler(0)), 0);
  assert.equal(poller.add(fds[1]!, EPOLLIN, handler(1)), 0);
  for (const fd of [...fds, wakeFd]) eventfdSignal(fd);
  assert.equal(poller.wait(1_000), 1);
  assert.equal(calls.length, 1);
  assert.match(calls[0]!, /^[01] 1 42$/);
  assert.equal(poller.size, 2);
  for (const fd of fds) assert.equal(poller.remove(fd), 0);
  assert.ok(poller.remove(fds[0]!) < 0, 'twice');
  assert.equal(poller.wait(0), 0, 'the wake-up was taken');
  poller.close();
  for (const fd of [...fds, wakeFd]) closeFd(fd);
});

test('an outbox is bounded by count, bytes and bytes in memory; one always fits', () => {
  const parcel = memoryParcel(new Uint8Array(100_000), 1);
  const outbox = new Outbox(256);
  let count = 0;
  while (outbox.tryPush(parcel)) count += 1;
  assert.equal(count, Math.floor(OUTBOX_MEMORY_BYTES_MAX / 100_000));
  assert.ok(outbox.isFull);
  const file = { ...parcel, memory: null, file: { segment: { fd: 0, position: 0 }, offset: 0 } };
  assert.ok(outbox.tryPush(file), 'a parcel in a file costs no memory');
  const huge = { ...file, bytes: OUTBOX_BYTES_MAX };
  assert.equal(outbox.tryPush(huge), false);
  while (outbox.count > 0) outbox.shift();
  assert.equal(outbox.unsentBytes, 0);
  assert.ok(outbox.tryPush(huge));
  const small = new Outbox(2);
  assert.ok(small.tryPush(parcel) && small.tryPush(file) && !small.tryPush(file));
});

test('a walk finds the boundary at or below every byte, in files and in memory', needsAddon, () => {
  const file = new ParcelFile();
  const records = 700;
  const bytes = someRecords(new Prng(9), 0, records, 500);
  const boundaries = [0];
  for (let at = 0; at < bytes.length; boundaries.push(at)) {
    at += 5 + Number(bytes.toString('latin1', at + 1, at + 5));
  }
  const walk = new RecordWalk();
  for (const parcel of [file.parcel(bytes, records), memoryParcel(bytes, records)]) {
    for (let limit = 0; limit <= bytes.length; limit += 1 + (limit % 97)) {
      const from = boundaries[(limit % 7) * 3]!;
      if (from > limit) continue;
      assert.ok(walk.walk(parcel, from, limit));
      const index = boundaries.findLastIndex((boundary) => boundary <= limit);
      assert.equal(walk.boundary, boundaries[index], `limit ${limit}`);
      assert.equal(walk.records, index - boundaries.indexOf(from));
      const end = boundaries[index + 1];
      assert.equal(walk.endOfRecord(parcel, walk.boundary), end ?? -1);
    }
  }
  const short = { ...file.parcel(bytes, records), bytes: bytes.length + 10 };
  assert.equal(walk.walk(short, 0, bytes.length + 10), false);
  assert.equal(walk.boundary, bytes.length, 'how far it came');
  file.close();
});

test('a listener of ours is known by any of our addresses, others are not', () => {
  const address = (last: number, first = 127): Uint8Array =>
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, first, 0, 0, last);
  const any = makeLoopCheck([{ host: '0.0.0.0', port: 33_000 }]);
  assert.ok(any(address(1), 33_000, address(1)));
  assert.ok(any(address(7), 33_000, address(1)), '127.0.0.7 is ours too');
  assert.ok(any(address(7, 10), 33_000, address(7, 10)), 'both ends are one address');
  assert.ok(!any(address(1), 33_001, address(1)), 'another port');
  assert.ok(!any(address(7, 10), 33_000, address(8, 10)), 'another machine');
  const one = makeLoopCheck([{ host: '127.0.0.1', port: 33_000 }]);
  assert.ok(!one(address(2), 33_000, address(1)), 'nobody of ours listens on 127.0.0.2');
  const six = makeLoopCheck([{ host: '::', port: 33_000 }]);
  assert.ok(!six(address(1), 33_000, address(1)), 'on all of IPv6 is not on IPv4');
  const loopback6 = addressBytes('::1')!;
  assert.ok(six(loopback6, 33_000, loopback6));
  assert.ok(!any(loopback6, 33_000, loopback6));
  const named = makeLoopCheck([{ host: 'collector.example', port: 33_000 }]);
  assert.ok(named(address(7, 10), 33_000, address(7, 10)), 'a name is an address of ours');
  assert.ok(!named(address(7, 10), 33_000, address(8, 10)));
});

test('a socket that the kernel has connected with itself is no destination', needsAddon, () => {
  const address = addressBytes('127.0.0.1')!;
  const [itself, other] = [socketCreate(4), socketCreate(4)];
  assert.equal(bind(itself, 4, address, 0, 0), 0);
  const name = new Uint8Array(SOCKADDR_BYTES_MAX);
  assert.ok(localName(itself, name) >= 0);
  connect(itself, 4, address, 0, sockaddrPort(name));
  assert.equal(
    loopOfSocket(itself, () => false),
    LOOP_ITSELF,
  );
  const peer = new ForwardPeer();
  connect(other, 4, address, 0, peer.port);
  assert.equal(
    loopOfSocket(other, () => false),
    LOOP_NONE,
  );
  closeFd(itself);
  closeFd(other);
  peer.close();
});
