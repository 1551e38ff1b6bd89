/**
 * Lanes: what reloads, and disks that refuse, leave of channels and groups.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  channelOptions,
  ENGINE_UUID,
  EngineLife,
  JournalFeed,
} from '../../../test/support/forward-engine.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { channelDifference } from './health.ts';
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

  restart(channels: readonly ChannelOptions[]): void {
    this.#life.close();
    this.#life = new EngineLife(this.feed, channels, new Prng(2));
  }

  append(bytes = 2_000): void {
    for (let exporter = 0; exporter < EXPORTERS; exporter++) this.feed.append(exporter, bytes);
  }

  async turns(count: number): Promise<void> {
    let left = count;
    await this.until('turns', () => left-- === 0);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const endMs = Date.now() + 20_000;
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
  assert.equal(rig.channel('farm/a'), undefined);
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
  rmSync(pipe);
  rig.append();
  await rig.until('it is there', () => rig.channel('broken')?.delivered > 0);
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

test('a member begins where its epoch does, and anew when its file is damaged', () => {
  const begin = (kind: 'new' | 'damaged' | 'other-journal') =>
    startPosition({ kind }, 'now', 900, 100).position.position;
  assert.deepEqual([begin('new'), begin('damaged'), begin('other-journal')], [100, 900, 900]);
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
