/**
 * Groups: at which position a change of members takes effect, over kills, reloads and full disks.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../../../test/support/journal-files.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import type { Epoch } from './epochs.ts';
import { GroupFile } from './group-file.ts';
import { EPOCHS_MAX, type GroupLane, Groups } from './groups.ts';
import type { ChannelOptions } from './options.ts';
import type { MemberState } from './redundancy.ts';

const UUID = new Uint8Array(16).fill(3);
const ALL = ['a', 'b', 'c'];
/** More than a look of the groups at their members takes. */
const LOOK_MS = 100;

type Options = Pick<ChannelOptions, 'group' | 'balance' | 'from' | 'switchOverMs' | 'switchBackMs'>;

type From = ChannelOptions['from'];

function optionsOf(
  members: readonly string[],
  switchOverMs = 0,
  from: From = 'last-position',
): readonly ChannelOptions[] {
  return members.map((_, self) => {
    const balance = { by: 'hash', field: 'subscriber_id', members, self } as const;
    const options: Options = { group: 'farm', balance, from, switchOverMs, switchBackMs: 0 };
    return options as ChannelOptions;
  });
}

class FakeLane implements GroupLane {
  readonly options: ChannelOptions;
  readonly member: string;
  state: MemberState = 'up';
  readPosition = 0;
  writtenPosition = 0;
  probes = 0;

  constructor(options: ChannelOptions) {
    this.options = options;
    this.member = options.balance!.members[options.balance!.self]!;
  }

  probe(): void {
    this.probes++;
  }
}

/** Lives of the groups of one forwarder: by default the second begins where the first ended. */
class Rig {
  readonly folder: string;
  readonly warnings: string[] = [];
  lanes: FakeLane[] = [];
  groups: Groups;
  nowMs = 0;

  constructor(t: TestContext, members: readonly string[] = ALL, publishedPosition = 0) {
    this.folder = temporaryFolder(t);
    this.groups = this.live(members, publishedPosition);
  }

  live(members: readonly string[], publishedPosition: number, from?: From): Groups {
    const warn = (text: string): void => void this.warnings.push(text);
    this.groups = new Groups({ folder: this.folder, uuid: UUID, warn });
    this.configure(members, publishedPosition, 0, from);
    return this.groups;
  }

  configure(
    members: readonly string[],
    publishedPosition: number,
    switchOverMs = 0,
    from?: From,
  ): void {
    const options = optionsOf(members, switchOverMs, from);
    this.groups.configure(options, publishedPosition);
    this.lanes = options.map((one) => new FakeLane(one));
  }

  get epochs(): readonly Epoch[] {
    return this.groups.epochsOf('farm').list;
  }

  lane(member: string): FakeLane {
    return this.lanes.find((lane) => lane.member === member)!;
  }

  look(): void {
    this.nowMs += LOOK_MS;
    this.groups.turn(this.lanes, new Set(), this.nowMs);
  }
}

test('an epoch begins above all that any member has read in this life', (t) => {
  const rig = new Rig(t);
  for (const [index, lane] of rig.lanes.entries()) lane.readPosition = 100 * (index + 1);
  rig.look();
  assert.equal(rig.epochs.length, 1);
  rig.lane('a').state = 'down';
  rig.look();
  assert.deepEqual(rig.epochs.at(-1), { position: 300, members: ['b', 'c'] });
  assert.equal(rig.lane('a').probes, 0);
  rig.look();
  assert.ok(rig.lane('a').probes > 0, 'who is out is looked for');
  rig.lane('a').state = 'up';
  rig.lane('c').readPosition = 450;
  rig.look();
  rig.look();
  assert.deepEqual(rig.epochs.at(-1), { position: 450, members: ALL });
});

test('after a kill none begins below what was published then: it may have been read', (t) => {
  const rig = new Rig(t);
  for (const lane of rig.lanes) lane.readPosition = 9_000;
  // Killed: the position files are far behind what members have read, and sent.
  rig.live(ALL, 10_000);
  for (const lane of rig.lanes) lane.readPosition = 2_000;
  rig.lane('b').state = 'down';
  rig.look();
  assert.deepEqual(rig.epochs.at(-1), { position: 10_000, members: ['a', 'c'] });
});

test('members that a configuration has or has not begin, and end, at what is published', (t) => {
  const rig = new Rig(t, ['a', 'b'], 500);
  assert.deepEqual(rig.epochs, [{ position: 500, members: ['a', 'b'] }]);
  rig.configure(['b', 'c'], 800);
  assert.deepEqual(rig.epochs.at(-1), { position: 800, members: ['b', 'c'] });
  assert.equal(rig.groups.startOf('farm'), 800);
  rig.live(['c', 'b', 'd'], 900);
  assert.deepEqual(rig.epochs.at(-1), { position: 900, members: ['b', 'c', 'd'] });
});

test('a reload brings its times, and nobody back who is down', (t) => {
  const rig = new Rig(t);
  rig.lane('a').state = 'down';
  rig.look();
  rig.configure(ALL, 500, 10 * LOOK_MS);
  assert.deepEqual(rig.epochs.at(-1)!.members, ['b', 'c']);
  rig.lane('a').state = 'down';
  rig.lane('b').state = 'down';
  rig.look();
  assert.deepEqual(rig.epochs.at(-1)!.members, ['b', 'c'], 'b is waited for');
});

test('epochs that all members have behind them on disk are forgotten, others not', (t) => {
  const rig = new Rig(t);
  for (const lane of rig.lanes) lane.readPosition = 300;
  rig.lane('a').state = 'down';
  rig.look();
  for (const lane of rig.lanes) lane.writtenPosition = 300;
  rig.lane('a').writtenPosition = 299;
  rig.look();
  assert.equal(rig.epochs.length, 2);
  rig.lane('a').writtenPosition = 300;
  rig.look();
  assert.deepEqual(rig.epochs, [{ position: 300, members: ['b', 'c'] }]);
  rig.live(ALL, 300);
  assert.deepEqual(rig.epochs.at(-1)!.members, ALL, 'all that are configured begin as members');
});

test('a disk that takes no epoch leaves the members as they are', (t) => {
  const rig = new Rig(t);
  // Where the new file would be written.
  const inTheWay = join(rig.folder, 'farm.epochs.new');
  mkdirSync(inTheWay);
  rig.lane('a').state = 'down';
  rig.look();
  assert.deepEqual(rig.epochs.at(-1)!.members, ALL);
  for (let i = 0; i < 20; i++) rig.look();
  assert.deepEqual(rig.warnings, ['the members of a group stay as they are'], 'said once');
  rmSync(inTheWay, { recursive: true });
  rig.look();
  assert.deepEqual(rig.epochs.at(-1)!.members, ['b', 'c']);
  assert.match(rig.warnings[1]!, /can change again/);
});

test('a member that is gone while no epoch can be written: the others wait for its share', (t) => {
  const rig = new Rig(t);
  const inTheWay = join(rig.folder, 'farm.epochs.new');
  mkdirSync(inTheWay);
  rig.configure(['a', 'b'], 500);
  assert.deepEqual(rig.epochs.at(-1)!.members, ALL);
  assert.equal(rig.groups.epochsOf('farm').heldPosition, 500);
  // Their cursors stand on the first block of which they may say nothing.
  for (const lane of rig.lanes) lane.readPosition = 700;
  rig.look();
  rig.configure(['a', 'b'], 800);
  assert.equal(rig.groups.epochsOf('farm').heldPosition, 500, 'still');
  rmSync(inTheWay, { recursive: true });
  rig.look();
  assert.deepEqual(rig.epochs.at(-1), { position: 500, members: ['a', 'b'] });
  assert.equal(rig.groups.epochsOf('farm').heldPosition, Number.POSITIVE_INFINITY);
});

test('the only one that shared is gone: who takes over does so from there on', (t) => {
  const rig = new Rig(t, ['a', 'b']);
  rig.lane('b').state = 'down';
  rig.look();
  assert.deepEqual(rig.epochs.at(-1)!.members, ['a']);
  rig.configure(['b'], 900);
  assert.equal(rig.groups.epochsOf('farm').heldPosition, 900);
  rig.lane('b').readPosition = 950;
  rig.look();
  assert.deepEqual(rig.epochs.at(-1), { position: 900, members: ['b'] });
});

test('killed before its members had positions, a group goes on where it began', (t) => {
  const rig = new Rig(t, ALL, 700);
  assert.equal(rig.groups.startOf('farm'), 700);
  rig.live(ALL, 900);
  assert.equal(rig.groups.startOf('farm'), 700, 'not at the beginning of the journal');
  const other = new Rig(t);
  rmSync(join(other.folder, 'farm.epochs'));
  other.live(ALL, 900, 'journal-start');
  other.live(ALL, 950, 'journal-start');
  assert.deepEqual(other.epochs, [{ position: 0, members: ALL }]);
  assert.equal(other.groups.startOf('farm'), null, 'as it is configured');
});

test('a group that could not be opened begins where it was configured', (t) => {
  const rig = new Rig(t);
  rmSync(join(rig.folder, 'farm.epochs'));
  const inTheWay = join(rig.folder, 'farm.epochs.new');
  mkdirSync(inTheWay);
  rig.live(ALL, 700);
  assert.throws(() => rig.groups.startOf('farm'), { code: 'EISDIR', path: inTheWay });
  rmSync(inTheWay, { recursive: true });
  rig.configure(ALL, 900);
  assert.equal(rig.groups.startOf('farm'), 700);
});

test('epochs are bounded: at the most nobody is left out, but by a reload', (t) => {
  const rig = new Rig(t);
  const many = Array.from({ length: EPOCHS_MAX - 2 }, (_, i) => ({
    position: 10 * i,
    members: i % 2 === 0 ? ALL : ['a', 'c'],
  }));
  new GroupFile(rig.folder, 'farm', UUID).write(many);
  rig.live(ALL, 1e5);
  rig.warnings.length = 0;
  for (let i = 0; i < 20; i++) {
    for (const lane of rig.lanes) lane.readPosition = 2e5 + i;
    // a is far behind, and not waited for.
    rig.lane('b').state = i % 2 === 0 ? 'down' : 'up';
    rig.look();
  }
  assert.equal(rig.epochs.length, EPOCHS_MAX);
  assert.equal(rig.warnings.filter((text) => text.includes('stay as they are')).length, 1);
  rig.configure(['a', 'd'], 1e6);
  assert.equal(rig.epochs.length, EPOCHS_MAX + 1);
  for (const lane of rig.lanes) lane.writtenPosition = 1e6;
  rig.look();
  assert.deepEqual(rig.epochs, [{ position: 1e6, members: ['a', 'd'] }]);
});

test('model: members that come, go and are killed take each block once, and one of them', (t) => {
  for (let seed = 0; seed < 40; seed++) {
    const prng = new Prng(seed);
    const rig = new Rig(t);
    /** Who took each block, by what it saw when it read it. */
    const taken = new Map<number, string>();
    let published = 0;
    for (let step = 0; step < 120; step++) {
      published += prng.below(4);
      for (const lane of rig.lanes) {
        if (prng.chance(0.2)) lane.state = prng.chance(0.5) ? 'up' : 'down';
        const to = Math.min(published, lane.readPosition + prng.below(6));
        for (; lane.readPosition < to; lane.readPosition++) {
          const { members } = rig.groups.epochsOf('farm').at(lane.readPosition);
          const taker = members[lane.readPosition % members.length]!;
          const before = taken.get(lane.readPosition) ?? taker;
          assert.equal(taker, before, `seed ${seed}: all say the same of ${lane.readPosition}`);
          taken.set(lane.readPosition, taker);
        }
        if (prng.chance(0.3)) lane.writtenPosition = lane.readPosition;
      }
      rig.look();
      if (prng.chance(0.1)) {
        const written = rig.lanes.map((lane) => lane.writtenPosition);
        rig.live(ALL, published);
        for (const [index, lane] of rig.lanes.entries()) {
          lane.readPosition = written[index]!;
          lane.writtenPosition = written[index]!;
        }
      }
    }
    rmSync(rig.folder, { recursive: true });
  }
});
