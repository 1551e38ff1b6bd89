import assert from 'node:assert/strict';
import { existsSync, openSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../../../test/support/journal-files.ts';
import { stillClock } from '../../../test/support/still-clock.ts';
import { withoutFds } from '../../../test/support/without-fds.ts';
import { Counters, type CounterWriter } from '../../toolkit/counters/index.ts';
import { IdleStrategy, type SpscProducer, SpscRing } from '../../toolkit/ring/index.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import { COMMAND_DRAIN, Commands, Control } from '../control.ts';
import { KEEPER_COUNTERS, type KeeperCounter } from './counters.ts';
import { segmentName } from './format.ts';
import { type KeeperOptions, KeeperStage } from './keeper-stage.ts';
import { JournalShared } from './shared.ts';

const needsAddon = { skip: addonSkipReason() };
const HOUR_MS = 3_600_000;

interface Rig {
  readonly folder: string;
  readonly keeper: KeeperStage;
  readonly shared: JournalShared;
  readonly sealed: SpscProducer;
  readonly commands: Commands;
  readonly counters: CounterWriter<KeeperCounter>;
  readonly warnings: string[];
}

function makeRig(t: TestContext, options: Partial<KeeperOptions> = {}): Rig {
  const folder = temporaryFolder(t);
  const shared = JournalShared.create();
  shared.currentFd = -1;
  const { handle } = SpscRing.create({ capacity: 8 });
  const sealed = SpscRing.producer(handle);
  const commands = new Commands();
  const counters = Counters.writer(Counters.create<KeeperCounter>(KEEPER_COUNTERS).handle);
  const warnings: string[] = [];
  const keeper = new KeeperStage(
    {
      folder,
      sync: 'none',
      syncIntervalMs: 10,
      retentionMs: 24 * HOUR_MS,
      retentionBytes: 1e12,
      capBytes: 1e12,
      ...options,
    },
    {
      shared,
      sealed: SpscRing.consumer(handle),
      sleeper: IdleStrategy.sleeper(IdleStrategy.create().handle),
      counters,
      control: new Control(commands.handle),
      warn: (text) => warnings.push(text),
    },
  );
  return { folder, keeper, shared, sealed, commands, counters, warnings };
}

/** Ten segments of 1,000 bytes; the first `old` of them were written two days ago. */
function tenSegments(folder: string, old = 0): void {
  for (let i = 0; i < 10; i++) {
    const path = join(folder, segmentName(i * 1_000));
    writeFileSync(path, new Uint8Array(1_000));
    const seconds = Date.now() / 1000 - (i < old ? 48 * 3_600 : 0);
    utimesSync(path, seconds, seconds);
  }
}

function oldestAfterStart(rig: Rig): number {
  rig.keeper.onStart();
  rig.keeper.onClose();
  const names = readdirSync(rig.folder).sort();
  assert.equal(rig.shared.segmentCount, names.length);
  assert.equal(rig.shared.diskBytes, names.length * 1_000);
  assert.equal(rig.counters.get('removedSegments'), 10 - names.length);
  return Number(names[0]!.slice(0, 20)) / 1_000;
}

const RETENTION: readonly {
  name: string;
  options: Partial<KeeperOptions>;
  old: number;
  consumed: number;
  /** Nobody holds when nothing is said. */
  forward?: number;
  oldest: number;
}[] = [
  { name: 'nothing is due', options: {}, old: 0, consumed: 1e9, oldest: 0 },
  { name: 'age', options: {}, old: 4, consumed: 1e9, oldest: 4 },
  { name: 'age, never the newest', options: {}, old: 10, consumed: 1e9, oldest: 9 },
  { name: 'age, not what a reader needs', options: {}, old: 8, consumed: 2_500, oldest: 2 },
  { name: 'consumed up to an edge', options: {}, old: 8, consumed: 3_000, oldest: 3 },
  { name: 'bytes', options: { retentionBytes: 3_500 }, old: 0, consumed: 1e9, oldest: 7 },
  { name: 'bytes, needed', options: { retentionBytes: 1_000 }, old: 0, consumed: 0, oldest: 0 },
  { name: 'not what is held', options: {}, old: 8, consumed: 1e9, forward: 2_500, oldest: 2 },
  { name: 'the store is behind', options: {}, old: 8, consumed: 2_500, forward: 5_000, oldest: 2 },
  {
    name: 'the cap takes what a channel holds',
    options: { retentionBytes: 3_500, capBytes: 5_500 },
    old: 0,
    consumed: 1e9,
    forward: 0,
    oldest: 5,
  },
  {
    name: 'the cap takes what a reader needs',
    options: { retentionBytes: 3_500, capBytes: 5_500 },
    old: 0,
    consumed: 0,
    oldest: 5,
  },
  {
    name: 'the cap, then the rest that is consumed',
    options: { retentionBytes: 1_500, capBytes: 5_500 },
    old: 0,
    consumed: 7_000,
    oldest: 7,
  },
];

for (const { name, options, old, consumed, forward, oldest } of RETENTION) {
  test(`retention: ${name}`, needsAddon, (t) => {
    const rig = makeRig(t, options);
    tenSegments(rig.folder, old);
    rig.shared.consumedPosition = consumed;
    if (forward !== undefined) rig.shared.forwardPosition = forward;
    assert.equal(oldestAfterStart(rig), oldest);
  });
}

test('EMFILE: a journal that cannot be listed stays, and the keeper lives', needsAddon, (t) => {
  const rig = makeRig(t, { retentionBytes: 1 });
  tenSegments(rig.folder);
  rig.shared.consumedPosition = 1e9;
  // One for the folder that it keeps open, none to list it.
  withoutFds(() => rig.keeper.onStart(), 1);
  rig.keeper.onClose();
  assert.equal(readdirSync(rig.folder).length, 10);
  assert.deepEqual(rig.warnings, ['the journal cannot be listed: all of it stays']);
});

function openFdPath(folder: string, name: string): number {
  return openSync(join(folder, name), 'w+');
}

function isOpen(fd: number): boolean {
  return existsSync(`/proc/self/fd/${fd}`);
}

test(
  'a sealed segment is synced and closed, but not while it is named as current',
  needsAddon,
  (t) => {
    const { folder, keeper, shared, sealed } = makeRig(t);
    keeper.onStart();
    const fd = openFdPath(folder, 'one');
    shared.publish(500, 1);
    shared.currentFd = fd;
    assert.ok(sealed.tryPush(fd));
    keeper.doWork();
    assert.equal(shared.syncedPosition, 500);
    assert.ok(isOpen(fd), 'its number must not be given to another file yet');
    const next = openFdPath(folder, 'two');
    shared.currentFd = next;
    shared.syncRequest = 900;
    shared.publish(900, 2);
    keeper.doWork();
    assert.equal(shared.syncedPosition, 900);
    assert.ok(!isOpen(fd));
    assert.ok(isOpen(next), 'the current one is the journal’s');
    assert.ok(sealed.tryPush(next));
    shared.currentFd = -1;
    keeper.doWork();
    assert.ok(!isOpen(next));
    keeper.onClose();
  },
);

test('when it syncs: none, interval, always, and when the store asks', needsAddon, (t) => {
  for (const sync of ['none', 'interval', 'always'] as const) {
    const { folder, keeper, shared } = makeRig(t, { sync, syncIntervalMs: 3_600_000 });
    keeper.onStart();
    shared.currentFd = openFdPath(folder, 'one');
    shared.publish(100, 1);
    keeper.doWork();
    assert.equal(shared.syncedPosition, sync === 'none' ? 0 : 100, sync);
    shared.publish(200, 2);
    keeper.doWork();
    assert.equal(shared.syncedPosition, { none: 0, interval: 100, always: 200 }[sync], sync);
    shared.publish(300, 3);
    shared.syncRequest = 250;
    keeper.doWork();
    assert.equal(shared.syncedPosition, 300, `${sync}: asked for`);
    keeper.onClose();
  }
});

test(
  'a sync that fails claims nothing, rests before it tries again, and ends a drain',
  needsAddon,
  (t) => {
    const { keeper, shared, commands, counters, warnings } = makeRig(t, { sync: 'always' });
    keeper.onStart();
    // An fd that nobody has: EBADF.
    shared.currentFd = 1_000_000;
    shared.publish(100, 1);
    shared.syncRequest = 100;
    const clock = stillClock(t);
    for (const attempts of [1, 2, 3]) {
      for (let i = 0; i < 10; i++) keeper.doWork();
      assert.equal(counters.get('syncErrors'), attempts, 'no storm of attempts');
      clock.pass(1_000);
    }
    assert.equal(shared.syncedPosition, 0);
    assert.equal(warnings.length, 3);
    commands.send(COMMAND_DRAIN);
    for (let i = 0; i < 3; i++) keeper.doWork();
    assert.ok(keeper.done);
    keeper.onClose();
  },
);

test('a drain syncs what is published, whatever the setting', needsAddon, (t) => {
  const { folder, keeper, shared, commands } = makeRig(t);
  keeper.onStart();
  const fd = openFdPath(folder, 'one');
  shared.currentFd = fd;
  shared.publish(100, 1);
  commands.send(COMMAND_DRAIN);
  keeper.doWork();
  assert.equal(keeper.done, false);
  keeper.doWork();
  assert.ok(keeper.done);
  assert.equal(shared.syncedPosition, 100);
  keeper.onClose();
});
