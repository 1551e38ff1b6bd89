/**
 * Lanes: what reloads, and disks that refuse, leave of channels and groups.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  channelOptions,
  ENGINE_UUID,
  EngineLife,
  JournalFeed,
} from '../../../test/support/forward-engine.ts';
import { withoutFds } from '../../../test/support/without-fds.ts';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { channelDifference, channelHealth } from './health.ts';
import type { ChannelOptions } from './options.ts';
import { makePosition, PositionFile } from './position-file.ts';
import { startPosition } from './start-position.ts';

const skip = addonSkipReason() ?? false;
const EXPORTERS = 8;

interface Peer {
  readonly port: number;
  /** Resets what it has accepted. */
  readonly reset: () => void;
}

/** `isReading`: else it takes connections, and no more than the kernel takes for it. */
async function listen(t: TestContext, isReading = true, port = 0): Promise<Peer> {
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: !isReading }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    if (isReading) socket.resume();
  });
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  t.after(() => {
    reset();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, reset };
}

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function farm(
  ports: Readonly<Record<string, number>>,
  destination: Parameters<typeof channelOptions>[3] = {},
  more: Partial<ChannelOptions> = {},
): ChannelOptions[] {
  const members = Object.keys(ports);
  return members.map((member, self) => {
    const made = channelOptions(`farm/${member}`, [ports[member]!], {
      group: 'farm',
      mode: 'load-balancing',
      switchBackMs: 60_000,
      balance: { by: 'hash', field: 'exporter', members, self },
      ...more,
    });
    const [only] = made.destinations;
    return { ...made, destinations: [{ ...only!, ...destination, name: member }] };
  });
}

class Rig {
  readonly feed = new JournalFeed(3, EXPORTERS);
  #life: EngineLife;

  /** `prepare`: what is there before the first life. */
  constructor(
    t: TestContext,
    channels: readonly ChannelOptions[],
    prepare: (feed: JournalFeed) => void = () => {},
  ) {
    prepare(this.feed);
    this.#life = new EngineLife(this.feed, channels, new Prng(1));
    t.after(() => {
      this.#life.close();
      this.feed.close();
    });
  }

  get life(): EngineLife {
    return this.#life;
  }

  /** `within`: the circumstances in which it starts. */
  restart(channels: readonly ChannelOptions[], within = (start: () => void) => start()): void {
    this.#life.close();
    within(() => {
      this.#life = new EngineLife(this.feed, channels, new Prng(2));
    });
  }

  append(bytes = 2_000): void {
    for (let exporter = 0; exporter < EXPORTERS; exporter++) this.feed.append(exporter, bytes);
  }

  async turns(count: number): Promise<void> {
    let left = count;
    await this.until('turns', () => left-- === 0);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const endMs = Date.now() + 60_000;
    while (!condition()) {
      assert.ok(Date.now() < endMs, what);
      this.life.turn();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  channel(name: string) {
    return this.life.report().find((one) => one.name === name)!;
  }
}

test('a member that a reload reopens keeps what only the epochs before say is its own', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const ports = { a: port, b: await closedPort() };
  const small = { sendBufferBytes: 4_096, lingerMs: 0 };
  const rig = new Rig(t, farm(ports, small));
  rig.append(60_000);
  rig.append(60_000);
  const isOver = (): boolean => rig.life.warnings.some((text) => text.includes('have changed'));
  await rig.until('b is left out', isOver);
  rig.append();
  const a = (): boolean => rig.channel('farm/a').position === rig.feed.shared.publishedPosition;
  await rig.until('a is through', () => a() && rig.life.lanes.all[0]!.writtenPosition > 0);
  const slow = await listen(t, false, ports.b);
  await rig.until('b is back', () => rig.channel('farm/b').destinations[0]!.sentBytes > 0);
  const before = rig.channel('farm/b');
  assert.ok(before.pending > 0, 'something waits for b');
  const [same, other] = [farm(ports, small)[0]!, farm(ports, { ...small, lingerMs: 1 })[1]!];
  rig.life.reload([same, other]);
  await rig.turns(50);
  slow.reset();
  await rig.until('b is open again', () => rig.channel('farm/b')?.received > 0);
  await rig.turns(10);
  const after = rig.channel('farm/b');
  assert.equal(after.pending + after.delivered, before.pending + before.delivered);
});

test('a group whose epochs cannot be written keeps nobody from forwarding, and is tried again', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const alone = channelOptions('alone', [port]);
  const rig = new Rig(t, [alone]);
  const inTheWay = join(rig.feed.positions, 'farm.epochs.new');
  mkdirSync(inTheWay);
  rig.life.reload([alone, ...farm({ a: port, b: port })]);
  rig.append();
  await rig.until('the others go on', () => rig.channel('alone').delivered > 0);
  const { state, why } = rig.channel('farm/a');
  assert.equal(state, 'blocked');
  assert.match(why, /farm\.epochs\.new cannot be opened: EISDIR; something else/);
  rmSync(inTheWay, { recursive: true });
  await rig.until('the group is there', () => rig.channel('farm/b')?.delivered > 0);
});

test('a channel that cannot be opened is tried again and leaves no fd open', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const rig = new Rig(t, [channelOptions('alone', [port])]);
  const pipe = join(rig.feed.positions, 'broken.position');
  execFileSync('mkfifo', [pipe]);
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let i = 0; i < 10; i++) {
    rig.life.reload([channelOptions('alone', [port]), channelOptions('broken', [port])]);
  }
  assert.equal(open(), before);
  const blocked = rig.channel('broken');
  assert.equal(blocked.state, 'blocked');
  assert.match(blocked.why, /position file cannot be opened: ESPIPE; something else/);
  assert.equal(channelDifference(blocked), 0);
  assert.deepEqual(channelHealth(blocked), { tone: 'bad', text: 'blocked' });
  assert.equal(rig.life.lanes.heldPosition, 0, 'nobody knows what the file says');
  rmSync(pipe);
  rig.append();
  await rig.until('it is there', () => rig.channel('broken')?.delivered > 0);
  assert.equal(rig.channel('broken').why, '');
  assert.deepEqual(rig.life.warnings, [], 'the log is written by the reports');
});

test('EMFILE: what lies behind the position of each channel is held, and then sent', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const names = ['one', 'two'];
  const channels = (from: ChannelOptions['from']) =>
    names.map((name) => channelOptions(name, [port], { from }));
  const rig = new Rig(t, channels('journal-start'));
  rig.append(20_000);
  await rig.until('all is sent', () => rig.life.isSettled);
  const { position, delivered } = rig.channel('one');
  assert.ok(position > 0 && delivered > 0);
  rig.append(20_000);
  const { publishedOrdinal } = rig.feed.shared;
  // Its epoll has a descriptor, its channels have none.
  rig.restart(channels('now'), (start) => withoutFds(start, 1));
  const [one, two] = names.map((name) => rig.channel(name));
  for (const { state, why, received } of [one!, two!]) {
    assert.deepEqual([state, received], ['blocked', 0], 'its ledger cannot be read either');
    assert.match(why, /position cannot be opened: EMFILE; raise the limit of open files/);
  }
  assert.equal(rig.life.lanes.heldPosition, 0, 'it is not known from where on');
  await rig.until('all is sent then', () => rig.channel('two').delivered === publishedOrdinal);
  await rig.until('both', () => rig.life.isSettled);
  assert.equal(rig.channel('one').delivered, publishedOrdinal, 'no gap');
  assert.equal(rig.life.lanes.all.length, 2);
});

test('a new channel that cannot be opened holds, and begins, where it was configured', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const alone = channelOptions('alone', [port]);
  const rig = new Rig(t, [alone]);
  rig.append();
  await rig.until('all is sent', () => rig.life.isSettled);
  const { publishedPosition, publishedOrdinal } = rig.feed.shared;
  const late = channelOptions('late', [port], { from: 'now' });
  withoutFds(() => rig.life.reload([alone, late]));
  const { state, position } = rig.channel('late');
  assert.deepEqual([state, position], ['blocked', 0]);
  rig.append();
  await rig.until('the journal goes on', () => rig.life.lanes.all[0]!.channel.isSettled);
  await rig.until('it is there', () => rig.channel('late').state !== 'blocked');
  await rig.until('all is sent', () => rig.life.isSettled);
  const { received } = rig.channel('late');
  assert.equal(received, rig.feed.shared.publishedOrdinal - publishedOrdinal);
  assert.ok(rig.life.lanes.heldPosition >= publishedPosition);
});

test('what holds and what does not: a folder in the place of a position file', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const inTheWay = (feed: JournalFeed): void => mkdirSync(join(feed.positions, 'odd.position'));
  const odd = (more: Partial<ChannelOptions>) => [
    channelOptions('plain', [port], { onLag: 'drop-oldest' }),
    channelOptions('odd', [port], more),
  ];
  const rig = new Rig(t, odd({ onLag: 'hold', from: 'now' }), inTheWay);
  assert.equal(rig.life.lanes.heldPosition, 0);
  rig.life.reload(odd({ onLag: 'drop-oldest' }));
  assert.equal(rig.life.lanes.heldPosition, POSITION_MAX);
  rig.life.reload(odd({ onLag: 'hold' }));
  assert.equal(rig.life.lanes.heldPosition, 0);
  rig.life.reload([channelOptions('plain', [port], { onLag: 'drop-oldest' })]);
  assert.equal(rig.channel('odd'), undefined);
  assert.equal(rig.life.lanes.heldPosition, POSITION_MAX);
});

test('a reload that cannot open a channel again holds what it had not written', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const rig = new Rig(t, [channelOptions('one', [port], { from: 'journal-start' })]);
  rig.append(20_000);
  await rig.until('all is sent', () => rig.life.isSettled);
  await rig.until('it is written', () => rig.life.lanes.heldPosition > 0);
  const { heldPosition } = rig.life.lanes;
  const { delivered } = rig.channel('one');
  const reopened = channelOptions('one', [port], {}, { connections: 'per-exporter' });
  const path = join(rig.feed.positions, 'one.position');
  rig.life.reload([reopened]);
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  await rig.until('it is blocked', () => rig.channel('one')?.state === 'blocked');
  assert.equal(rig.life.lanes.heldPosition, heldPosition);
  assert.equal(rig.channel('one').delivered, delivered, 'its ledger is known');
  assert.equal(channelDifference(rig.channel('one')), 0);
  rmSync(path, { recursive: true });
  renameSync(`${path}.away`, path);
  rig.append();
  const { publishedOrdinal } = rig.feed.shared;
  await rig.until('it goes on', () => rig.channel('one').delivered === publishedOrdinal);
});

test('a channel goes though its position file cannot be removed, and the file goes later', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const two = ['one', 'two'].map((name) => channelOptions(name, [port]));
  const rig = new Rig(t, two);
  const path = join(rig.feed.positions, 'two.position');
  rmSync(path);
  mkdirSync(path);
  rig.life.reload(two.slice(0, 1));
  const text = 'positions of channels that are gone cannot be removed yet';
  await rig.until('it is said', () => rig.life.warnings.includes(text));
  assert.equal(rig.channel('two'), undefined);
  assert.equal(rig.life.warnings.filter((one) => one === text).length, 1);
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
  rig.life.lanes.turn(1, rig.feed.shared, monotonicMs() + 3_600_000);
  assert.deepEqual(readdirSync(rig.feed.positions), ['one.position']);
});

test('a disk that takes no position: none waits, unacked goes on, both say so and hold', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const channels = (['none', 'unacked'] as const).map((resend) =>
    channelOptions(resend, [port], {}, { resend }),
  );
  const rig = new Rig(t, channels, (feed) => {
    // Whatever is written there: ENOSPC.
    for (const { name } of channels) {
      symlinkSync('/dev/full', join(feed.positions, `${name}.position`));
    }
  });
  rig.append();
  const { publishedOrdinal } = rig.feed.shared;
  await rig.until('unacked goes on', () => rig.channel('unacked').delivered === publishedOrdinal);
  await rig.until('none waits', () => rig.channel('none').state === 'blocked');
  const [none, unacked] = ['none', 'unacked'].map((name) => rig.channel(name));
  const why = 'its position cannot be written: ENOSPC; free some space on the disk';
  assert.deepEqual([none!.why, unacked!.why], [why, why]);
  assert.equal(none!.pending, publishedOrdinal);
  assert.notEqual(unacked!.state, 'blocked');
  assert.deepEqual(channelHealth(unacked!), { tone: 'warn', text: 'its position is not kept' });
  assert.equal(rig.life.lanes.heldPosition, 0);
});

test('a group whose member cannot be opened keeps no other group from changing', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const down = await closedPort();
  const other = farm({ a: port, b: down }).map((one) => ({
    ...one,
    name: one.name.replace('farm', 'barn'),
    group: 'barn',
  }));
  const rig = new Rig(t, [...farm({ a: port, b: down }), ...other], (feed) =>
    mkdirSync(join(feed.positions, 'farm@a.position')),
  );
  rig.append();
  await rig.until('barn goes on without b', () => rig.life.warnings.length > 0);
  assert.equal(rig.channel('farm/a').state, 'blocked');
});

test('the epochs of a group that went while no server ran do not come back', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const alone = channelOptions('alone', [port]);
  const rig = new Rig(t, [alone]);
  writeFileSync(join(rig.feed.positions, 'other.epochs'), '');
  rig.life.reload([alone, ...farm({ a: port, b: port }, {}, { from: 'now' })]);
  rig.append();
  await rig.until('all is sent', () => rig.life.isSettled);
  rig.restart([alone]);
  assert.deepEqual(readdirSync(rig.feed.positions), ['alone.position']);
  rig.life.reload([alone, ...farm({ a: port, b: port }, {}, { from: 'now' })]);
  await rig.until('it is there', () => rig.channel('farm/b') !== undefined);
  await rig.turns(20);
  assert.equal(rig.channel('farm/b').received, 0, 'it begins as a new one');
});

test('a kill between epochs and positions gives no member the whole journal', {
  skip,
}, async (t) => {
  const { port } = await listen(t);
  const both = farm({ a: port, b: port }, {}, { from: 'now' });
  const alone = channelOptions('alone', [port]);
  const rig = new Rig(t, [alone]);
  rig.append(20_000);
  await rig.until('all is sent', () => rig.life.isSettled);
  const { publishedOrdinal } = rig.feed.shared;
  rig.life.reload([alone, ...both]);
  // As if it had been killed when the epochs were there, one position was begun, and one was not.
  rig.restart([alone, ...both], (start) => {
    writeFileSync(join(rig.feed.positions, 'farm@a.position'), new Uint8Array(768));
    rmSync(join(rig.feed.positions, 'farm@b.position'));
    rig.append(20_000);
    start();
  });
  await rig.until('all is sent', () => rig.life.isSettled);
  const after = rig.feed.shared.publishedOrdinal - publishedOrdinal;
  const [a, b] = ['farm/a', 'farm/b'].map((name) => rig.channel(name));
  assert.deepEqual([a!.received, b!.received], [after, after]);
  assert.equal(a!.delivered + b!.delivered, after, 'each record once, and none is missing');
  assert.match(rig.life.warnings[0]!, /was made and never written/);
});

test('a member begins where its epoch does, and anew when its file is damaged', () => {
  const begin = (kind: 'new' | 'damaged' | 'other-journal') =>
    startPosition({ kind }, 'now', 900, 100).position.position;
  assert.deepEqual([begin('new'), begin('damaged'), begin('other-journal')], [100, 900, 900]);
  const blank = startPosition({ kind: 'blank' }, 'now', 900, 100);
  assert.equal(blank.position.position, 100);
  const { position } = startPosition({ kind: 'new' }, 'now', 50, 100).position;
  assert.equal(position, 50, 'the journal has lost its end');
});

test('a ledger from before a power loss that took its records closes', { skip }, async (t) => {
  const { port } = await listen(t);
  const rig = new Rig(t, [channelOptions('alone', [port])], (feed) => {
    const { file } = PositionFile.open(feed.positions, 'alone', ENGINE_UUID);
    const position = { ...makePosition(1e6, 0), ordinal: 1_000, delivered: 1_000 };
    file.write(position);
    file.close();
  });
  rig.append();
  await rig.until('all is sent', () => rig.life.isSettled);
  const channel = rig.channel('alone');
  assert.equal(channelDifference(channel), 0);
  assert.equal(channel.received, 1_000 + rig.feed.shared.publishedOrdinal);
  assert.equal(channel.delivered, channel.received);
});
