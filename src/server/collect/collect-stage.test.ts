import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { CollectRig } from '../../../test/support/collect-rig.ts';
import { stillClock } from '../../../test/support/still-clock.ts';
import {
  frameOf,
  frameWhole,
  hostileBytes,
  simulatedBytes,
} from '../../../test/support/streams.ts';
import { wallUs } from '../../toolkit/base/clock.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import {
  addonSkipReason,
  bytesUnread,
  closeFd,
  eventfdCreate,
  eventfdSignal,
} from '../../toolkit/sys/index.ts';
import { parseCidr } from '../address.ts';
import { ACCEPT_PAUSE_MS } from './collect-stage.ts';

const needsAddon = { skip: addonSkipReason() };

/** True once the other side has closed the socket. */
function closing(socket: Socket): () => boolean {
  let isClosed = false;
  socket.once('close', () => {
    isClosed = true;
  });
  return () => isClosed;
}

test(
  'who is not on the allow-list is refused, counted, and nothing is read',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { allow: [parseCidr('10.0.0.0/8')!] });
    const socket = await rig.connect();
    socket.write(frameOf(100));
    await rig.until(closing(socket), 'the refusal');
    assert.equal(rig.get('refusedNotAllowed'), 1);
    assert.equal(rig.get('accepted') + rig.get('readBytes') + rig.get('open'), 0);
  },
);

test(
  'the connection limit refuses one more, and serves again when one has gone',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { connectionCountMax: 2 });
    const first = await rig.connect();
    const second = await rig.connect();
    await rig.until(() => rig.get('open') === 2, 'two connections');
    const third = await rig.connect();
    await rig.until(closing(third), 'the refusal');
    assert.equal(rig.get('refusedLimit'), 1);
    first.end(frameOf(60));
    await rig.until(() => rig.get('open') === 1, 'the first to go');
    const fourth = await rig.connect();
    fourth.write(frameOf(70));
    await rig.until(() => rig.payload().length === 130, 'both records');
    assert.deepEqual(
      [...rig.taken.keys()].sort((a, b) => a - b),
      [100, 102],
      'a number is never given twice',
    );
    second.destroy();
    fourth.destroy();
  },
);

test(
  'an idle connection is closed; its half record is truncated, its whole ones kept',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { lingerMs: 10_000 });
    const socket = await rig.connect();
    socket.write(Buffer.concat([frameOf(100), frameOf(200).subarray(0, 33)]));
    await rig.until(() => rig.get('readBytes') === 133, 'all bytes');
    rig.idleTimeoutMs = 80;
    await rig.until(closing(socket), 'the idle timeout');
    await rig.turn();
    assert.equal(rig.get('closedIdle'), 1);
    assert.equal(rig.get('truncatedBytes'), 33);
    assert.equal(rig.get('truncatedConnections'), 1);
    assert.deepEqual(rig.payload(), Buffer.from(frameOf(100)));
    assert.equal(rig.get('openBytes'), 0);
  },
);

test('half a record at the disconnect, and one byte at a time', needsAddon, async (t) => {
  const rig = await CollectRig.start(t);
  const socket = await rig.connect();
  socket.setNoDelay(true);
  const bytes = Buffer.concat([frameOf(25), frameOf(41), frameOf(90).subarray(0, 10)]);
  for (const byte of bytes) {
    socket.write(Uint8Array.of(byte));
    await rig.turn();
  }
  socket.end();
  await rig.until(() => rig.get('accepted') === 1 && rig.get('open') === 0, 'the end');
  assert.deepEqual(rig.payload(), bytes.subarray(0, 66));
  assert.equal(rig.get('truncatedBytes'), 10);
  assert.equal(rig.get('closedByPeer'), 1);
});

test('a reset in the middle of a record: what came before is kept', needsAddon, async (t) => {
  const rig = await CollectRig.start(t, { lingerMs: 10_000 });
  const socket = await rig.connect();
  socket.write(Buffer.concat([frameOf(300), frameOf(500).subarray(0, 100)]));
  await rig.until(() => rig.get('readBytes') === 400, 'all bytes');
  socket.resetAndDestroy();
  await rig.until(() => rig.get('open') === 0, 'the reset');
  await rig.turn();
  assert.equal(rig.get('closedByError'), 1);
  assert.equal(rig.payload().length, 300);
  assert.equal(rig.get('truncatedBytes'), 100);
});

test(
  'hostile streams over several connections: each is framed as the rules say',
  needsAddon,
  async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    t.diagnostic(`seed ${seed}`);
    const prng = new Prng(seed);
    const rig = await CollectRig.start(t, { pages: 12, slots: 4 });
    const streams = Array.from({ length: 4 }, () => hostileBytes(prng, 600_000));
    const expected = streams.map((bytes) => frameWhole(bytes));
    for (const bytes of streams) {
      const socket = await rig.connect();
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + prng.below(40_000);
        socket.write(bytes.subarray(at, end));
        at = end;
      }
      socket.end();
    }
    await rig.until(() => rig.get('closedByPeer') === 4, 'the end of all streams');
    await rig.turn();
    expected.forEach((framed, index) => {
      assert.ok(rig.payload(100 + index).equals(Buffer.concat(framed.records)));
    });
    const sum = (of: (framed: (typeof expected)[number]) => number): number =>
      expected.reduce((total, framed) => total + of(framed), 0);
    assert.equal(
      rig.get('records'),
      sum((framed) => framed.records.length),
    );
    assert.equal(
      rig.get('resyncBytes'),
      sum((framed) => framed.resyncBytes),
    );
    assert.equal(
      rig.get('resyncRuns'),
      sum((framed) => framed.resyncRuns),
    );
    assert.equal(
      rig.get('truncatedBytes'),
      sum((framed) => framed.truncatedBytes),
    );
  },
);

test('garbage at full speed does not starve another connection', needsAddon, async (t) => {
  const rig = await CollectRig.start(t);
  const bad = await rig.connect();
  const garbage = Buffer.alloc(1 << 20, 'garbage 0123 ');
  let isOver = false;
  const pour = (): void => {
    while (!isOver && bad.write(garbage)) {}
  };
  bad.on('drain', pour);
  pour();
  const good = await rig.connect();
  await rig.until(() => rig.get('open') === 2, 'both connections');
  const unread = (): number => bytesUnread(rig.fds[1]! - 1);
  for (let i = 0; i < 50; i++) {
    good.write(frameOf(1_000, i));
    await rig.until(() => unread() > 0 || rig.get('records') > i, 'the record in the kernel');
    if (unread() > 0) await rig.turn();
    assert.equal(rig.get('records'), i + 1, 'a record waits for other connections');
  }
  await rig.until(() => rig.payload().length === 50_000, 'all records');
  await rig.until(() => rig.get('resyncBytes') > 1_000_000, 'much garbage');
  isOver = true;
  assert.equal(rig.get('resyncRuns'), 1);
  assert.ok(rig.get('openBytes') < 10_004);
  bad.destroy();
  good.destroy();
});

test(
  'the drain reads what the kernel holds, also of who is not accepted yet',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t);
    const first = await rig.connect();
    await rig.until(() => rig.get('open') === 1, 'the first connection');
    const bytes = simulatedBytes(1, 400_000);
    const whole = frameWhole(bytes);
    await new Promise((resolve) => first.write(bytes, resolve));
    const second = await rig.connect();
    await new Promise((resolve) => second.write(frameOf(123), resolve));
    await rig.drain();
    assert.equal(rig.payload(100).length, Buffer.concat(whole.records).length);
    assert.equal(rig.payload(101).length, 123);
    assert.equal(rig.get('unreadAtDrain'), 0);
    assert.equal(rig.get('open'), 0);
    assert.equal(rig.pool.freeCount(), rig.pool.pageCount);
    assert.ok(rig.fds.every((word) => word === 0));
  },
);

test(
  'no page is free: the stream stalls, nothing spins, all of it arrives later',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { pages: 4, idleTimeoutMs: 1 });
    rig.isJournalRunning = false;
    rig.hold();
    const reset = await rig.connect();
    reset.write(frameOf(9_000));
    const ended = await rig.connect();
    ended.end(frameOf(8_000));
    await rig.until(() => rig.get('stalls') === 2, 'both to stall');
    reset.resetAndDestroy();
    let ready = 0;
    for (let i = 0; i < 60; i++) ready += await rig.turn();
    assert.equal(ready, 0, 'a stalled connection gives no events, whatever its peer does');
    assert.equal(rig.get('stalls'), 2, 'one stall is one stall');
    assert.equal(rig.get('closedIdle'), 0, 'who is not read is not idle');
    rig.unhold();
    rig.isJournalRunning = true;
    await rig.until(() => rig.get('open') === 0, 'both to end');
    await rig.turn();
    assert.equal(rig.payload(101).length, 8_000);
    assert.ok(rig.get('stallMs') > 0);
  },
);

test(
  'a connection ends while the ring is full: its block comes when there is room',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { slots: 1, lingerMs: 1 });
    rig.isJournalRunning = false;
    const first = await rig.connect();
    first.write(frameOf(100));
    await rig.until(() => rig.ring.used() === 1, 'a full ring');
    const second = await rig.connect();
    second.write(Buffer.concat([frameOf(200), frameOf(300).subarray(0, 7)]));
    await rig.until(() => rig.get('readBytes') === 307, 'the second stream');
    second.resetAndDestroy();
    await rig.until(() => rig.get('stalls') === 1, 'the end to wait');
    let ready = 0;
    for (let i = 0; i < 30; i++) ready += await rig.turn();
    assert.equal(ready, 0);
    assert.deepEqual([rig.get('open'), rig.get('stalls')], [2, 1]);
    rig.isJournalRunning = true;
    await rig.until(() => rig.get('open') === 1, 'the second to go');
    await rig.turn();
    assert.equal(rig.get('closedByError'), 1, 'the reason is kept');
    assert.equal(rig.payload(101).length, 200);
    assert.equal(rig.get('truncatedBytes'), 7);
    first.destroy();
  },
);

test('an idle connection that cannot be cut yet is not read again', needsAddon, async (t) => {
  const rig = await CollectRig.start(t, { slots: 1, lingerMs: 1 });
  rig.isJournalRunning = false;
  const socket = await rig.connect();
  socket.write(frameOf(100));
  await rig.until(() => rig.ring.used() === 1, 'a full ring');
  socket.write(Buffer.concat([frameOf(200), frameOf(300).subarray(0, 7)]));
  await rig.until(() => rig.get('readBytes') === 307, 'the second record');
  rig.idleTimeoutMs = 60;
  await rig.until(() => rig.get('truncatedBytes') === 7, 'the idle timeout');
  socket.write(frameOf(300).subarray(7));
  for (let i = 0; i < 30; i++) await rig.turn();
  rig.isJournalRunning = true;
  await rig.until(() => rig.get('open') === 0, 'the end');
  assert.deepEqual([rig.get('closedIdle'), rig.get('resyncBytes')], [1, 0]);
});

test('the drain waits for pages and reads on when they come', needsAddon, async (t) => {
  const rig = await CollectRig.start(t, { pages: 6 });
  rig.isJournalRunning = false;
  rig.hold();
  const socket = await rig.connect();
  socket.end(frameOf(9_000));
  await rig.until(() => rig.get('stalls') === 1, 'the stall');
  const clock = stillClock(t);
  await rig.drain(async () => {
    for (let i = 0; i < 9; i++) {
      await rig.turn();
      assert.deepEqual([rig.stage.done, rig.get('open')], [false, 1], `after ${100 * i} ms`);
      clock.pass(100);
    }
    rig.unhold();
    rig.isJournalRunning = true;
  });
  assert.equal(rig.payload().length, 9_000);
  assert.equal(rig.get('unreadAtDrain') + rig.get('droppedDrain'), 0);
});

test(
  'the drain ends without pages and without a journal: all is counted',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { slots: 1, lingerMs: 1 });
    rig.isJournalRunning = false;
    const first = await rig.connect();
    first.write(frameOf(100));
    await rig.until(() => rig.ring.used() === 1, 'a full ring');
    first.write(frameOf(200));
    await rig.until(() => rig.get('readBytes') === 300, 'the second record');
    rig.hold();
    const second = await rig.connect();
    second.write(frameOf(400));
    await rig.until(() => rig.get('stalls') === 1, 'the stall');
    await rig.drain();
    assert.equal(rig.get('droppedDrain'), 200);
    assert.equal(rig.get('unreadAtDrain'), 400);
    assert.equal(rig.get('openBytes'), 0);
  },
);

test(
  'bytes below the low-water mark are read by the timer, and at the drain',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { receiveLowWaterBytes: 30_000 });
    const socket = await rig.connect();
    socket.write(frameOf(500));
    await rig.until(() => rig.payload().length === 500, 'few bytes');
    await new Promise((resolve) => socket.write(frameOf(700), resolve));
    await rig.drain();
    assert.equal(rig.payload().length, 1_200);
  },
);

test(
  'enough blocks in flight: receiving stops without spinning, and goes on',
  needsAddon,
  async (t) => {
    const rig = await CollectRig.start(t, { inFlightBlockCountMax: 2, lingerMs: 1 });
    rig.isJournalRunning = false;
    const socket = await rig.connect();
    for (let i = 1; i <= 4; i++) {
      await new Promise((resolve) => socket.write(frameOf(100 * i), resolve));
      for (let turn = 0; turn < 10; turn++) await rig.turn();
    }
    assert.equal(rig.ring.used(), 2);
    assert.equal(rig.get('readBytes'), 300);
    let ready = 0;
    for (let turn = 0; turn < 20; turn++) ready += await rig.turn();
    assert.equal(ready, 0);
    rig.isJournalRunning = true;
    await rig.until(() => rig.payload().length === 1_000, 'the rest');
    socket.destroy();
  },
);

test('benchmarks: a connection that sends nothing drops nothing', needsAddon, async (t) => {
  const rig = await CollectRig.start(t, { discard: true });
  const socket = await rig.connect();
  socket.end();
  await rig.until(() => rig.get('closedByPeer') === 1, 'the end');
  assert.equal(rig.get('droppedBench'), 0, 'a connection that sent nothing counts nothing');
});

test('the arrival time of a block is not that of the garbage before it', needsAddon, async (t) => {
  const rig = await CollectRig.start(t);
  const socket = await rig.connect();
  socket.write('garbage without an anchor, and without digits');
  await rig.until(() => rig.get('resyncBytes') > 0, 'the garbage');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const beganUs = wallUs();
  socket.write(frameOf(80));
  await rig.until(() => rig.payload().length === 80, 'the record');
  assert.ok(rig.lastArrivalUs >= beganUs, `${beganUs - rig.lastArrivalUs} us too early`);
  socket.destroy();
});

test('a listener that cannot accept rests instead of spinning', needsAddon, async (t) => {
  const fd = eventfdCreate();
  eventfdSignal(fd);
  t.after(() => closeFd(fd));
  const rig = await CollectRig.start(t, { listenerFd: fd });
  const clock = stillClock(t);
  for (const attempts of [1, 2, 3]) {
    for (let i = 0; i < 5; i++) await rig.turn();
    assert.equal(rig.get('acceptErrors'), attempts);
    clock.pass(ACCEPT_PAUSE_MS);
  }
});

test('hundreds of connections leave no descriptor behind', needsAddon, async (t) => {
  const rig = await CollectRig.start(t, { connectionCountMax: 4 });
  const count = (): number => readdirSync('/proc/self/fd').length;
  await rig.turn();
  const before = count();
  for (let round = 0; round < 100; round++) {
    const sockets: Socket[] = [];
    for (let i = 0; i < 6; i++) sockets.push(await rig.connect());
    sockets.forEach((socket, i) => {
      if (i % 3 === 0) socket.end(frameOf(50));
      else if (i % 3 === 1) socket.resetAndDestroy();
      else socket.destroy();
    });
    await rig.until(() => sockets.every((socket) => socket.closed), 'all to go');
  }
  await rig.until(() => rig.get('open') === 0, 'every connection to be closed');
  await rig.until(() => count() <= before, 'every descriptor to be closed');
  assert.ok(rig.fds.subarray(0, 4).every((word) => word === 0));
  assert.equal(rig.exporters.length <= 1, true);
});
